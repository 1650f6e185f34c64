"""Two-system tests against scipy 1.13+ and statsmodels 0.14, on real scores: people's judgements of dialogue responses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from harness.stats.contrast import contrast
from harness.stats.equivalence import tost_paired
from harness.stats.multiple import Adjustment, adjust
from harness.stats.pairedtests import paired_bootstrap_test, permutation_test, randomization_test, sign_test, t_test, wilcoxon
from harness.stats.proportions import clopper_pearson, mcnemar
from harness.types import FloatArray


@pytest.fixture(scope="module")
def pair(shared_data: Callable[[str], Path]) -> tuple[FloatArray, FloatArray]:
    """People's overall scores of two systems' responses to the same 60 dialogues."""
    rows = json.loads(shared_data("topical_chat_judgements/topical_chat.json").read_text(encoding="utf-8"))
    by_system: dict[str, dict[str, float]] = {}
    for row in rows:
        by_system.setdefault(row["system_id"], {})[row["source"]] = row["scores"]["overall"]
    names = sorted(by_system)
    first, second = by_system[names[0]], by_system[names[1]]
    common = [source for source in first if source in second]
    return np.array([second[source] for source in common]), np.array([first[source] for source in common])


def rows(values: FloatArray) -> FloatArray:
    return np.stack([values, np.ones(len(values))], axis=1)


def ratio(totals: FloatArray) -> FloatArray:
    return np.asarray(totals[..., 0] / totals[..., 1])


def of_rows(stats_: FloatArray, weights: FloatArray) -> FloatArray:
    return ratio(weights @ stats_)


ALTERNATIVES = ("two-sided", "greater", "less")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_tests_of_differences(pair: tuple[FloatArray, FloatArray], alternative: str) -> None:
    b, a = pair
    assert len(b) >= 50
    assert t_test(b - a, alternative=alternative) == pytest.approx(  # type: ignore[arg-type]
        stats.ttest_rel(b, a, alternative=alternative).pvalue)
    for zeros in ("wilcox", "pratt"):
        for n in (len(b), 12):
            reference = stats.wilcoxon(b[:n] - a[:n], zero_method=zeros, alternative=alternative, method="asymptotic").pvalue
            found = wilcoxon(b[:n] - a[:n], zeros=zeros, alternative=alternative)  # type: ignore[arg-type]
            # exact given the ties here, normal there
            assert found == pytest.approx(reference, abs=0.003 if n > 50 else 0.03)
    smooth = (b - a)[:40] + np.linspace(0.001, 0.04, 40)  # without ties and zeros scipy is exact too
    assert wilcoxon(smooth, alternative=alternative) == pytest.approx(  # type: ignore[arg-type]
        stats.wilcoxon(smooth, alternative=alternative, method="exact").pvalue, rel=1e-9)
    many = np.tile(b - a, 3)  # more than 50: normal on both sides, ties and all
    assert wilcoxon(many, alternative=alternative) == pytest.approx(  # type: ignore[arg-type]
        stats.wilcoxon(many, alternative=alternative, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_permutations(pair: tuple[FloatArray, FloatArray], alternative: str) -> None:
    b, a = pair
    few = stats.permutation_test(
        (b[:10] - a[:10],), np.sum, permutation_type="samples", n_resamples=np.inf, alternative=alternative).pvalue
    found = permutation_test(b[:10] - a[:10], alternative=alternative, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    if alternative == "two-sided":  # scipy doubles the smaller tail; the signs are symmetric
        assert found.p_value == pytest.approx(few)
        swapped = randomization_test(rows(b[:10]), rows(a[:10]), of_rows, finish=ratio, rng=np.random.default_rng(0))
        assert swapped.p_value == pytest.approx(few)
    assert found.p_value == pytest.approx(few)
    many = stats.permutation_test(
        (b - a,), np.sum, permutation_type="samples", n_resamples=9999, alternative=alternative, vectorized=True,
        rng=np.random.default_rng(1)).pvalue
    found = permutation_test(b - a, alternative=alternative, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert found.p_value == pytest.approx(many, abs=0.02)


def test_the_sign_test_and_mcnemar(pair: tuple[FloatArray, FloatArray]) -> None:
    b, a = pair
    up, down = int((b > a).sum()), int((b < a).sum())
    assert sign_test(b - a) == pytest.approx(stats.binomtest(up, up + down).pvalue)
    for only_b, only_a in ((1, 9), (7, 7), (30, 11), (0, 4)):
        table = [[50, only_b], [only_a, 20]]
        assert mcnemar(only_b, only_a) == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
        assert mcnemar(only_b, only_a, "chi2") == pytest.approx(
            statsmodels_mcnemar(table, exact=False, correction=False).pvalue)
    for hits, n in ((0, 10), (3, 10), (10, 10), (81, 263)):
        assert clopper_pearson(hits, n, 0.9) == pytest.approx(proportion_confint(hits, n, alpha=0.1, method="beta"))


def test_corrections_for_many_tests() -> None:
    p = np.random.default_rng(0).uniform(size=40) ** 3
    p[7] = p[11]
    names: dict[Adjustment, str] = {"holm": "holm", "bh": "fdr_bh", "by": "fdr_by", "bonferroni": "bonferroni"}
    for method, name in names.items():
        assert adjust(p.tolist(), method).tolist() == pytest.approx(multipletests(p, method=name)[1].tolist())
    assert adjust(p.tolist(), "bh").tolist() == pytest.approx(stats.false_discovery_control(p).tolist())


def test_equivalence(pair: tuple[FloatArray, FloatArray]) -> None:
    b, a = pair
    p, lower, upper = ttost_paired(b, a, -2.0, 2.0)
    found = tost_paired(b, a, -2.0, 2.0)
    assert (found.p_value, found.p_above_low, found.p_below_high) == pytest.approx((p, lower[1], upper[1]))


def test_the_paired_bootstrap_and_the_error_of_a_contrast(pair: tuple[FloatArray, FloatArray]) -> None:
    b, a = pair
    reference = stats.bootstrap((b, a), lambda x, y, axis: (x - y).mean(axis), paired=True, n_resamples=9999,
                                method="percentile", rng=np.random.default_rng(0))
    found = contrast(rows(b), rows(a), of_rows, finish=ratio, rng=np.random.default_rng(0))
    n = len(b)
    assert found.error * np.sqrt((n - 1) / n) == pytest.approx(reference.standard_error, rel=0.03)
    assert found.difference.low == pytest.approx(reference.confidence_interval.low, abs=0.3 * found.error)
    assert found.difference.high == pytest.approx(reference.confidence_interval.high, abs=0.3 * found.error)
    shares = paired_bootstrap_test(rows(b), rows(a), of_rows, finish=ratio, n_bootstrap=9999, rng=np.random.default_rng(2))
    sign = np.sign(np.mean(b - a))
    assert shares.wins_against == pytest.approx((sign * reference.bootstrap_distribution <= 0).mean(), abs=0.02)
