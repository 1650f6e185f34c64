"""Many models at once: Demšar's worked example, the size of the tests, degenerate tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.many import anova, conover, friedman, nemenyi, repeated_anova

# Demšar 2006, JMLR 7, table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets. (One of the two that are printed
# as 0.975 has the better rank there: 0.9751, as in scipy's tests.)
DEMSAR = np.array([
    [.763, .768, .771, .798], [.599, .591, .590, .569], [.954, .971, .968, .967], [.628, .661, .654, .657],
    [.882, .888, .886, .898], [.936, .931, .916, .931], [.661, .668, .609, .685], [.583, .583, .563, .625],
    [.775, .838, .866, .875], [1.000, 1.000, 1.000, 1.000], [.940, .962, .965, .962], [.619, .666, .614, .669],
    [.972, .981, .9751, .975], [.957, .978, .946, .970],
])  # fmt: skip


def test_demsars_example():
    found = friedman(DEMSAR)
    assert found.mean_ranks.round(3).tolist() == [3.143, 2.000, 2.893, 1.964]
    # scipy 1.17.1, test_friedmanchisquare ("verified with matlab and R").
    assert (found.statistic, found.p_value) == pytest.approx((10.2283464566929, 0.0167215803284414), rel=1e-12)
    # Printed: chi² 9.28 and F 3.69, without the correction for ties.
    n, k = DEMSAR.shape
    uncorrected = 12 * n / (k * (k + 1)) * ((found.mean_ranks**2).sum() - k * (k + 1) ** 2 / 4)
    assert uncorrected == pytest.approx(9.28, abs=0.005)
    assert (n - 1) * uncorrected / (n * (k - 1) - uncorrected) == pytest.approx(3.69, abs=0.005)
    assert found.agreement == pytest.approx(found.statistic / (n * (k - 1)))
    assert nemenyi(DEMSAR, alpha=0.10).critical_difference == pytest.approx(2.291 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    # "the critical value for 4 classifiers is 2.569": CD 1.25; no pair is further apart than 1.18.
    post = nemenyi(DEMSAR)
    assert post.critical_difference == pytest.approx(1.25, abs=0.005)
    gaps = np.abs(post.mean_ranks[:, None] - post.mean_ranks)
    assert ((gaps > post.critical_difference) == (post.p_values < 0.05)).all()
    assert ((gaps > nemenyi(DEMSAR, alpha=0.10).critical_difference) == (post.p_values < 0.10)).all()


def test_anova_by_hand():
    values = np.array([[6.0, 8, 13], [8, 12, 9], [4, 9, 11], [5, 11, 8], [3, 6, 7], [4, 8, 12]])
    # The worked example of Wikipedia's "One-way analysis of variance": F = 42 / 4.53 = 9.3.
    found = anova(values)
    assert (found.statistic, found.dof) == (pytest.approx(84 / 2 / (68 / 15)), (2.0, 15.0))
    assert found.p_value == pytest.approx(0.00240, abs=5e-5)
    gone = values.copy()
    gone[0, 1] = np.nan
    assert anova(gone).dof == (2.0, 14.0)
    assert repeated_anova(gone).dof == (2.0, 8.0)
    # Items' own levels do not matter to repeated measures, and do to groups.
    moved = values + 100 * np.arange(6)[:, None]
    assert repeated_anova(moved).statistic == pytest.approx(repeated_anova(values).statistic)
    assert anova(moved).statistic < 0.1


def test_of_two_models_it_is_the_paired_t_squared():
    values = DEMSAR[:, :2]
    difference = values[:, 0] - values[:, 1]
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference)))
    found = repeated_anova(values)
    assert found.statistic == pytest.approx(t**2)
    assert found.epsilon == pytest.approx(1.0)
    assert found.p_corrected == pytest.approx(found.p_value)


def test_sizes_under_no_difference():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(500):
        values = rng.standard_normal((15, 1)) + rng.standard_normal((15, 4))
        p.append((friedman(values).f_p_value, repeated_anova(values).p_value, anova(values).p_value,
                  conover(values).p_values.min()))
    share = (np.array(p) < 0.1).mean(axis=0)
    assert share[:2] == pytest.approx(0.1, abs=0.03)
    assert share[2] < 0.06  # groups: shared items make them alike
    assert share[3] <= 0.13


def test_nothing_and_everything_differs():
    flat = np.full((5, 3), 0.3)
    assert [test(flat).p_value for test in (anova, repeated_anova, friedman)] == [1.0] * 3
    assert (nemenyi(flat).p_values == 1).all()
    assert (conover(flat).p_values == 1).all()
    # Every item orders three models alike: shuffled items do so with probability 1 / 6^(n - 1); of pairs, 2 · 0.5^n.
    alike = np.tile([0.1, 0.2, 0.3], (4, 1))
    assert repeated_anova(alike).p_value == pytest.approx(6.0**-3)
    assert friedman(alike).f_p_value == pytest.approx(6.0**-3)
    assert (friedman(alike).agreement, friedman(alike).mean_ranks.tolist()) == (1.0, [3.0, 2.0, 1.0])
    assert conover(alike, correction="none").p_values[0, 1] == 0.125
    assert conover(alike).p_values[0, 1] == 0.375
    assert anova(alike).p_value == pytest.approx(1 / (math.factorial(12) / math.factorial(4) ** 3))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: friedman(np.zeros((4, 1))), r"friedman: values must be \(items, models\) of at least two models, got shape"),
    (lambda: nemenyi(np.zeros(4)), r"nemenyi: values must be \(items, models\)"),
    (lambda: conover(np.array([[1, 2], [np.nan, 1.0]])), "conover: needs at least two items with"),
    (lambda: repeated_anova(np.zeros((1, 3))), "repeated_anova: values must be"),
    (lambda: anova(np.array([[1.0, np.nan], [2.0, np.nan]])), r"anova: every model needs values, and one .* got \[2, 0\]"),
    (lambda: nemenyi(DEMSAR, alpha=0), "nemenyi: alpha must lie strictly between 0 and 1, got 0"),
])
def test_bad_input_is_refused(call, message):
    with pytest.raises(UsageError, match=rf"^{message}"):
        call()
