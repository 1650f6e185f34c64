"""Three answers to "does it hold?": the decisions of a gate, from evidence that can say how likely it is where nothing changed.

*Passed*: the one-sided lower bound lies beyond the limit, uncorrected: a gate passes only if every rule does, an
intersection-union test (Berger 1982, Technometrics 24), whose error is that of one rule. *Regressed*: H0 "the limit is kept" is
rejected after the correction for all rules. *Inconclusive*: neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.stats.multiple import adjust
from harness.stats.power import needed_n
from harness.stats.proportions import highest_share

POWER = 0.8
"""The power that ``needed_n`` aims at."""

RuleVerdict = Literal["regressed", "inconclusive", "passed"]


class Evidence(Protocol):
    """What is asked of a ``Contrast``: one-sided tests and bounds of one quantity, and the n that it wants."""

    def p_above(self, margin: float) -> float: ...
    def p_below(self, margin: float) -> float: ...
    def lower(self, alpha: float) -> float: ...
    def upper(self, alpha: float) -> float: ...
    def needed_n(self, margin: float, *, alpha: float, power: float = ..., assumed: float = ...) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Question:
    """Does the quantity lie ``above`` (or ``below``) ``margin``?

    ``evidence`` None: the quantity is undefined, and nothing is decided. ``seen`` is its value in these ``n`` units.
    """

    evidence: Evidence | None
    margin: float
    side: Literal["above", "below"]
    seen: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """``p_pass``: of H0 "the limit is not kept". ``p_value``: of H0 "the limit is kept", ``p_adjusted`` for all questions.

    ``low`` and ``high`` are the one-sided bounds at ``alpha`` each. ``needed_n``: units in all that would decide with 80 %
    power if nothing has changed, or, where there are as many already, if things are as they were seen; None where it is
    decided, where no n will do, and where the spread of the units is unknown.
    """

    verdict: RuleVerdict
    p_pass: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    low: float | None = None
    high: float | None = None
    needed_n: int | None = None


def decide(
    questions: Sequence[Question], *, alpha: float = 0.05, correction: Literal["holm", "bh", "by", "none"] = "holm",
    level: float | None = None,
) -> list[Decision]:
    """The answer to each question. ``alpha`` is that of passing, ``level`` (by default the same) that of *regressed*.

    A stream of nights spends the second and not the first: each night is let through by itself.
    """
    asked = [question for question in questions if question.evidence is not None]
    adjusted = iter(adjust([_p_of_regression(question) for question in asked], correction) if asked else ())
    tested = _Levels(alpha, alpha if level is None else level, len(asked))
    return [
        Decision("inconclusive") if question.evidence is None else _decision(question, float(next(adjusted)), tested)
        for question in questions
    ]


@dataclass(frozen=True, slots=True)
class _Levels:
    """Of passing, of *regressed*, and how many share the second."""

    passing: float
    regressed: float
    n_questions: int


def _p_of_regression(question: Question) -> float:
    assert question.evidence is not None
    evidence, margin = question.evidence, question.margin
    return evidence.p_below(margin) if question.side == "above" else evidence.p_above(margin)


def _decision(question: Question, p_adjusted: float, levels: _Levels) -> Decision:
    assert question.evidence is not None
    evidence, margin = question.evidence, question.margin
    p_value = _p_of_regression(question)
    p_pass = evidence.p_above(margin) if question.side == "above" else evidence.p_below(margin)
    word: RuleVerdict = "passed" if p_pass < levels.passing else "inconclusive"
    if p_adjusted < levels.regressed:
        word = "regressed"
    needed = _needed_n(question, evidence, levels) if word == "inconclusive" else None
    low, high = _finite(evidence.lower(levels.passing)), _finite(evidence.upper(levels.passing))
    return Decision(word, p_pass, p_value, p_adjusted, low, high, needed)


def _needed_n(question: Question, evidence: Evidence, levels: _Levels) -> int | None:
    margin, seen = question.margin, question.seen
    needed = evidence.needed_n(margin, alpha=levels.passing, power=POWER)
    if needed is None or needed > question.n or seen is None:
        return needed
    is_kept = seen > margin if question.side == "above" else seen < margin
    alpha = levels.passing if is_kept else levels.regressed / levels.n_questions  # the first of Holm's levels
    return evidence.needed_n(margin, alpha=alpha, power=POWER, assumed=seen)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Share:
    """One proportion of independent hits and misses, by the exact binomial (Clopper and Pearson 1934, Biometrika 26).

    ``p_above(margin)``: of H0 "the share is at most margin", P(at least ``hits`` | margin); ``p_below`` the other way round.
    ``lower(alpha)`` lies above a margin exactly where ``p_above`` of it is below alpha.
    """

    hits: int
    n: int

    def p_above(self, margin: float) -> float:
        if self.hits == 0 or margin >= 1:
            return 1.0
        return 0.0 if margin < 0 else _at_least(self.hits, self.n, margin)

    def p_below(self, margin: float) -> float:
        return Share(self.n - self.hits, self.n).p_above(1 - margin)

    def lower(self, alpha: float) -> float:
        return 1 - highest_share(self.n - self.hits, self.n, alpha)

    def upper(self, alpha: float) -> float:
        return highest_share(self.hits, self.n, alpha)

    def needed_n(self, margin: float, *, alpha: float, power: float = POWER, assumed: float | None = None) -> int | None:
        """Trials that tell the share ``assumed`` (None: as it is here) from ``margin``, by the normal approximation.

        At least as many as an unbroken row of hits, or of misses, needs. None for equal shares and for a margin of 0 or 1.
        """
        assumed = self.hits / self.n if assumed is None else assumed
        if not 0 < margin < 1:
            return None
        spread = max(math.sqrt(assumed * (1 - assumed)), math.sqrt(margin * (1 - margin)))
        wanted = needed_n(spread, margin, alpha, power, assumed=assumed)
        if wanted is None:
            return None
        row = math.log(alpha) / math.log(margin if assumed > margin else 1 - margin)
        return max(wanted if 0 < assumed < 1 else 0, math.ceil(row))  # of shares 0 and 1 the row alone decides


def _at_least(hits: int, n: int, share: float) -> float:
    """P(at least ``hits`` of ``n``) with that share of hits."""
    from scipy.special import betainc

    return float(betainc(hits, n - hits + 1, share))
