"""A/B metrics against scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from harness.engine.score import Reading, score
from harness.metrics.experiments import ab_difference
from harness.metrics.sampleratio import srm
from harness.types import Outcomes


@pytest.mark.parametrize(("counts", "split"), [
    ([5000, 5000], None), ([821, 779], None), ([600, 450, 470], None), ([9000, 1100], [0.9, 0.1]),
    ([10, 20, 0], [0.3, 0.5, 0.2]),
])  # fmt: skip
def test_the_sample_ratio_equals_scipy(counts, split):
    expected = None if split is None else np.array(split) * sum(counts)
    assert srm(counts, split) == pytest.approx(scipy.stats.chisquare(counts, expected).pvalue, rel=1e-12)


def test_cuped_is_the_coefficient_of_a_linear_regression_and_its_interval_that_of_robust_errors(tmp_path):
    rng = np.random.default_rng(8)
    n = 1500
    x, arm = rng.gamma(2.0, 10.0, n), rng.random(n) < 0.4
    y = 3 + 0.5 * x + arm * 1.5 + rng.normal(size=n) * (1 + arm)
    fitted = sm.OLS(y, sm.add_constant(np.column_stack([arm, x]))).fit(cov_type="HC1")
    found = ab_difference(y, ["b" if one else "a" for one in arm], control="a", covariate=x)
    assert found == pytest.approx(fitted.params[1], rel=1e-9)
    log = tmp_path / "log.csv"
    rows = [f"u{i},{'ba'[not one]},{value!r},{before!r}"
            for i, (one, value, before) in enumerate(zip(arm, y.tolist(), x.tolist()))]
    log.write_text("\n".join(["user,variant,y,x", *rows]) + "\n")
    [result] = score('ab_difference(y,cuped=true,covariates=[x],control=a)', log, reading=Reading(group="user"))
    low, high = fitted.conf_int()[1]
    assert result.estimate.value == pytest.approx(fitted.params[1], rel=1e-9)
    assert (result.estimate.low, result.estimate.high) == (pytest.approx(low, rel=0.01), pytest.approx(high, rel=0.01))


def test_without_cuped_it_is_welchs_difference():
    rng = np.random.default_rng(9)
    a, b = rng.normal(0, 1, 900), rng.normal(0.2, 2, 700)
    theirs = scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    values = {f"a{i}": ("a", v) for i, v in enumerate(a)} | {f"b{i}": ("b", v) for i, v in enumerate(b)}
    answers = {key: Outcomes(variant, {"y": value}) for key, (variant, value) in values.items()}
    [result] = score("ab_difference(y,control=a)", answers)
    assert result.value == pytest.approx(b.mean() - a.mean(), rel=1e-12)
    assert result.estimate.low == pytest.approx(theirs.low, rel=0.02)
    assert result.estimate.high == pytest.approx(theirs.high, rel=0.01)
