"""What holds for every metric in the package. A new one joins by being there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import math
import warnings

import numpy as np
import pytest

from harness.engine.scoring import Scorer, aggregate_of, make_settings
from harness.errors import HarnessError, MetricError
from harness.metrics.pooled import PooledMetric
from harness.plugins import catalogue, example_spec, metric, metric_names
from harness.protocols import Metric, PairMetric
from harness.stats.patterns import Patterns
from harness.types import Estimate, Label, Labels, Output
from tests.metrics.worlds import ROLES, World, bound, worlds


def builds(spec: str) -> bool:
    try:
        metric(spec)
    except MetricError:
        return False
    return True


NAMED = sorted({example_spec(name) for name, (cls, _) in metric_names().items() if issubclass(cls, Metric)})
"""Every name and alias."""
SPECS = [spec for spec in NAMED if builds(spec)]

ORDER_MATTERS = {
    "elo": "ratings are updated match by match",
    "counterfactual_flip_rate": "the first of a group is the original", "consistency_under": "the first is the original",
    "attack_success_rate": "the first is the original", "perturbation_size": "the first is the original",
}
NEEDS_WEIGHTS = {"bertscore"}
"""Metrics that run a neural network of their own; their tests are in tests/parity."""

SETTINGS = make_settings(seed=1, level=0.95, n_bootstrap=60)


@functools.cache
def all_worlds() -> tuple[World, ...]:
    return tuple(worlds())


def scorer_of(found: Metric, world: World, blocks: int = 1) -> Scorer:
    if isinstance(found, PairMetric):
        found = dataclasses.replace(found, others={output.key: output for output in world.others})
    scorer = Scorer({"m": found}, world.samples, ROLES)
    for rows in np.array_split(np.arange(len(world.samples)), blocks):
        scorer.add([world.samples[i] for i in rows], [world.outputs[i] for i in rows])
    return scorer


def estimate_of(found: Metric, world: World, blocks: int = 1) -> Estimate:
    return scorer_of(found, world, blocks).estimates(SETTINGS)["m"]


@functools.cache
def home(spec: str) -> World:
    """The first world on which the metric has a value."""
    found = metric(spec)
    for world in all_worlds():
        with contextlib.suppress(HarnessError):  # it says that this world is not for it
            if estimate_of(found, world).value is not None:
                return world
    raise AssertionError(f"{spec} has a value on none of the worlds of tests/metrics/worlds.py: add one that it can measure")


def specs(*, but: set[str] | dict[str, str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return [spec for spec in SPECS if metric(spec).name not in NEEDS_WEIGHTS and metric(spec).name not in but]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", sorted(catalogue("metric")))
def test_it_says_what_it_is(name):
    cls = catalogue("metric")[name]
    assert cls.summary
    assert not cls.summary.endswith(".")
    assert inspect.getdoc(cls)
    if issubclass(cls, Metric):
        assert cls.family, f"{name} has no family"
        for what in ("formula", "reference"):
            assert getattr(cls, what), f"{name} has no {what}"


@pytest.mark.parametrize("name", sorted(catalogue("metric")))
def test_it_has_a_plain_function(name):
    cls = catalogue("metric")[name]
    if not issubclass(cls, Metric):
        return
    wanted = cls.function or name.partition("@")[0]
    found = vars(importlib.import_module(cls.__module__)).get(wanted)
    assert inspect.isfunction(found), f"{cls.__module__} has no function {wanted}: name it in {cls.__name__}.function"
    assert inspect.getdoc(found)


@pytest.mark.parametrize("spec", NAMED)
def test_every_name_can_be_typed(spec):
    assert builds(spec), f"{spec} does not build: give the class an `example`"


@pytest.mark.parametrize("spec", SPECS)
def test_spec_and_signature_come_back(spec):
    found = metric(spec)
    assert metric(found.spec) == found
    assert found.signature().endswith(f"#v{found.version}")


@pytest.mark.parametrize("spec", specs())
def test_value_and_interval_lie_within_the_bounds(spec):
    found = metric(spec)
    estimate = estimate_of(found, home(spec))
    low, high = found.bounds
    assert low is None or estimate.value >= low - 1e-9
    assert high is None or estimate.value <= high + 1e-9
    if estimate.low is not None:
        assert estimate.low <= estimate.value <= estimate.high
        assert low is None or estimate.low >= low - 1e-9
        assert high is None or estimate.high <= high + 1e-9


@pytest.mark.parametrize("spec", specs())
def test_the_same_input_gives_the_same_numbers(spec):
    assert estimate_of(metric(spec), home(spec)) == estimate_of(metric(spec), home(spec))


@pytest.mark.parametrize("spec", specs(but=ORDER_MATTERS))
def test_the_order_of_the_rows_does_not_matter(spec):
    world = home(spec)
    order = np.random.default_rng(5).permutation(len(world.samples)).tolist()
    shuffled = estimate_of(metric(spec), world.rows(order))
    assert shuffled.value == pytest.approx(estimate_of(metric(spec), world).value, rel=1e-9, abs=1e-12)


LABELS = {"a": "k", "b": "m", "c": "z"}
"""Other names, as long as before and in the same order: the positive label is the one that sorts last."""


@pytest.mark.parametrize("spec", [
    spec for spec in specs() if "target" in metric(spec).needs and metric(spec).needs & {"label", "probabilities", "logprobs"}
])
def test_the_names_of_the_labels_do_not_matter(spec):
    world = home(spec)
    assert any(isinstance(output.answer, Label | Labels) for output in world.outputs)
    renamed = estimate_of(metric(spec), world.relabelled(LABELS))
    assert renamed.value == pytest.approx(estimate_of(metric(spec), world).value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("spec", specs())
def test_blocks_give_the_value_of_the_whole(spec):
    found, world = metric(spec), home(spec)
    whole, split = estimate_of(found, world), estimate_of(found, world, blocks=4)
    assert split.value == pytest.approx(whole.value, rel=1e-12, abs=1e-12)
    assert (split.n, split.n_missing) == (whole.n, whole.n_missing)


def takes_copies(spec: str) -> bool:
    """Not those whose weights choose rows, and not elo: a match that counts twice is not the same match later again."""
    found = metric(spec)
    return not isinstance(found, PooledMetric) and found.interval not in ("subsample", "none") and found.name != "elo"


@pytest.mark.parametrize("spec", [spec for spec in specs() if takes_copies(spec)])
def test_a_weight_of_two_is_two_copies(spec):
    scorer = scorer_of(metric(spec), home(spec))
    stats, _ = scorer_statistics(scorer)
    found = scorer.bound("m")
    chosen = np.r_[np.full(5, 2.0), np.ones(len(stats) - 5)]
    copies = np.concatenate([stats, stats[:5]])
    weighted = np.asarray(found.aggregate(stats, chosen[None, :]))[0]
    copied = np.asarray(found.aggregate(copies, np.ones((1, len(copies)))))[0]
    assert weighted == pytest.approx(copied, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("spec", [spec for spec in specs() if not metric(spec).is_additive and takes_copies(spec)] + ["elo"])
def test_equal_rows_may_be_counted_unless_it_says_that_order_matters(spec):
    scorer = scorer_of(metric(spec), home(spec))
    stats, _ = scorer_statistics(scorer)
    found, rng = scorer.bound("m"), np.random.default_rng(0)
    many = stats[~np.isnan(stats).any(axis=1)]
    many = many[rng.integers(0, len(many), 20 * len(many))]
    patterns = Patterns.of(many, aggregate_of(found))
    if found.order_matters or patterns is None:
        assert found.order_matters == (spec == "elo")
        assert patterns is None
        return
    counted = np.asarray(found.aggregate(patterns.rows, patterns.counts[None, :].astype(np.float64)))[0]
    whole = np.asarray(found.aggregate(many, np.ones((1, len(many)))))[0]
    assert counted == pytest.approx(whole, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("spec", specs())
def test_blocks_of_weights_are_independent(spec):
    scorer = scorer_of(metric(spec), home(spec))
    stats, _ = scorer_statistics(scorer)
    found, rng = scorer.bound("m"), np.random.default_rng(3)
    weights = rng.integers(0, 2, (3, len(stats))).astype(np.float64)
    together = np.asarray(found.aggregate(stats, weights))
    one_by_one = [np.asarray(found.aggregate(stats, row[None, :]))[0] for row in weights]
    assert together.tolist() == pytest.approx(one_by_one, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("spec", specs())
def test_nothing_to_score_is_undefined_and_says_why(spec):
    found = metric(spec)
    if isinstance(found, PairMetric):
        found = dataclasses.replace(found, others={})
    scorer = Scorer({"m": found}, [], ROLES)
    scorer.add([], [])
    estimate = scorer.estimates(SETTINGS)["m"]
    assert estimate.value is None
    assert estimate.reason


@pytest.mark.parametrize("spec", specs())
def test_a_failed_request_is_missing_and_not_scored(spec):
    found, world = metric(spec), home(spec)
    whole = scorer_of(found, world).estimates(SETTINGS)["m"]
    outputs = [*world.outputs]
    outputs[3] = Output(outputs[3].key, None, error="timeout")
    broken = scorer_of(found, dataclasses.replace(world, outputs=outputs)).estimates(SETTINGS)["m"]
    if found.sees_errors:
        assert broken.n == whole.n
        return
    assert broken.n < whole.n or whole.n_missing > 0
    assert broken.n_missing > whole.n_missing or broken.n == whole.n
    without = [i for i in range(len(outputs)) if i != 3]
    if not isinstance(found, PooledMetric) and found.scope == "sample":
        alone = bound(found, world)
        scores = alone.score([world.samples[i] for i in without], [world.outputs[i] for i in without])
        absent = np.isnan(scores.stats).any(axis=1)
        kept = scores.stats[~absent]
        expected = np.asarray((scores.bound or alone).aggregate(kept, np.ones((1, len(kept)))))[0]
        assert broken.value == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("spec", [spec for spec in specs() if isinstance(metric(spec), PooledMetric)])
def test_metrics_that_duplicates_distort_never_use_the_bootstrap(spec):
    estimate = estimate_of(metric(spec), home(spec))
    assert not estimate.method.startswith(("bootstrap", "cluster bootstrap"))


@pytest.mark.parametrize("spec", specs())
def test_the_rows_are_where_the_samples_are(spec):
    """A row's own value, where it has one, is that of the metric on this row alone."""
    scorer = scorer_of(metric(spec), home(spec))
    stats, absent = scorer_statistics(scorer, drop=False)
    found = scorer.bound("m")
    rows = np.asarray(found.rows(np.delete(stats, absent, axis=0)))
    assert rows.shape == (len(stats) - len(absent),)
    assert not np.isinf(rows).any() or math.inf in (found.bounds[1] or math.inf,)


def scorer_statistics(scorer: Scorer, *, drop: bool = True):
    scorer.score_held()
    stats, _ = scorer.statistics("m")
    absent = np.flatnonzero(np.isnan(stats).any(axis=1))
    return (np.delete(stats, absent, axis=0) if drop else stats), absent
