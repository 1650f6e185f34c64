import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.errors import UsageError
from harness.stats.estimate import estimate, missing_rows
from harness.stats.intervals import wilson
from harness.stats.patterns import lone_replicates

Array = np.ndarray
NAN = math.nan


def mean(totals: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return totals[..., 0] / totals[..., 1]


def mean_aggregate(stats: Array, weights: Array) -> Array:
    return mean(weights @ stats)


def column(*values: float) -> Array:
    return np.stack([np.array(values, dtype=float), np.where(np.isnan(values), NAN, 1.0)], axis=1)


def of(stats: Array, **settings: object):  # type: ignore[no-untyped-def]
    settings = {"finish": mean, "bounds": (0.0, 1.0), "rng": np.random.default_rng(0)} | settings
    return estimate(stats, mean_aggregate, **settings)  # type: ignore[arg-type]


# ── which interval ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_wilson_for_hits_and_misses() -> None:
    result = of(column(*[1.0] * 81, *[0.0] * 182), method="wilson")
    assert (result.method, result.n, result.n_missing, result.n_groups) == ("wilson", 263, 0, None)
    assert result.value == pytest.approx(81 / 263)
    assert (result.low, result.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998
    assert result.worst_case == result.best_case == result.value
    assert result.reason is None


def test_wilson_at_accuracy_one_is_not_plus_minus_zero() -> None:
    result = of(column(*[1.0] * 20), method="wilson")
    assert (result.value, result.high) == (1.0, 1.0)
    assert result.low == pytest.approx(1 - 0.1611, abs=5e-5)  # Newcombe 1998: 0 of 20


@pytest.mark.parametrize(
    ("settings", "method"),
    [({"units": np.array([0, 0, 1, 2, 3])}, "score(delta)"), ({"groups": np.array([0, 0, 1, 1, 2])}, "cluster score(delta)")],
    ids=["repeats", "clusters"],
)
def test_wilson_gives_way_to_the_score_interval(settings: dict[str, Array], method: str) -> None:
    assert of(column(1, 0, 1, 1, 0), method="wilson", **settings).method == method


def test_wilson_gives_way_where_values_are_no_hits() -> None:
    assert of(column(1, 0, 0.5), method="wilson").method == "score(delta)"
    pairs = np.array([[1.0, 2.0], [0.0, 1.0], [2.0, 2.0]])  # a ratio of sums: rows 0.5, 0, 1
    assert of(pairs, method="wilson").method == "score(delta)"
    uneven = np.array([[2.0, 2.0], [0.0, 1.0]])  # rows 1 and 0, but the value is 2/3, not their mean
    assert of(uneven, method="wilson").method == "score(delta)"


# The score interval and its degrees of freedom by hand, from what is written in harness/stats/methods.py and moments.py.


def by_hand(values: Array, n: int, value: float, error: float) -> tuple[float, float]:
    """``values``: what each of n units adds to the value, on average 0, times n."""
    growth = 1 / value - 1 / (1 - value)
    left = (values**2 / np.mean(values**2) - 1 - growth * values) ** 2
    dof = max(1.0, min(n - 1, 2 * n / left.mean()))
    z = math.sqrt((dof + 1) / dof) * float(scipy_stats.t(dof).ppf(0.975))
    trials = value * (1 - value) / error**2
    center = (value + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(value * (1 - value) / trials + (z / (2 * trials)) ** 2)
    return center - half, center + half


def test_means_between_bounds_get_a_score_interval() -> None:
    values = np.random.default_rng(3).beta(2, 5, size=60)
    result = of(column(*values))
    expected = by_hand(values - values.mean(), 60, values.mean(), values.std(ddof=1) / math.sqrt(60))
    assert (result.value, result.low, result.high) == pytest.approx((values.mean(), *expected), rel=1e-6)
    assert result.method == "score(delta)"


def test_other_bounds_only_stretch_it() -> None:
    values = np.random.default_rng(3).beta(2, 5, size=60)
    plain, stretched = of(column(*values)), of(column(*(200 * values - 100)), bounds=(-100.0, 100.0))
    assert (stretched.low, stretched.high) == pytest.approx((200 * plain.low - 100, 200 * plain.high - 100), rel=1e-6)


def test_hits_in_clusters_are_fewer_trials() -> None:
    """Pairs of equal hits are half as many trials: the interval is Wilson's of the pairs, but for Student's t."""
    hits = np.repeat([1.0] * 30 + [0.0] * 70, 2)
    result = of(column(*hits), method="wilson", groups=np.arange(200) // 2)
    assert (result.low, result.high) == pytest.approx(wilson(30, 100), abs=0.004)
    assert result.high - result.low > wilson(30, 100)[1] - wilson(30, 100)[0]
    assert (result.method, result.n, result.n_groups) == ("cluster score(delta)", 200, 100)


def test_clusters_of_unequal_size() -> None:
    values, groups = np.array([0.1, 0.9, 0.2, 0.8, 0.8, 0.7, 0.3, 0.6]), np.array([7, 7, 3, 3, 3, 9, 4, 4])
    result = of(column(*values), groups=groups)
    value = values.mean()
    sums = np.array([(values - value)[groups == g].sum() for g in (3, 4, 7, 9)]) / 8
    expected = by_hand(4 * sums, 4, value, math.sqrt(4 / 3 * (sums**2).sum()))
    assert (result.low, result.high) == pytest.approx(expected, rel=1e-6)
    assert (result.method, result.n, result.n_groups) == ("cluster score(delta)", 8, 4)


def bca_by_hand(values: Array, drawn: Array) -> tuple[float, float]:
    """Efron 1987, with Student's quantile of the degrees of freedom that the kurtosis of the values leaves."""
    apart, n = values - values.mean(), len(values)
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    dof = max(1.0, min(n - 1, 2 * n / (np.mean(apart**4) / np.mean(apart**2) ** 2 - 1)))
    z = math.sqrt((dof + 1) / dof) * float(scipy_stats.t(dof).ppf(0.975))
    bias = scipy_stats.norm.ppf((np.mean(drawn < values.mean()) + np.mean(drawn <= values.mean())) / 2)
    shares = [scipy_stats.norm.cdf(bias + (bias + end) / (1 - acceleration * (bias + end))) for end in (-z, z)]
    low, high = np.quantile(drawn, shares)
    return float(low), float(high)


@pytest.mark.parametrize("n", [60, 300])
def test_means_without_bounds_get_the_bca_bootstrap(n: int) -> None:
    values = np.random.default_rng(3).exponential(size=n)
    result = of(column(*values), bounds=(0.0, None), n_bootstrap=500, rng=np.random.default_rng(11))
    drawn = values[np.random.default_rng(11).integers(0, n, size=(500, n))].mean(axis=1)
    assert (result.low, result.high) == pytest.approx(bca_by_hand(values, drawn), rel=1e-6)
    assert result.method == "bootstrap(bca, 500)"


def test_clusters_are_resampled_whole() -> None:
    values = np.random.default_rng(3).exponential(size=90)
    result = of(column(*values), bounds=(None, None), groups=np.arange(90) // 3, n_bootstrap=400, rng=np.random.default_rng(2))
    means = values.reshape(30, 3).mean(axis=1)
    drawn = means[np.random.default_rng(2).integers(0, 30, size=(400, 30))].mean(axis=1)
    assert (result.low, result.high) == pytest.approx(bca_by_hand(means, drawn), rel=1e-6)
    assert (result.method, result.n, result.n_groups) == ("cluster bootstrap(bca, 400)", 90, 30)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, None)])
def test_aggregate_and_finish_agree(bounds: tuple[float, float | None]) -> None:
    values = column(*np.random.default_rng(4).random(90))
    units, groups = np.repeat(np.arange(30), 3), np.arange(30) // 2
    settings = {"units": units, "groups": groups, "bounds": bounds, "n_bootstrap": 4000}
    fast, slow = of(values, **settings), of(values, finish=None, **settings)
    assert fast.value == pytest.approx(slow.value, rel=1e-12)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.1 * (fast.high - fast.low))


def test_many_units_are_left_out_in_random_groups() -> None:
    """The jackknife of 100 groups of units gives the shape that 1,000 units give; replicates are the same."""
    values = np.random.default_rng(4).exponential(size=1000)
    fast = of(column(*values), bounds=(0.0, None))
    slow = of(column(*values), bounds=(0.0, None), finish=None)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.05 * (fast.high - fast.low))


def test_few_distinct_rows_are_drawn_as_counts() -> None:
    """Macro recall of two classes, which is not additive for the caller; the error is the delta method's, by hand."""
    rows = np.random.default_rng(9).integers(0, 2, size=(500, 2)).astype(float)

    def macro(stats: Array, weights: Array) -> Array:
        hit = stats[:, 0] == stats[:, 1]
        return np.mean([(weights * (hit & (stats[:, 0] == c))).sum(axis=1) / (weights * (stats[:, 0] == c)).sum(axis=1)
                        for c in (0, 1)], axis=0)

    result = estimate(rows, macro, bounds=(0.0, 1.0), n_bootstrap=4000, rng=np.random.default_rng(1))
    hits, totals = (np.array([f[rows[:, 0] == c].sum() for c in (0, 1)]) for f in (rows[:, 0] == rows[:, 1], np.ones(500)))
    recall = hits / totals
    error = math.sqrt((recall * (1 - recall) / totals).sum()) / 2
    assert result.method == "bootstrap(score, 4000)"
    assert (result.high - result.low) / 2 == pytest.approx(1.96 * error, rel=0.04)


def test_few_distinct_rows_lean_to_the_right_side() -> None:
    values = np.repeat([0.0, 1.0, 8.0], [150, 40, 10])
    rows = values[:, None]

    def average(stats: Array, weights: Array) -> Array:
        return weights @ stats[:, 0] / weights.sum(axis=1)

    result = estimate(rows, average, bounds=(0.0, None), rng=np.random.default_rng(1))
    drawn = lone_replicates(average, rows, rng=np.random.default_rng(1))
    assert (result.low, result.high) == pytest.approx(bca_by_hand(values, drawn), rel=1e-6)


def test_gaps_near_zero_are_no_proportions() -> None:
    """The error of a gap does not vanish at its bound 0: a score interval would leap to one that says nothing."""
    rng = np.random.default_rng(3)
    rows = np.column_stack([np.repeat([1.0, 0.0], 200), rng.random(400) < 0.5, np.ones(400)]).astype(float)

    def gap(stats: Array, weights: Array) -> Array:
        shares = [(weights * (stats[:, 0] == g) * stats[:, 1]).sum(axis=1) / (weights * (stats[:, 0] == g)).sum(axis=1)
                  for g in (0, 1)]
        return np.abs(shares[0] - shares[1])

    result = estimate(rows, gap, bounds=(0.0, 1.0), rng=np.random.default_rng(1))
    assert result.value < 0.06
    assert result.method == "bootstrap(bca, 1000)"
    assert result.high < 0.2


def test_the_error_of_an_area_is_known_as_well_as_its_few_positives_tell() -> None:
    """Twenty positives of 200: Student's quantile has the degrees of freedom of a variance of such kurtosis, by hand."""
    rng = np.random.default_rng(2)
    target = (np.arange(200) < 20).astype(float)
    rows = np.column_stack([target, rng.normal(size=200) + 2.5 * target])

    def area(stats: Array, weights: Array) -> Array:
        is_above = np.sign(np.subtract.outer(stats[:, 1], stats[:, 1])) / 2 + 0.5
        up, down = weights * stats[:, 0], weights * (1 - stats[:, 0])
        with np.errstate(invalid="ignore"):
            return np.einsum("bi,ij,bj->b", up, is_above, down, optimize=True) / (up.sum(axis=1) * down.sum(axis=1))

    found = estimate(rows, area, bounds=(0.0, 1.0), n_bootstrap=400, rng=np.random.default_rng(0))
    error = lone_replicates(area, rows, n_bootstrap=400, rng=np.random.default_rng(0)).std(ddof=1)
    excess = scipy_stats.kurtosis(area(rows, 1 - np.eye(200)))
    dof = 2 / (2 / 200 + excess / 200)
    assert dof < 40
    t = math.sqrt((dof + 1) / dof) * scipy_stats.t.ppf(0.975, dof)
    p = found.value
    trials = p * (1 - p) / error**2
    center = (p + t**2 / (2 * trials)) / (1 + t**2 / trials)
    half = t / (1 + t**2 / trials) * math.sqrt(p * (1 - p) / trials + t**2 / (4 * trials**2))
    assert (found.low, found.high) == (pytest.approx(center - half, abs=1e-9), pytest.approx(center + half, abs=1e-9))


def test_a_value_that_hangs_on_one_sample_says_so() -> None:
    rows = np.column_stack([np.r_[1.0, np.zeros(29)], np.linspace(0.7, 0.1, 30)])

    def above(stats: Array, weights: Array) -> Array:
        """The share of the others that lie below the one that is marked."""
        there = (weights * (stats[:, 0] == 1)).sum(axis=1) > 0
        share = (weights * (stats[:, 0] == 0) * (stats[:, 1] < 0.5)).sum(axis=1) / (weights * (stats[:, 0] == 0)).sum(axis=1)
        return np.where(there, share, np.nan)

    result = estimate(rows, above, bounds=(0.0, 1.0), rng=np.random.default_rng(1))
    assert result.reason is not None
    assert "a sample less leaves the value undefined" in result.reason
    assert result.low < 0.1
    assert result.high > 0.9


def test_no_interval_on_request() -> None:
    result = of(column(0.2, 0.4), method="none")
    assert (result.low, result.high, result.method) == (None, None, "none")
    assert result.value == pytest.approx(0.3)


def test_interval_is_stretched_to_a_value_that_resampling_misses() -> None:
    def distinct(stats: Array, weights: Array) -> Array:
        return (weights > 0).sum(axis=1).astype(float)

    result = estimate(column(*range(50)), distinct, rng=np.random.default_rng(0))
    draws = np.random.default_rng(0).integers(0, 50, size=(1000, 50))
    low, high = np.percentile([len(set(row)) for row in draws], [2.5, 97.5])
    assert high < 40  # a resampling holds about 63 % of the rows
    assert (result.low, result.value, result.high) == (low, 50, 50)


def test_same_seed_same_result() -> None:
    values = column(*np.random.default_rng(4).random(30))
    for bounds in ((0.0, 1.0), (0.0, None)):
        first, second = (of(values, bounds=bounds, rng=np.random.default_rng(6)) for _ in range(2))
        assert first == second
    assert first != of(values, bounds=(0.0, None), rng=np.random.default_rng(7))


@pytest.mark.parametrize("method", ["wilson", "bootstrap"])
def test_coverage_of_a_fair_coin(method: str) -> None:
    rng = np.random.default_rng(12345)
    covered = 0
    for _ in range(600):
        result = of(column(*rng.integers(0, 2, size=100)), method=method, rng=rng, n_bootstrap=400)
        covered += result.low <= 0.5 <= result.high
    assert 0.92 <= covered / 600 <= 0.98


# ── degenerate cases ────────────────────────────────────────────────────────────────────────────────────────────────


def test_bootstrap_that_cannot_move_is_widened_to_the_bounds() -> None:
    at_one = of(column(*[1.0] * 20))
    assert (at_one.low, at_one.high) == (pytest.approx(wilson(20, 20)[0]), 1.0)
    inside = of(column(*[0.3] * 20))
    unseen = 0.1611  # Newcombe 1998: 0 of 20
    assert inside.low == pytest.approx(0.3 - unseen * 0.3, abs=1e-4)
    assert inside.high == pytest.approx(0.3 + unseen * 0.7, abs=1e-4)
    assert "widened" in inside.method


def test_widening_counts_clusters_not_rows() -> None:
    result = of(column(*[1.0] * 40), groups=np.repeat(np.arange(20), 2))
    assert result.low == pytest.approx(1 - 0.1611, abs=5e-5)


@pytest.mark.parametrize("bounds", [(None, None), (0.0, None), (0.0, math.inf)])
def test_no_interval_without_bounds_to_widen_to(bounds: tuple[float | None, float | None]) -> None:
    result = of(column(*[3.0] * 5), bounds=bounds)
    assert (result.value, result.low, result.high) == (3.0, None, None)
    assert result.reason == "resampling does not move the value, and it has no bounds"


def test_values_that_contradict_their_bounds_have_the_whole_range_and_no_crash() -> None:
    result = of(column(1.7e308, -1.7e308), bounds=(-1.0, 1.0))
    assert (result.value, result.low, result.high) == (0.0, -1.0, 1.0)


@pytest.mark.parametrize("method", ["bootstrap", "delta", "jackknife", "subsample"])
@pytest.mark.parametrize("aggregate", [
    mean_aggregate, lambda rows, weights: np.where(weights > 0, rows[:, 0], -np.inf).max(axis=1)
])  # fmt: skip
def test_ends_beyond_the_largest_numbers_are_no_interval(method: str, aggregate: object) -> None:
    rows = column(*[1.7e308, -1.7e308, 1.7e308, -1.7e308, 1.7e308])
    with np.errstate(all="ignore"):
        result = estimate(rows, aggregate, method=method, bounds=(None, None), rng=np.random.default_rng(0))  # type: ignore[arg-type]
    ends = [end for end in (result.low, result.high) if end is not None]
    assert all(math.isfinite(end) for end in ends)
    assert len(ends) in (0, 2)
    assert ends or result.reason


def test_one_sample_and_one_group() -> None:
    one = of(column(1.0), method="wilson")
    assert (one.value, one.low, one.high, one.reason) == (1.0, None, None, "one sample")
    repeated = of(column(1.0, 0.0), units=np.array([0, 0]))
    assert (repeated.value, repeated.n, repeated.reason) == (0.5, 1, "one sample")
    grouped = of(column(1.0, 0.0), groups=np.array([5, 5]))
    assert (grouped.value, grouped.low, grouped.reason) == (0.5, None, "one group")


def test_nothing_scored() -> None:
    rows = column(NAN, NAN, NAN)
    result = of(rows, missing={0: "timeout", 1: "no stored answer", 2: "timeout"})
    assert (result.value, result.low, result.high, result.n, result.n_missing) == (None, None, None, 0, 3)
    assert result.reason == "no sample could be scored: timeout"
    assert of(np.zeros((0, 2))).reason == "there are no samples"


def test_undefined_value_is_none_with_a_reason() -> None:
    result = of(np.array([[0.0, 0.0], [0.0, 0.0]]))
    assert (result.value, result.low, result.n) == (None, None, 2)
    assert result.reason == "the value is undefined on these samples"


def test_undefined_replicates_are_told() -> None:
    rows = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])  # 2 of 6 rows are defined
    result = of(rows, n_bootstrap=2000, bounds=(0.0, None))
    assert result.value == 0.5
    assert result.reason is not None
    share = float(result.reason.split("%")[0])
    assert share == pytest.approx(100 * (4 / 6) ** 6, abs=2)  # no defined row in six draws
    assert (result.low, result.high) == (0.0, 1.0)


# ── repeats and missing rows ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("finish", [mean, None])
def test_repeats_are_averaged_inside_their_sample(finish: object) -> None:
    rows = column(1.0, 0.0, 0.0, 0.0, 1.0)  # sample 0 four times (0.25), sample 1 once (1.0)
    result = of(rows, finish=finish, units=np.array([0, 0, 0, 0, 1]), bounds=(0.0, None), n_bootstrap=4000)
    assert (result.value, result.n, result.n_missing) == (pytest.approx(0.625), 2, 0)
    assert (result.low, result.high) == pytest.approx((0.25, 1.0))  # two samples: one of them drawn twice in half the cases


@pytest.mark.parametrize("finish", [mean, None])
def test_uneven_repeats_inside_clusters(finish: object) -> None:
    rows = column(1.0, 0.0, 0.0, 0.0, 1.0, 0.5)  # samples 0.25, 1.0, 0.5; the first two share a cluster
    units, groups = np.array([0, 0, 0, 0, 1, 2]), np.array([0, 0, 1])
    result = of(rows, finish=finish, units=units, groups=groups, bounds=(0.0, None))
    # Two clusters: of both drawn twice, or one of each; Student's quantile of one degree of freedom takes the outermost.
    assert (result.value, result.low, result.high) == pytest.approx((1.75 / 3, 0.5, 1.25 / 2), rel=1e-12)


def test_missing_rows_are_left_out_counted_and_bounded() -> None:
    rows = column(1.0, 0.0, 1.0, 1.0, NAN)
    result = of(
        rows, method="wilson", missing={1: "timeout"},
        extremes=(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])),
    )
    assert (result.value, result.n, result.n_missing) == (1.0, 3, 2)
    assert (result.worst_case, result.best_case) == pytest.approx((3 / 5, 1.0))
    assert missing_rows(rows, {1: "timeout"}).tolist() == [1, 4]


def test_extremes_that_are_unknown() -> None:
    unknown = of(column(1.0, NAN, 0.0))
    assert (unknown.worst_case, unknown.best_case) == (None, None)
    half_known = of(column(1.0, NAN, 0.0), extremes=(np.array([[0.0, 1.0]]), np.array([[NAN, NAN]])))
    assert (half_known.worst_case, half_known.best_case) == (pytest.approx(1 / 3), None)


def test_missing_repeats_of_a_scored_sample_are_told() -> None:
    result = of(
        column(1.0, NAN, 0.0), units=np.array([0, 0, 1]), missing={1: "timeout"},
        extremes=(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])),
    )
    assert (result.value, result.n, result.n_missing) == (0.5, 2, 0)
    assert result.reason == "missing repeats of scored samples: 1 (most often: timeout)"
    assert (result.worst_case, result.best_case) == pytest.approx((0.25, 0.5))


def test_missing_samples_drop_out_of_their_cluster() -> None:
    rows = column(0.0, 1.0, 1.0, NAN)
    result = of(rows, groups=np.array([0, 0, 1, 2]))
    assert (result.value, result.n, result.n_groups, result.n_missing) == (pytest.approx(2 / 3), 3, 2, 1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "jackknives"},
         "method must be one of wilson, bootstrap, delta, jackknife, subsample, none, got 'jackknives'"),
        ({"units": np.array([0, 1])}, "units must give a number"),
        ({"groups": np.array([0, 1])}, "cluster of each of the 3 units, got 2"),
        ({"missing": {3: "x"}}, "missing names row 3, but there are 3 rows"),
        ({"missing": {0: "x"}, "extremes": (np.zeros((2, 2)), np.zeros((2, 2)))}, "extremes must have the shape"),
    ],
)
def test_refuses_what_does_not_fit(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        of(column(1.0, 0.5, 0.0), **settings)
