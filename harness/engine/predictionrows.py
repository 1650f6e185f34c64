"""Rows of JSON objects and tables: the answer that a row holds, and the truth that stands beside it or in a file of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

from harness.engine.predictions import Binary, reference_texts
from harness.engine.wants import Reading, Wants
from harness.errors import DataError, did_you_mean, nearest
from harness.models.stored import row_key, row_output
from harness.types import (
    ANSWER_TYPES,
    Key,
    Label,
    Labels,
    Likelihoods,
    Number,
    Outcomes,
    Output,
    Ranking,
    Ratings,
    Sample,
    Tags,
    Text,
    Vectors,
)

TEXTS, LABELS, SCORES = ("text", "prediction"), ("prediction", "label", "winner"), ("score", "probability")
NUMBERS = ("value", "prediction")
VARIANTS = ("variant", "arm")
"""The columns of predictions that are looked for, in this order, where none is named."""
TARGETS = ("target",)
REFERENCES = ("references", "reference", "target")
"""The same for the truth."""

ReadRow: TypeAlias = Callable[[Mapping[str, Any], Key], Output]

_ANSWERS: Mapping[str, tuple[type, ...]] = {
    "text": (Text,), "label": (Label, Labels), "ranking": (Ranking,), "number": (Number,), "likelihoods": (Likelihoods,),
    "vectors": (Vectors,), "tags": (Tags,), "ratings": (Ratings,), "outcomes": (Outcomes,),
    "any": ANSWER_TYPES,
}  # fmt: skip
_BESIDE = ("contexts", "citations", "usage", "latency_s", "first_token_s", "error", "finish_reason", "truncated")
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""What a table's cell holds that has no number."""


@dataclass(frozen=True)
class Rows:
    """Line numbers and rows of a file; in a table every value is text and every row has the same columns."""

    name: str
    lines: list[int]
    rows: list[dict[str, Any]]
    is_table: bool
    has_ids: bool = True

    @property
    def by_id(self) -> bool:
        """Whether the rows have ids; the first one decides."""
        return self.has_ids and "id" in self.rows[0]

    def notes(self, wants: Wants, reading: Reading) -> tuple[str, ...]:
        """What the reader should know of how the rows were taken."""
        if wants.family != "ratings" or not self.is_table or reading.field is not None:
            return ()
        return (f"raters: {', '.join(raters_of(self, reading))} (others can be named with --field)",)

    @cached_property
    def keys(self) -> list[Key]:
        """The key of every row: id and repeat, or its number from 1."""
        if not self.by_id:
            return [Key(str(number)) for number in range(1, len(self.rows) + 1)]
        if self.is_table:
            return [Key(row["id"]) for row in self.rows]
        return [self.reading(index, partial(row_key, row)) for index, row in enumerate(self.rows)]

    def reading(self, index: int, read: Callable[[], Any]) -> Any:
        """What ``read`` gives; its DataError gets the file and the line of row ``index``."""
        try:
            return read()
        except DataError as error:
            raise DataError(f"{self.name}:{self.lines[index]}: {error}") from None

    def column(self, named: str | None, candidates: Sequence[str]) -> str | None:
        """The column that is named, or else the first candidate that there is."""
        return named if named is not None else next((name for name in candidates if self.has(name)), None)

    def check_column(self, named: str | None) -> None:
        """Raises DataError for a column that is named and nowhere in the file."""
        is_silent = not self.is_table and all(row.get("error") is not None for row in self.rows)
        if named is None or is_silent or self.holds(named):
            return
        there, guess = list(dict.fromkeys(name for row in self.rows for name in row)), nearest(named, self.rows[0])
        kind, hint = "column" if self.is_table else "field", "" if guess is None else f"; did you mean {guess!r}?"
        raise DataError(f"{self.name} has no {kind} {named!r}; its {kind}s: {', '.join(there)}{hint}")

    def holds(self, named: str) -> bool:
        """Whether a row has the column, or ``a.b`` inside an object."""
        return self.has(named) or (not self.is_table and any(_reaches(row, named) for row in self.rows))

    def has(self, column: str) -> bool:
        """Whether a row has the column."""
        return column in self.rows[0] or (not self.is_table and any(column in row for row in self.rows))


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def outputs_of(rows: Rows, wants: Wants, reading: Reading, binary: Callable[[], Binary]) -> list[Output]:
    """The output of every row. ``binary`` is asked only where single scores are read. Raises DataError ``file:line: …``."""
    answer = _reader(rows, wants, reading, binary)
    kinds = _ANSWERS[wants.family]
    outputs = []
    for index, (row, key) in enumerate(zip(rows.rows, rows.keys)):
        try:
            output = row_output(row, key) if row.get("error") is not None and not rows.is_table else answer(row, key)
            if output.error is None and not isinstance(output.answer, kinds):
                raise DataError(f"{wants.who} cannot take {type(output.answer).__name__.lower()} answers")
        except DataError as error:
            raise DataError(f"{rows.name}:{rows.lines[index]}: {error}") from None
        outputs.append(output)
    return outputs


def _reader(rows: Rows, wants: Wants, reading: Reading, binary: Callable[[], Binary]) -> ReadRow:
    if wants.family == "text":
        column = rows.column(reading.field, TEXTS)
        if column is None and rows.is_table:
            raise _no_column(rows, "the text", "field", TEXTS)
        if column is not None and (rows.is_table or column != "text"):
            return lambda row, key: row_output({**_beside(row, rows), "text": value_at(row, column)}, key)
    if wants.family == "label":
        return _label_reader(rows, wants, reading, binary)
    if wants.family == "number":
        return _number_reader(rows, reading)
    if wants.family == "ratings" and (rows.is_table or reading.field is not None):
        return _ratings_reader(rows, reading)
    if wants.family == "outcomes" and not rows.has("answer"):
        return _outcomes_reader(rows, reading)
    return partial(row_output, wanted=() if wants.family == "any" else _ANSWERS[wants.family])


def _label_reader(rows: Rows, wants: Wants, reading: Reading, binary: Callable[[], Binary]) -> ReadRow:
    is_stored = not rows.is_table and any(rows.has(name) for name in ("probabilities", "answer", "labels", "logprobs"))
    label = rows.column(reading.label, () if is_stored else LABELS)
    score = rows.column(reading.score, () if is_stored else SCORES) if "probabilities" in wants.needs else None
    if "label" in wants.needs and label is None and not is_stored:
        raise _no_column(rows, "the predicted label", "label", LABELS)
    if "probabilities" in wants.needs and score is None and not is_stored:
        raise _no_column(rows, "the score of the positive label", "score", SCORES)
    if score is not None:
        return _score_reader(score, label if "label" in wants.needs else None, binary())
    if label is None:
        return partial(row_output, wanted=_ANSWERS["label"])
    return lambda row, key: row_output(
        {**_beside(row, rows), "label": value_at(row, label), "probabilities": row.get("probabilities")}, key
    )


def _number_reader(rows: Rows, reading: Reading) -> ReadRow:
    column = rows.column(reading.field, NUMBERS)
    if column is None and rows.is_table:
        raise _no_column(rows, "the number", "field", NUMBERS)
    if column is None or (column == "value" and not rows.is_table):
        return partial(row_output, wanted=_ANSWERS["number"])

    def read(row: Mapping[str, Any], key: Key) -> Output:
        found = {name: to_number(row.get(at), name) for name, at in (("low", "low"), ("high", "high"))}
        value = to_number(value_at(row, column), column)
        if value is None:
            return Output(key, None, error=f"no {column}")
        return row_output({**_beside(row, rows), "value": value, **found}, key)

    return read


def to_number(value: Any, what: str) -> float | None:
    """The number of a field; None where it is empty or not a number (NaN). Raises DataError for other text."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return to_score(value, what)


def _ratings_reader(rows: Rows, reading: Reading) -> ReadRow:
    """A column a rater: those that are named, else all but the id; numbers if every cell is one."""
    raters = raters_of(rows, reading)
    cells = {str(row.get(name) or "").strip() for row in rows.rows for name in raters}
    are_numbers = all(cell.lower() in _NOTHING or _is_number(cell) for cell in cells)

    def rating(row: Mapping[str, Any], rater: str) -> float | str | None:
        value = value_at(row, rater)
        if value is None or str(value).strip().lower() in _NOTHING:
            return None
        return to_score(value, rater) if are_numbers else str(value).strip()

    return lambda row, key: Output(key, Ratings(tuple(rating(row, rater) for rater in raters)))


def _outcomes_reader(rows: Rows, reading: Reading) -> ReadRow:
    """The variant, and every other field or column that holds numbers; an empty one is no number."""
    variant = rows.column(reading.label, VARIANTS)
    if variant is None:
        raise _no_column(rows, "the variant", "label", VARIANTS)

    def read(row: Mapping[str, Any], key: Key) -> Output:
        name = value_at(row, variant)
        if name is None or str(name).strip() == "":
            return Output(key, None, error="no variant")
        values = {field: _number_in(value) for field, value in row.items() if field not in ("id", variant, reading.group)}
        return Output(key, Outcomes(str(name), values))

    return read


def _number_in(value: Any) -> float | None:
    """The number that a field holds, of yes and no 1 and 0; None for anything else."""
    text = str(value).strip().lower()
    return float(text == "true") if text in ("true", "false") else float(text) if _is_number(text) else None


def raters_of(rows: Rows, reading: Reading) -> list[str]:
    """The columns that are raters."""
    if reading.field is not None:
        return [name.strip() for name in reading.field.split(",")]
    return [name for name in rows.rows[0] if name not in (*_ITEMS, "target", reading.group)]


_ITEMS = ("id", "item", "item_id", "sample", "sample_id", "subject", "unit")
"""What a column with the names of the rated items is called."""


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _score_reader(score: str, label: str | None, binary: Binary) -> ReadRow:
    def read(row: Mapping[str, Any], key: Key) -> Output:
        value = None if label is None else str(value_at(row, label))
        return Output(key, binary.label(to_score(value_at(row, score), score), value))

    return read


def to_score(value: Any, what: str) -> float:
    """The number that a field or a line holds. Raises DataError for anything else, NaN too."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise DataError(f"{what} must be a number, got {value!r}")
    return number


def _beside(row: Mapping[str, Any], rows: Rows) -> dict[str, Any]:
    """What goes with an answer in a stored row; a table's columns of these names mean nothing."""
    return {} if rows.is_table else {name: row[name] for name in _BESIDE if name in row}


# ── truth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def samples_of(rows: Rows, wants: Wants, reading: Reading, *, alone: bool) -> list[Sample] | None:
    """The sample of every row, in its order, with all that the row says of it; None if truth is wanted and no row holds any.

    ``alone`` : the file holds truth and no predictions, so that its ``text`` or ``label`` column can only be the truth.
    """
    column = _truth_column(rows, wants, reading, alone) if wants.truth else None
    if column is None and wants.truth:
        return None
    samples = []
    for index, (row, key) in enumerate(zip(rows.rows, rows.keys)):
        found: dict[str, Any] = rows.reading(index, partial(_beside_truth, row, reading))
        if column is not None:
            found |= rows.reading(index, partial(_truth, row, column, wants, is_named=reading.target is not None))
        samples.append(Sample(key.sample_id, **found))
    return samples


def own_samples(rows: Rows, reading: Reading) -> list[Sample]:
    """What the rows of predictions say of their samples, where the truth is in another file."""
    return [Sample(key.sample_id, **rows.reading(index, partial(_beside_truth, row, reading)))
            for index, (row, key) in enumerate(zip(rows.rows, rows.keys))]  # fmt: skip


def _beside_truth(row: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """Choices, contexts, slices and cluster of a row; the input is the row itself, or the ``input`` object that it has."""
    choices, contexts, slices, given = (row.get(name) for name in ("choices", "contexts", "slices", "input"))
    found: dict[str, Any] = {"input": given if isinstance(given, Mapping) else row}
    if row.get("target") is not None:
        found["target"] = row["target"]
    if isinstance(choices, list):
        found["choices"] = tuple(choices)
    if contexts:
        found["contexts"] = reference_texts(contexts, "contexts")
    if isinstance(slices, Mapping):
        found["slices"] = {str(key): str(value) for key, value in slices.items()}
    if reading.group is not None:
        found["group"] = str(value_at(row, reading.group))
    return found


def _truth_column(rows: Rows, wants: Wants, reading: Reading, alone: bool) -> str | None:
    if "qrels" in wants.truth:
        return rows.column(None, ("qrels",))
    if wants.family == "text" or "references" in wants.truth:
        return rows.column(reading.target, (*REFERENCES, "text") if alone else REFERENCES)
    column = rows.column(reading.target, (*TARGETS, *_ALONE.get(wants.family, ())) if alone else TARGETS)
    if column is None and wants.family == "label" and wants.only_scores:
        return rows.column(reading.label, ("label",))
    return column


_ALONE: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "labels"), "number": ("value",), "tags": ("tags",), "vectors": ("label",),
}  # fmt: skip
"""Further columns of a file that holds nothing but truth."""


def _truth(row: Mapping[str, Any], column: str, wants: Wants, *, is_named: bool) -> dict[str, Any]:
    value = value_at(row, column) if is_named else row.get(column)
    if "qrels" in wants.truth:
        if not isinstance(value, Mapping) or not all(type(grade) is int for grade in value.values()):
            raise DataError(f"qrels must be an object from document to integer grade, got {value!r:.60}")
        return {"qrels": value}
    if wants.family == "number":
        return {"target": to_number(value, column)}
    if wants.family == "label" and isinstance(value, dict) and not wants.only_scores:
        raise DataError(f"{column} must be a label or a list of labels, got {value!r:.60}")
    if wants.family != "text" and "references" not in wants.truth:
        return {"target": value}
    return {"references": () if value is None else reference_texts(value, column)}


# ── fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """The value of a field, or of ``a.b`` inside an object. Raises DataError naming the fields there are."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise DataError(f"no field {name!r}{did_you_mean(name, row)}")
        value = value[part]
    return value


def _reaches(row: Mapping[str, Any], name: str) -> bool:
    try:
        value_at(row, name)
    except DataError:
        return False
    return True


def _no_column(rows: Rows, what: str, option: str, candidates: Sequence[str]) -> DataError:
    looked = " or ".join(map(repr, candidates))
    return DataError(f"{rows.name}: which column is {what}? There is no {looked}; "
                     f"name it with --{option}, one of {', '.join(rows.rows[0])}")  # fmt: skip
