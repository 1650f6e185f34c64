import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.estimate import estimate, missing_rows
from harness.stats.intervals import wilson

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
    "settings",
    [{"units": np.array([0, 0, 1, 2, 3])}, {"groups": np.array([0, 0, 1, 1, 2])}],
    ids=["repeats", "clusters"],
)
def test_wilson_gives_way_to_the_bootstrap(settings: dict[str, Array]) -> None:
    assert "bootstrap" in of(column(1, 0, 1, 1, 0), method="wilson", **settings).method


def test_wilson_gives_way_where_values_are_no_hits() -> None:
    assert of(column(1, 0, 0.5), method="wilson").method == "bootstrap(percentile, 1000)"
    pairs = np.array([[1.0, 2.0], [0.0, 1.0], [2.0, 2.0]])  # a ratio of sums: rows 0.5, 0, 1
    assert of(pairs, method="wilson").method == "bootstrap(percentile, 1000)"
    uneven = np.array([[2.0, 2.0], [0.0, 1.0]])  # rows 1 and 0, but the value is 2/3, not their mean
    assert of(uneven, method="wilson").method == "bootstrap(percentile, 1000)"


def test_bootstrap_equals_literal_resampling() -> None:
    values = np.random.default_rng(3).beta(2, 5, size=60)
    result = of(column(*values), n_bootstrap=500, rng=np.random.default_rng(11))
    rows = np.random.default_rng(11).integers(0, 60, size=(500, 60))
    low, high = np.percentile(values[rows].mean(axis=1), [2.5, 97.5])
    assert (result.value, result.low, result.high) == pytest.approx((values.mean(), low, high), rel=1e-12)
    assert result.method == "bootstrap(percentile, 500)"


def test_cluster_bootstrap_equals_literal_resampling() -> None:
    values = np.array([0.1, 0.9, 0.2, 0.8, 0.8, 0.7])
    result = of(column(*values), groups=np.array([7, 7, 3, 3, 3, 9]), n_bootstrap=400, rng=np.random.default_rng(2))
    clusters = [values[2:5], values[0:2], values[5:]]
    draws = np.random.default_rng(2).integers(0, 3, size=(400, 3))
    low, high = np.percentile([np.concatenate([clusters[c] for c in row]).mean() for row in draws], [2.5, 97.5])
    assert (result.low, result.high) == pytest.approx((low, high), rel=1e-12)
    assert (result.method, result.n, result.n_groups) == ("cluster bootstrap(percentile, 400)", 6, 3)


def test_aggregate_and_finish_agree() -> None:
    values = column(*np.random.default_rng(4).random(30))
    units = np.repeat(np.arange(10), 3)
    groups = np.arange(10) // 2
    fast = of(values, units=units, groups=groups, rng=np.random.default_rng(1))
    slow = of(values, units=units, groups=groups, rng=np.random.default_rng(1), finish=None)
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high), rel=1e-12)


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
    assert of(values, rng=np.random.default_rng(6)) == of(values, rng=np.random.default_rng(6))
    assert of(values, rng=np.random.default_rng(6)) != of(values, rng=np.random.default_rng(7))


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
    result = of(rows, n_bootstrap=2000)
    assert result.value == 0.5
    assert result.reason is not None
    share = float(result.reason.split("%")[0])
    assert share == pytest.approx(100 * (4 / 6) ** 6, abs=2)  # no defined row in six draws
    assert (result.low, result.high) == (0.0, 1.0)


# ── repeats and missing rows ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("finish", [mean, None])
def test_repeats_are_averaged_inside_their_sample(finish: object) -> None:
    rows = column(1.0, 0.0, 0.0, 0.0, 1.0)  # sample 0 four times (0.25), sample 1 once (1.0)
    result = of(rows, finish=finish, units=np.array([0, 0, 0, 0, 1]), n_bootstrap=4000)
    assert (result.value, result.n, result.n_missing) == (pytest.approx(0.625), 2, 0)
    assert (result.low, result.high) == pytest.approx((0.25, 1.0))  # two samples: one of them drawn twice in half the cases


@pytest.mark.parametrize("finish", [mean, None])
def test_uneven_repeats_inside_clusters(finish: object) -> None:
    rows = column(1.0, 0.0, 0.0, 0.0, 1.0, 0.5)  # samples 0.25, 1.0, 0.5; the first two share a cluster
    units, groups = np.array([0, 0, 0, 0, 1, 2]), np.array([0, 0, 1])
    result = of(rows, finish=finish, units=units, groups=groups, n_bootstrap=300, rng=np.random.default_rng(3))
    clusters = [[0.25, 1.0], [0.5]]
    draws = np.random.default_rng(3).integers(0, 2, size=(300, 2))
    low, high = np.percentile([np.mean([v for c in row for v in clusters[c]]) for row in draws], [2.5, 97.5])
    assert (result.value, result.low, result.high) == pytest.approx((1.75 / 3, low, high), rel=1e-12)


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
