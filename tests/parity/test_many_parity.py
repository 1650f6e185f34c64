"""Analysis of variance, Friedman's test and what follows it, against scipy, statsmodels, pingouin and scikit-posthocs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.effects import cliffs_delta, cohen_d, hedges_g
from harness.stats.many import anova, conover, friedman, nemenyi, repeated_anova

TABLE = np.array([[((7 * i * i + 3 * i * j + 5 * j) % 11) / 2 + 1.5 * j for j in range(4)] for i in range(12)])
PAIRS = np.triu_indices(4, 1)

tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=3, max_size=12)
).map(lambda rows: np.array(rows, dtype=float))


@given(values=tables)
@settings(max_examples=40, deadline=None)
def test_f_and_friedman_of_made_tables(values):
    if np.ptp(values, axis=0).any():
        of_scipy = scipy.stats.f_oneway(*values.T)
        found = anova(values)
        assert found.statistic == pytest.approx(of_scipy.statistic, rel=1e-9, abs=1e-9)
        assert found.p_value == pytest.approx(of_scipy.pvalue, rel=1e-9)
    if values.shape[1] > 2 and np.ptp(values, axis=1).any():
        theirs, ours = scipy.stats.friedmanchisquare(*values.T), friedman(values)
        assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-12)


def test_repeated_measures():
    pandas = pytest.importorskip("pandas")
    of_statsmodels = pytest.importorskip("statsmodels.stats.anova")
    rows = [(item, model, TABLE[item, model]) for item in range(12) for model in range(4)]
    frame = pandas.DataFrame(rows, columns=["item", "model", "value"])
    (theirs,) = of_statsmodels.AnovaRM(frame, "value", "item", within=["model"]).fit().anova_table.to_numpy().tolist()
    found = repeated_anova(TABLE)
    assert (found.statistic, *found.dof, found.p_value) == pytest.approx(theirs, rel=1e-9)
    # pingouin 0.6.1: rm_anova(frame, "value", "model", "item", correction=True): eps, p_GG_corr.
    assert (found.epsilon, found.p_corrected) == pytest.approx((0.701215143148173, 0.00021663946846562244), rel=1e-9)


def test_all_pairs():
    # scikit-posthocs 0.17.1: posthoc_nemenyi_friedman, posthoc_conover_friedman without and with p_adjust="holm".
    assert nemenyi(TABLE).p_values[PAIRS] == pytest.approx(
        [0.7784833687572137, 0.16793644180648737, 0.00044851751536456597, 0.6853421409087452, 0.014171584059995745,
         0.22910353693815166], abs=1e-9)
    assert conover(TABLE, correction="none").p_values[PAIRS] == pytest.approx(
        [0.2016801607881581, 0.008009636232291369, 5.213587339786476e-06, 0.13806833839435828, 0.00023539285354404118,
         0.013656445381609613], rel=1e-9)
    found = conover(TABLE).p_values
    assert found[PAIRS] == pytest.approx(
        [0.27613667678871656, 0.032038544929165476, 3.128152403871886e-05, 0.27613667678871656, 0.0011769642677202058,
         0.04096933614482884], rel=1e-9)
    assert (found == found.T).all()


def test_demsars_critical_values():
    # Demšar 2006, JMLR 7, table 5: q / sqrt(2) at 0.05 and 0.10 for 2 to 10 models.
    printed = {0.05: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
               0.10: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]}
    for alpha, row in printed.items():
        for k, q in zip(range(2, 11), row):
            values = np.random.default_rng(k).standard_normal((6, k))
            assert nemenyi(values, alpha=alpha).critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / 36), abs=1.5e-3)


def test_effect_sizes():
    # pingouin 0.6.1: compute_effsize(x, y, eftype="cohen") and "hedges" (that one with the approximate factor).
    first, last = TABLE[:, 0], TABLE[:, 3]
    assert cohen_d(first, last) == pytest.approx(-2.7247584458193805, rel=1e-12)
    assert hedges_g(first, last) == pytest.approx(-2.6308012580325055, rel=2e-4)
    u = scipy.stats.mannwhitneyu(TABLE[:, 1], TABLE[:, 2]).statistic
    assert cliffs_delta(TABLE[:, 1], TABLE[:, 2]) == pytest.approx(2 * u / 144 - 1, rel=1e-12)
