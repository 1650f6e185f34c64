"""The studentised bootstrap and strata, against loops over literal resamples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.bootstrap import replicates, resample_weights
from harness.stats.studentised import Studentised, studentised

Array = np.ndarray


def ratio(totals: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return totals[..., 0] / totals[..., 1]


def ratio_error(x: Array, y: Array) -> float:
    """The textbook's linearised standard error of a ratio (Cochran 1977, 6.4)."""
    residuals = (x - x.sum() / y.sum() * y) / y.sum()
    return math.sqrt(len(x) / (len(x) - 1) * (residuals**2).sum())


def sums(n: int = 30) -> Array:
    rng = np.random.default_rng(2)
    return np.column_stack([rng.gamma(2, size=n), 1 + rng.gamma(3, size=n)])


def test_every_replicate_has_the_error_of_its_own_rows() -> None:
    rows = sums()
    found = studentised(ratio, rows, n_bootstrap=60, rng=np.random.default_rng(8))
    value = rows[:, 0].sum() / rows[:, 1].sum()
    assert (found.value, found.error) == pytest.approx((value, ratio_error(*rows.T)), rel=1e-6)
    literal = []
    for drawn in np.random.default_rng(8).integers(0, 30, size=(60, 30)):
        x, y = rows[drawn].T
        literal.append((x.sum() / y.sum() - value) / ratio_error(x, y))
    assert found.t == pytest.approx(literal, rel=1e-5)


def test_the_interval_turns_the_quantiles_round() -> None:
    found = Studentised(10.0, 2.0, np.linspace(-1, 3, 4001))
    assert found.interval(0.9) == pytest.approx((10 - 2 * 2.8, 10 + 2 * 0.8))
    with pytest.raises(UsageError, match="level"):
        found.interval(1.0)


def test_the_mean_of_normal_values_gets_students_interval() -> None:
    values = np.random.default_rng(1).normal(size=15)
    found = studentised(ratio, np.column_stack([values, np.ones(15)]), n_bootstrap=40_000, rng=np.random.default_rng(4))
    half = 2.1447867 * values.std(ddof=1) / math.sqrt(15)  # t of 14 degrees of freedom
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_replicates_without_spread_are_infinitely_far() -> None:
    """One hit of 20: a resample without it has no spread and lies below; they are 36 %, so that there is no upper end."""
    found = studentised(ratio, np.column_stack([np.eye(20)[0], np.ones(20)]), n_bootstrap=4000, rng=np.random.default_rng(0))
    assert (found.t == -math.inf).mean() == pytest.approx(0.95**20, abs=0.03)
    low, high = found.interval()
    assert high == math.inf
    assert math.isfinite(low)
    equal = studentised(ratio, np.ones((20, 2)), rng=np.random.default_rng(0))
    assert equal.interval() == (1.0, 1.0)


def test_undefined_replicates_are_left_out() -> None:
    rows = np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    found = studentised(ratio, rows, n_bootstrap=2000, rng=np.random.default_rng(1))
    assert np.isnan(found.t).mean() == pytest.approx(0.5**4, abs=0.03)
    assert all(map(math.isfinite, studentised(ratio, rows[:2], rng=np.random.default_rng(0)).interval(0.1)))
    with pytest.raises(UsageError, match="two units or more"):
        studentised(ratio, rows[:1], rng=np.random.default_rng(0))


# ── strata ──────────────────────────────────────────────────────────────────────────────────────────────────────────

STRATA = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1, 1])


def test_strata_keep_their_numbers_and_do_not_depend_on_blocks() -> None:
    whole = np.concatenate(list(resample_weights(10, 40, np.random.default_rng(3), strata=STRATA)))
    small = np.concatenate(list(resample_weights(10, 40, np.random.default_rng(3), strata=STRATA, block_bytes=300)))
    assert np.array_equal(whole, small)
    assert (whole[:, STRATA == 0].sum(axis=1) == 4).all()
    assert (whole[:, STRATA == 1].sum(axis=1) == 6).all()
    assert whole[:, 0].var() == pytest.approx(3 / 4, abs=0.45)  # binomial(4, 1/4)
    with pytest.raises(UsageError, match="strata must give a number"):
        next(resample_weights(9, 1, np.random.default_rng(0), strata=STRATA))


@pytest.mark.parametrize("finish", [lambda t: t[..., 0], None])
def test_stratified_replicates_vary_as_the_strata_do(finish) -> None:
    """The variance of a sum over strata is Σ n · variance inside the stratum; what lies between them does not count."""
    values = np.where(STRATA == 0, 100.0, 0.0) + np.arange(10)
    drawn = replicates(lambda s, w: w @ s[:, 0], values[:, None], finish=finish, strata=STRATA, n_bootstrap=4000,
                       rng=np.random.default_rng(6))
    expected = sum(len(part) * part.var() for part in (values[STRATA == 0], values[STRATA == 1]))
    assert drawn.var() == pytest.approx(expected, rel=0.1)


def test_studentised_strata_add_up_their_variances() -> None:
    values = np.where(STRATA == 0, 100.0, 0.0) + np.arange(10) ** 2
    rows = np.column_stack([values, np.ones(10)])
    found = studentised(ratio, rows, strata=STRATA, n_bootstrap=50, rng=np.random.default_rng(6))
    members = [np.flatnonzero(s == STRATA) for s in (0, 1)]
    parts = [values[rows_of] for rows_of in members]
    assert found.error == pytest.approx(math.sqrt(sum(len(p) * p.var(ddof=1) for p in parts)) / 10, rel=1e-6)
    weights = next(resample_weights(10, 50, np.random.default_rng(6), strata=STRATA))[0]
    drawn = [np.repeat(values[rows_of], weights[rows_of].astype(int)) for rows_of in members]
    error = math.sqrt(sum(len(p) * p.var(ddof=1) for p in drawn)) / 10
    assert found.t[0] == pytest.approx((sum(p.sum() for p in drawn) / 10 - values.mean()) / error, rel=1e-5)
