"""Prompts and outputs of both runs, and their words: cut once, for every measure that counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.drift.units import BothRuns, Rows
from harness.metrics.tokenize import Tokens
from harness.metrics.wording import WordMetric, words
from harness.stats.bootstrap import IntArray

_WITH_TEXT = ("text", "label")


@dataclass(frozen=True, eq=False)
class TextPair:
    """The texts of both runs and the unit of each; those of the run stand first among the words."""

    run: list[str]
    base: list[str]
    run_units: IntArray
    base_units: IntArray
    language: str

    @cached_property
    def tokens(self) -> Tokens:
        """The words of the run's texts, then of the base's, in the way of the task's language."""
        return words([*self.run, *self.base], WordMetric().for_language(self.language).scheme)

    def side_tokens(self) -> tuple[Tokens, Tokens]:
        """The words of the run and of the base; equal words have equal ids in both."""
        lengths = np.split(self.tokens.lengths, [len(self.run)])
        ids = np.split(self.tokens.ids, [int(lengths[0].sum())])
        return Tokens(ids[0], lengths[0]), Tokens(ids[1], lengths[1])


@dataclass(frozen=True, eq=False)
class Texts:
    """What was asked and answered in both runs, of the units that are looked at."""

    unit: BothRuns

    @cached_property
    def prompts(self) -> TextPair | str:
        """The prompts."""
        return self._pair([_present(self.unit, rows, rows.prompts()) for rows in self.unit.sides])

    @cached_property
    def outputs(self) -> TextPair | str:
        """The texts or labels answered, or why there are none."""
        for rows in self.unit.sides:
            if rows.kind not in _WITH_TEXT:
                return f"the answers are {rows.kind}, not text or labels" if rows.kind else "no answers"
        return self._pair([_present(self.unit, rows, rows.column("text")) for rows in self.unit.sides])

    def _pair(self, sides: list[tuple[list[str], IntArray]]) -> TextPair | str:
        if not all(texts for texts, _ in sides):
            return "no texts"
        (run, run_units), (base, base_units) = sides
        return TextPair(run, base, run_units, base_units, self.unit.language)


def _present(unit: BothRuns, rows: Rows, texts: Sequence[str | None]) -> tuple[list[str], IntArray]:
    """The texts that are there, of the units that are looked at."""
    wanted = unit.is_looked_at[rows.units].tolist()
    kept = [row for row, (text, is_wanted) in enumerate(zip(texts, wanted)) if is_wanted and text is not None]
    return [texts[row] or "" for row in kept], rows.units[kept]
