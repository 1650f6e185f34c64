"""Change points: every segmentation tried by hand, step-by-step twins, run lengths of the textbook."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.changes import cusum, page_hinkley, pelt

STEP = np.array([1.0, 1.2, 0.8, 1.1, 0.9, 3.0, 3.2, 2.8, 3.1, 2.9])


def cost_of(values, weights, cost):
    mean = sum(w * x for w, x in zip(weights, values)) / sum(weights)
    squares = sum(w * (x - mean) ** 2 for w, x in zip(weights, values))
    return squares if cost == "mean" else len(values) * math.log(max(squares / len(values), 1e-300))


def every_segmentation(values, weights, cost, penalty, length):
    """The least penalised cost over all segmentations, and the points that reach it."""
    n, best = len(values), (math.inf, [])
    for count in range(n // length):
        for points in itertools.combinations(range(length, n - length + 1), count):
            ends = [0, *points, n]
            if min(b - a for a, b in itertools.pairwise(ends)) < length:
                continue
            total = penalty * count + sum(cost_of(values[a:b], weights[a:b], cost) for a, b in itertools.pairwise(ends))
            best = min(best, (total, list(points)))
    return best


numbers = st.floats(-3, 3).map(lambda x: round(x, 2))


@pytest.mark.parametrize(("cost", "length"), [("mean", 1), ("mean", 3), ("mean_variance", 2), ("mean_variance", 3)])
@given(rows=st.lists(st.tuples(numbers, st.floats(0.2, 2)), min_size=4, max_size=10), penalty=st.floats(0.0, 12))
@settings(max_examples=30, deadline=None)
def test_pelt_equals_trying_everything(cost, length, rows, penalty):
    # A little jitter of its own for each value: no two segmentations cost the same, no segment is without spread.
    values = np.array([x + 0.37 * ((i * i * 0.618) % 1) for i, (x, _) in enumerate(rows)])
    errors = np.array([error for _, error in rows])
    if len(values) < 2 * length:
        return
    least, _ = every_segmentation(values.tolist(), (errors**-2.0).tolist(), cost, penalty, length)
    found = [change.at for change in pelt(values, errors=errors, cost=cost, penalty=penalty, min_segment=length)]
    ends = [0, *found, len(values)]
    total = penalty * len(found) + sum(cost_of(values[a:b], errors[a:b] ** -2.0, cost) for a, b in itertools.pairwise(ends))
    assert total == pytest.approx(least, abs=1e-8)
    assert min(b - a for a, b in itertools.pairwise(ends)) >= length


def test_a_step_with_its_size():
    (change,) = pelt(STEP, errors=np.full(10, 0.2))
    assert (change.at, change.detected) == (5, 5)
    assert (change.before, change.after, change.size) == pytest.approx((1.0, 3.0, 2.0))
    assert change.error == pytest.approx(0.2 * math.sqrt(2 / 5))
    assert pelt(STEP, errors=np.full(10, 2.0)) == ()  # two points are nothing among errors of two
    assert [c.at for c in pelt(STEP)] == [c.at for c in page_hinkley(STEP)] == [5]


def test_weights_are_those_of_the_errors():
    errors = np.array([1.0, 0.1, 1.0, 0.1])
    (change,) = pelt(np.array([0.0, 1.0, 4.0, 3.0]), errors=errors, penalty=1.0, min_segment=2)
    assert change.at == 2
    assert (change.before, change.after) == pytest.approx(((0 + 100) / 101, (4 + 300) / 101))
    assert change.error == pytest.approx(math.sqrt(2 / 101))


def test_gaps_are_left_out_and_places_kept():
    gappy = np.insert(STEP, [0, 5, 8], np.nan)
    assert [c.at for c in pelt(gappy)] == [7]
    assert [c.at for c in page_hinkley(gappy)] == [7]


def test_runs_that_repeat_to_the_last_digit():
    assert pelt(np.full(20, 0.7)) == cusum(np.full(20, 0.7)) == page_hinkley(np.full(20, 0.7)) == ()
    (change,) = pelt(np.array([0.7] * 12 + [0.6] * 8))
    assert (change.at, change.size) == (12, pytest.approx(-0.1))
    # Sums in another order: a step of the last digit is none.
    for size in (0.7, 1e-300):
        assert pelt(np.array([size] * 10 + [np.nextafter(size, 1.0)] * 10)) == ()
    assert pelt(np.zeros(0)) == pelt(np.array([1.0])) == cusum(np.zeros(0)) == page_hinkley(np.zeros(0)) == ()


# ── as values arrive ────────────────────────────────────────────────────────────────────────────────────────────────


def cusum_twin(values, target, slack, threshold, n_reference):
    """Step by step: (first place of the new level, place of the alarm)."""
    found, origin, start, up, down, began_up, began_down = [], 0, 0, 0.0, 0.0, 0, 0
    for place, value in enumerate(values):
        if place == start:
            reference = values[origin:max(start, min(origin + n_reference, len(values)))]
            level = target if target is not None and start == 0 else sum(reference) / len(reference)
        up, down = max(0.0, up + value - level - slack), max(0.0, down + level - value - slack)
        began_up, began_down = (place + 1 if up == 0 else began_up), (place + 1 if down == 0 else began_down)
        if max(up, down) > threshold:
            origin, start = (began_up if up > threshold else began_down), place + 1
            found.append((origin, place))
            up, down, began_up, began_down = 0.0, 0.0, place + 1, place + 1
    return found


@given(values=st.lists(st.integers(-24, 24).map(lambda x: x / 8), min_size=1, max_size=40),
       target=st.sampled_from([None, 0.0, 1.0]), threshold=st.sampled_from([1.03, 3.03]))
@settings(max_examples=80, deadline=None)
def test_cusum_equals_the_step_by_step_twin(values, target, threshold):
    found = cusum(np.array(values), errors=np.ones(len(values)), target=target, slack=0.5, threshold=threshold, n_reference=4)
    twin = cusum_twin(values, target, 0.5, threshold, 4)
    assert [change.detected for change in found] == [alarm for _, alarm in twin]
    if target is not None:  # sums of eighths are exact, means of them are not: a sum may miss 0 by rounding
        assert [change.at for change in found][:1] == [began for began, _ in twin][:1]


def page_hinkley_twin(values, slack, threshold):
    """The first alarm, step by step."""
    total, ups, downs = 0.0, [0.0], [0.0]
    for place, value in enumerate(values):
        total += value
        deviation = value - total / (place + 1)
        ups.append(ups[-1] + deviation - slack)
        downs.append(downs[-1] - deviation - slack)
        if max(ups[-1] - min(ups), downs[-1] - min(downs)) > threshold:
            return place
    return None


@given(values=st.lists(st.floats(-3, 3), min_size=1, max_size=40), threshold=st.sampled_from([1.0, 3.0]))
@settings(max_examples=80, deadline=None)
def test_page_hinkley_equals_the_step_by_step_twin(values, threshold):
    found = page_hinkley(np.array(values), errors=np.ones(len(values)), threshold=threshold)
    assert (found[0].detected if found else None) == page_hinkley_twin(values, 0.5, threshold)


def test_run_lengths_of_the_textbook():
    """Montgomery, Statistical Quality Control, 7th edition, table 9.3, k = 0.5, h = 5: 465 without shift, 10.4 with 1."""
    rng = np.random.default_rng(8)
    ones = np.ones(500)
    quiet = sum(not cusum(rng.standard_normal(500), errors=ones, target=0.0) for _ in range(400)) / 400
    assert quiet == pytest.approx(math.exp(-(500 - 10) / 465), abs=0.05)  # run lengths are exponential; two errors of 400
    shifted = [cusum(rng.standard_normal(60) + 1, errors=ones[:60], target=0.0)[0].detected + 1 for _ in range(500)]
    assert np.mean(shifted) == pytest.approx(10.4, rel=0.07)


def test_a_series_that_begins_off_its_target():
    first = cusum(np.full(30, 2.0), errors=np.ones(30), target=0.0)[0]
    assert (first.at, first.detected, first.before, first.after) == (0, 3, 0.0, 2.0)
    assert first.error == pytest.approx(1 / math.sqrt(30))


def test_false_changes_are_rare():
    rng = np.random.default_rng(9)
    known = sum(bool(pelt(rng.standard_normal(30), errors=np.ones(30))) for _ in range(300)) / 300
    bic = sum(bool(pelt(rng.standard_normal(30), errors=np.ones(30), penalty=2 * math.log(30))) for _ in range(300)) / 300
    assert known < 0.04 < 0.07 < bic


@pytest.mark.parametrize(("call", "message"), [
    (lambda: pelt(STEP, penalty=-1.0), "pelt: penalty must not be negative, got -1.0"),
    (lambda: pelt(STEP, min_segment=0), "pelt: min_segment must be at least 1 with the cost mean, got 0"),
    (lambda: pelt(STEP, cost="mean_variance", min_segment=1), "pelt: min_segment must be at least 2"),
    (lambda: pelt(STEP, cost="median"), "pelt: cost must be mean or mean_variance, got 'median'"),
    (lambda: pelt(STEP, errors=np.zeros(10)), "pelt: errors must be positive, got 0.0; leave them out"),
    (lambda: cusum(STEP, errors=np.ones(3)), r"cusum: values must be a row of numbers, and errors as many, got shapes \(10,\)"),
    (lambda: cusum(STEP, threshold=0.0), "changes: needs slack >= 0, threshold > 0"),
    (lambda: page_hinkley(STEP, slack=-0.5), "changes: needs slack >= 0, threshold > 0"),
])
def test_bad_input_is_refused(call, message):
    with pytest.raises(UsageError, match=rf"^{message}"):
        call()
