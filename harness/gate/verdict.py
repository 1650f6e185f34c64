"""What a gate found: a result for each thing that a rule asked, and the verdict of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from harness.frames import frame_of_rows

if TYPE_CHECKING:
    import pandas as pd

Word = Literal["regressed", "inconclusive", "infrastructure", "passed"]

EXIT_CODES: Mapping[Word, int] = {"passed": 0, "regressed": 1, "inconclusive": 3, "infrastructure": 4}

_WORST_FIRST: tuple[Word, ...] = ("infrastructure", "regressed", "inconclusive", "passed")


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One limit of one rule for one entry × task × metric (or measure of drift) × slice.

    ``rule`` counts the policy's rules from 1 and ``asked`` is it in words; ``limit`` is max_drop, min_value or max_value and
    ``allowed`` its amount in the metric's scale: of a relative drop, what ``share`` (in percent) of the baseline's value is.
    ``drop`` is how much worse than the baseline it is, whichever direction is better, with its one-sided bounds ``low`` and
    ``high`` at 1 - alpha each; where the limit is on the value itself, the bounds are the value's. ``p_value`` is of H0 "the
    limit is kept"; ``needed_n``: samples in all that would decide with 80 % power if nothing has changed.
    """

    rule: int
    asked: str
    entry: str
    task: str
    metric: str
    slice: str | None
    limit: str
    allowed: float
    verdict: Word
    share: float | None = None
    value: float | None = None
    baseline: float | None = None
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    needed_n: int | None = None
    test: str | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        """``good × capitals: exact_match [level=easy]``"""
        return f"{self.entry} × {self.task}: {self.metric}{f' [{self.slice}]' if self.slice else ''}"

    @property
    def name_with_limit(self) -> str:
        """``good × capitals: exact_match (max_drop 2%)``"""
        amount = f"{self.allowed:.4g}" if self.share is None else f"{self.share:.4g}%"
        return f"{self.name} ({self.limit} {amount})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a run. ``alpha`` is that of the policy; ``level`` what a regression was tested at: less in a stream of
    nights, of which this is number ``night``. ``notes`` are what to know beside the rules."""

    verdict: Word
    exit_code: int
    run_id: str
    config: str
    baseline: str | None
    rules: tuple[RuleResult, ...]
    alpha: float
    level: float
    correction: str
    night: int | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        against = "" if self.baseline is None else f" against {self.baseline}"
        counts = Counter(rule.verdict for rule in self.rules)
        found = ", ".join(f"{counts[word]} {word}" for word in _WORST_FIRST if counts[word]) or "no rule was checked"
        return f"<Verdict on {self.run_id}{against}: {self.verdict}, exit code {self.exit_code}: {found}>"

    def to_pandas(self) -> pd.DataFrame:
        """The rules' results as a data frame, a row each, in their order; its columns are the fields of ``RuleResult``.

        Raises MissingDependency if pandas is not installed.
        """
        return frame_of_rows(map(asdict, self.rules), [field.name for field in fields(RuleResult)])

    def names(self, results: Iterable[RuleResult]) -> list[str]:
        """What results of this verdict are called; with its limit where two rules are for the same thing."""
        counts = Counter(rule.name for rule in self.rules)
        return [result.name_with_limit if counts[result.name] > 1 else result.name for result in results]

    def worst_first(self) -> list[RuleResult]:
        """Infrastructure, regressed, inconclusive, passed; of each the smallest p-value first."""
        return sorted(self.rules, key=_badness)

    def to_json(self) -> dict[str, Any]:
        """``{"verdict", "exit_code", "run", "baseline", "rules": [{…, "verdict", "needed_n"}], …}``, rules in their order."""
        return {
            "verdict": self.verdict, "exit_code": self.exit_code, "run": self.run_id, "config": self.config,
            "baseline": self.baseline, "alpha": self.alpha, "level": self.level, "correction": self.correction,
            "night": self.night, "rules": [asdict(rule) for rule in self.rules], "notes": list(self.notes),
        }  # fmt: skip


def worst(words: list[Word]) -> Word:
    """The verdict of a gate from those of its rules: one that is broken is no verdict, one regression is enough."""
    return min(words, key=_WORST_FIRST.index)


def _badness(result: RuleResult) -> tuple[int, float, float]:
    p = 1.0 if result.p_adjusted is None else result.p_adjusted
    return _WORST_FIRST.index(result.verdict), p, 1.0 if result.p_value is None else result.p_value
