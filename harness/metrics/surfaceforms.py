"""Distinct surface forms of entities: the second measure of the WNUT-17 shared task."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.entities import SCHEMES, BoolArray, Entities, IntArray, SchemeName
from harness.metrics.labels import checked_weights
from harness.metrics.pooled import PooledMetric
from harness.metrics.tagging import Mode, Sentences, list_rows
from harness.metrics.tagrows import Found, TagRows, tag_rows
from harness.types import Output, Sample


@dataclass(frozen=True, slots=True)
class Forms:
    """Codes of forms (words and type of an entity), and the row of each: predicted, true, and those of right entities."""

    predicted: tuple[IntArray, IntArray]
    true: tuple[IntArray, IntArray]
    right: tuple[IntArray, IntArray]


@dataclass(frozen=True, repr=False)
class SurfaceF1(PooledMetric):
    """F1 of distinct surface forms, each counted once however often it occurs (WNUT-17): what a system learns of *new* names.

    A form is the words of an entity, as they are written, with its type. A form is right if an entity with it was found in its
    place. Precision is distinct right over distinct predicted forms, recall over distinct true forms. ``tokens`` is the field
    of the input that holds the words. Tags are read as :class:`EntityMetric` reads them. 0 to 1, higher is better; undefined
    (NaN) without any entity. Duplicates do not count: the interval comes from random halves.
    """

    name: ClassVar[str] = "surface_f1"
    family: ClassVar[str] = "tagging"
    summary: ClassVar[str] = "F1 of distinct surface forms of entities (WNUT-17)"
    needs: ClassVar[frozenset[str]] = frozenset({"tags", "target"})
    formula: ClassVar[str] = "2 · distinct right forms / (distinct predicted + distinct true forms)"
    reference: ClassVar[str] = "figures of the WNUT-17 shared task"
    paper: ClassVar[str] = "Derczynski et al. 2017, Results of the WNUT2017 shared task"

    tokens: str = "tokens"
    scheme: SchemeName = "BIO"
    mode: Mode = "default"

    def __post_init__(self) -> None:
        self.require(self.scheme in SCHEMES, "scheme", f"one of {', '.join(SCHEMES)}")
        self.require(self.mode in ("default", "strict"), "mode", "default or strict")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Forms, Mapping[int, str]]:
        """The codes of the forms of all rows."""
        scheme = SCHEMES[self.scheme] if self.mode == "strict" else None
        rows = tag_rows(samples, outputs, scheme, words=self.tokens)
        return _forms(rows, rows.found(), [samples[number].input[self.tokens] for number in rows.numbers]), rows.missing

    def of_rows(self, rows: IntArray) -> float:
        """F1 of these rows."""
        forms: Forms = self.pool
        kept = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.bool_)
        kept[rows] = True
        right, predicted, true = (_distinct(*part, kept) for part in (forms.right, forms.predicted, forms.true))
        return 2 * right / (predicted + true) if predicted + true else float("nan")


def _forms(rows: TagRows, found: Found, words: Sequence[Sequence[str]]) -> Forms:
    known: dict[tuple[str, int], int] = {}

    def codes(entities: Entities, of_row: IntArray) -> IntArray:
        first = rows.starts[of_row]
        places = ((entities.begins - first).tolist(), (entities.ends - first).tolist())
        spans = zip(of_row.tolist(), *places, entities.types.tolist())
        named = ((" ".join(words[row][begin:end]), type_) for row, begin, end, type_ in spans)
        return np.fromiter((known.setdefault(form, len(known)) for form in named), dtype=np.int64, count=len(of_row))

    predicted = codes(found.predicted, found.row_of_predicted)
    true = codes(found.true, found.row_of_true)
    right = predicted[found.is_right], found.row_of_predicted[found.is_right]
    return Forms((predicted, found.row_of_predicted), (true, found.row_of_true), right)


def _distinct(codes: IntArray, of_row: IntArray, kept: BoolArray) -> int:
    inside = of_row < len(kept)
    return len(np.unique(codes[inside][kept[of_row[inside]]]))


def surface_f1(
    tokens: Sentences, y_true: Sentences, y_pred: Sentences, *, scheme: SchemeName = "BIO", mode: Mode = "default"
) -> float:
    """F1 of distinct surface forms; see SurfaceF1.

    >>> surface_f1([["Ann", "saw", "Ann"]], [["B-person", "O", "B-person"]], [["O", "O", "B-person"]])
    1.0
    """
    metric = SurfaceF1(scheme=scheme, mode=mode)
    checked_weights(metric.name, y_true, y_pred, None)
    checked_weights(metric.name, y_true, tokens, None)
    rows = list_rows(metric.name, y_true, y_pred, SCHEMES[scheme] if mode == "strict" else None)
    for row, (words, target) in enumerate(zip(tokens, y_true)):
        if isinstance(words, str) or len(words) != len(target):
            raise MetricError(f"{metric.name}: tokens must be a list of {len(target)} words in row {row}, got {words!r:.60}")
    ready = dataclasses.replace(metric, pool=_forms(rows, rows.found(), tokens))
    return ready.of_rows(np.arange(rows.n))
