"""Decisions from evidence whose p-values are known in closed form: a normal value with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import pytest

from harness.gate.decide import Question, Share, decide

NORMAL = NormalDist()


@dataclass(frozen=True)
class Normal:
    """A value with a known standard error: the one-sided z test."""

    value: float
    error: float
    n: int = 100

    def p_above(self, margin: float) -> float:
        return NORMAL.cdf((margin - self.value) / self.error)

    def p_below(self, margin: float) -> float:
        return NORMAL.cdf((self.value - margin) / self.error)

    def lower(self, alpha: float) -> float:
        return self.value + NORMAL.inv_cdf(alpha) * self.error

    def upper(self, alpha: float) -> float:
        return self.value - NORMAL.inv_cdf(alpha) * self.error

    def needed_n(self, margin: float, *, alpha: float, power: float = 0.8, assumed: float = 0.0) -> int | None:
        z = NORMAL.inv_cdf(1 - alpha) + NORMAL.inv_cdf(power)
        return math.ceil(self.n * (z * self.error / (assumed - margin)) ** 2) if assumed != margin else None


def drop(value: float, error: float, allowed: float) -> Question:
    return Question(Normal(value, error), -allowed, "above", value, 100)


def test_passed_is_the_lower_bound_above_minus_the_allowed_drop() -> None:
    # z of the difference above -0.02: (0 + 0.02) / error; 1.645 at error 0.01216
    passed, short = decide([drop(0.0, 0.0121, 0.02), drop(0.0, 0.0122, 0.02)])
    assert (passed.verdict, short.verdict) == ("passed", "inconclusive")
    assert passed.low is not None
    assert short.low is not None
    assert passed.low > -0.02 > short.low


def test_regressed_is_the_drop_beyond_doubt_larger_than_allowed() -> None:
    # -0.04 lies (0.04 - 0.02) / 0.012 = 1.667 errors beyond -0.02, p 0.0478; at 0.0123 1.626, p 0.0520
    worse, unclear = (decide([drop(-0.04, error, 0.02)])[0] for error in (0.012, 0.0123))
    assert (worse.verdict, unclear.verdict) == ("regressed", "inconclusive")
    assert worse.p_value == pytest.approx(0.04779, abs=1e-5)


def test_a_significant_drop_within_the_allowed_one_passes() -> None:
    found = decide([drop(-0.01, 0.001, 0.02)])[0]
    assert found.verdict == "passed"
    assert found.high is not None
    assert found.high < 0


@pytest.mark.parametrize(("correction", "words"), [
    ("holm", ["inconclusive", "regressed", "inconclusive"]),
    ("none", ["regressed", "regressed", "inconclusive"]),
    ("bh", ["regressed", "regressed", "inconclusive"]),
    ("by", ["inconclusive", "regressed", "inconclusive"]),
])  # fmt: skip
def test_regressions_are_corrected_for_all_questions(correction: str, words: list[str]) -> None:
    # p = .03, .001, .5. Holm: .06, .003, .5; BH: .045, .003, .5; BY (factor 11/6): .0825, .0055, .917
    z = [NORMAL.inv_cdf(p) for p in (0.03, 0.001, 0.5)]
    found = decide([drop(-0.02 + one * 0.01, 0.01, 0.02) for one in z], correction=correction)  # type: ignore[arg-type]
    assert [one.verdict for one in found] == words


def test_passing_is_not_corrected() -> None:
    """Each of 50 rules has p_pass 0.03: a gate passes only if all do, so that one rule's error is the gate's."""
    error = 0.02 / -NORMAL.inv_cdf(0.03)
    assert {one.verdict for one in decide([drop(0.0, error, 0.02)] * 50)} == {"passed"}


def test_a_level_of_the_night_is_for_regressions_alone() -> None:
    asked = [drop(-0.06, 0.01, 0.02), drop(0.0, 0.001, 0.02)]  # 4 errors beyond: p 3.2e-5, of two 6.3e-5
    assert [one.verdict for one in decide(asked, level=1e-4)] == ["regressed", "passed"]
    assert [one.verdict for one in decide(asked, level=6e-5)] == ["inconclusive", "passed"]


def test_lower_is_better_looks_from_the_other_side() -> None:
    def rise(value: float) -> Question:
        return Question(Normal(value, 0.01), 0.02, "below", value, 100)

    assert [one.verdict for one in decide([rise(0.0), rise(0.05), rise(0.02)])] == ["passed", "regressed", "inconclusive"]


def test_the_undefined_is_inconclusive_and_no_hypothesis() -> None:
    p_03 = drop(-0.02 + NORMAL.inv_cdf(0.03) * 0.01, 0.01, 0.02)
    undefined = Question(None, -0.02, "above")
    found = decide([p_03, undefined])
    assert [one.verdict for one in found] == ["regressed", "inconclusive"]
    assert found[0].p_adjusted == pytest.approx(0.03)
    assert (found[1].p_value, found[1].needed_n) == (None, None)
    assert decide([]) == []


def test_the_needed_n_takes_it_that_nothing_changed() -> None:
    # (1.6449 + 0.8416)² · (sd 0.3162 / 0.02)² = 6.1826 · 250 = 1545.6, with sd² = 0.1 a unit
    found = decide([Question(Normal(-0.01, 0.1**0.5 / 10), -0.02, "above", -0.01, 100)])[0]
    assert (found.verdict, found.needed_n) == ("inconclusive", 1546)
    assert decide([drop(0.0, 0.001, 0.02)])[0].needed_n is None, "it is decided"


def test_where_there_are_as_many_the_needed_n_takes_things_as_they_were_seen() -> None:
    """-0.035 with an error of 0.01 is 1.5 errors beyond -0.02: 0.015 = 2.4865 errors needs 100 · (2.4865 · 0.01 / 0.015)²."""
    found = decide([Question(Normal(-0.035, 0.01), -0.02, "above", -0.035, 10_000)])[0]
    assert (found.verdict, found.needed_n) == ("inconclusive", math.ceil(100 * (2.486475 * 0.01 / 0.015) ** 2))


# ── shares ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_share_is_the_exact_binomial() -> None:
    """scipy 1.17.1: binomtest(8, 10, 0.5, alternative="greater") 0.0546875, ="less" 0.9892578125; proportion_ci(0.9) of
    the two-sided test 0.49309867, 0.96322818."""
    share = Share(8, 10)
    assert (share.p_above(0.5), share.p_below(0.5)) == (pytest.approx(0.0546875), pytest.approx(0.9892578125))
    assert (share.lower(0.05), share.upper(0.05)) == (pytest.approx(0.4930987, abs=1e-6), pytest.approx(0.9632282, abs=1e-6))


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 7), (30, 40)])
@pytest.mark.parametrize("margin", [0.01, 0.3, 0.74, 0.99])
def test_bounds_and_tests_of_a_share_agree(hits: int, n: int, margin: float) -> None:
    share = Share(hits, n)
    for alpha in (0.01, 0.05, 0.3):
        assert (share.lower(alpha) > margin) == (share.p_above(margin) < alpha)
        assert (share.upper(alpha) < margin) == (share.p_below(margin) < alpha)


def test_a_share_at_the_ends() -> None:
    """No hit among 100 leaves up to 0.0295 (the rule of three); certainty never comes."""
    assert Share(0, 100).upper(0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert (Share(0, 100).lower(0.05), Share(100, 100).upper(0.05)) == (0.0, 1.0)
    assert (Share(5, 5).p_above(1.0), Share(0, 5).p_below(0.0)) == (1.0, 1.0)
    assert (Share(3, 5).p_above(-0.1), Share(3, 5).p_below(1.1)) == (0.0, 0.0)


def test_how_many_trials_a_share_needs() -> None:
    assert Share(0, 100).needed_n(0.01, alpha=0.05) == 299, "0.99^299 < 0.05 <= 0.99^298"
    assert Share(100, 100).needed_n(0.99, alpha=0.05) == 299
    needed = Share(90, 100).needed_n(0.85, alpha=0.05)
    assert needed == math.ceil(0.85 * 0.15 * (2.486475 / 0.05) ** 2), "the larger spread of the two"
    assert Share(3, 10).needed_n(0.3, alpha=0.05) is None
    assert Share(3, 10).needed_n(1.0, alpha=0.05) is None
