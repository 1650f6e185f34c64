"""Latency: quantiles equal numpy's, weights are repeated rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.operations import Latency, latency
from harness.plugins import metric
from harness.types import Key, Output, Sample, Text, Timing

seconds = st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.5, 2.0, 7.5]), min_size=1, max_size=15)
quantiles = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.9, 0.95, 0.99, 1.0])


@given(seconds, quantiles)
def test_equals_numpy(values: list[float], q: float) -> None:
    assert latency(values, q=q) == pytest.approx(np.quantile(values, q), abs=1e-12)


@given(seconds, quantiles, st.data())
def test_weights_equal_repeated_rows(values: list[float], q: float, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)))
    repeated = np.repeat(values, counts)
    expected = np.quantile(repeated, q) if len(repeated) else math.nan
    assert latency(values, q=q, sample_weight=counts) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(seconds, quantiles, st.integers(2, 7))
def test_equal_fractions_are_equal_copies(values: list[float], q: float, repeats: int) -> None:
    weights = [1 / repeats] * len(values)
    assert latency(values, q=q, sample_weight=weights) == pytest.approx(np.quantile(values, q), abs=1e-12)


def test_score_takes_the_timing_of_the_output() -> None:
    outputs = [Output(Key("1"), Text("a"), timing=Timing(0.25)), Output(Key("2"), Text("a"))]
    scores = metric("latency").score([Sample("1"), Sample("2")], outputs)
    assert scores.stats[0].tolist() == [0.25]
    assert scores.missing == {1: "the output has no timing"}
    assert metric("latency").rows(scores.stats[:1]).tolist() == [0.25]


def test_aliases_parameters_empty() -> None:
    assert metric("latency_p95") == metric("latency(q=0.95)") == Latency(0.95)
    assert metric("latency_p99").signature() == "latency(q=0.99)#v1"
    assert metric(metric("latency_p90").spec) == Latency(0.9)
    assert math.isnan(latency([]))
    with pytest.raises(MetricError, match="latency: q must be between 0 and 1, got 95"):
        metric("latency(q=95)")
    with pytest.raises(MetricError, match="latency: sample_weight must be one number a latency"):
        latency([1.0], sample_weight=[1, 2])
