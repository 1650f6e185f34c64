"""Calibrators: equal to scikit-learn, and to the optimum that scipy and torch find; what they do before they are fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from harness.errors import MetricError
from harness.metrics.calibrators import Isotonic, Platt, Temperature
from harness.plugins import metric
from harness.protocols import Calibrator

Array = np.ndarray[Any, Any]
rows = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 1)), min_size=4, max_size=40).filter(
    lambda items: 0 < sum(y for _, y in items) < len(items)
)


def made(n: int, k: int, seed: int = 0) -> tuple[Array, Array]:
    """Logits that are three times too sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 1.5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    codes = np.array([rng.choice(k, p=row) for row in chances])
    return 3 * logits, codes


def platt_loss(line: Array, scores: Array, targets: Array) -> float:
    up, down = targets.sum(), (1 - targets).sum()
    wanted = np.where(targets > 0, (up + 1) / (up + 2), 1 / (down + 2))
    logits = -(line[0] * scores + line[1])
    return float((np.logaddexp(0, logits) - wanted * logits).sum())


def test_platt_equals_scikit_learn() -> None:
    logits, codes = made(500, 2)
    scores, targets = logits[:, 1] - logits[:, 0], codes
    theirs = _SigmoidCalibration().fit(scores, targets)
    [(a, b)] = Platt().fit(scores, targets).coefficients
    assert (a, b) == pytest.approx((theirs.a_, theirs.b_), rel=1e-3)
    assert Platt().fit(scores, targets).apply(scores) == pytest.approx(theirs.predict(scores), abs=1e-4)
    assert platt_loss(np.array([a, b]), scores, targets) <= platt_loss(np.array([theirs.a_, theirs.b_]), scores, targets) + 1e-9
    assert a < 0  # high scores, high probabilities


@settings(max_examples=40, deadline=None)
@given(rows, st.sampled_from([1e-6, 1.0, 1e6]))
def test_platt_is_the_optimum(items: Any, by: float) -> None:
    scores, targets = np.array([s for s, _ in items]) * by, np.array([y for _, y in items])
    [line] = Platt().fit(scores, targets).coefficients
    found = platt_loss(np.array(line), scores, targets)
    best = minimize(lambda x: platt_loss(np.array([x[0] / by, x[1]]), scores, targets), [0.0, 0.0], tol=1e-10).fun
    assert found <= best + 1e-7


def test_unsmoothed_platt_is_logistic_regression() -> None:
    logits, codes = made(400, 2, seed=3)
    scores = logits[:, 1]
    p = Platt(smooth=False).fit(scores, codes).apply(scores)
    assert p.mean() == pytest.approx(codes.mean(), abs=1e-9)  # the score equations of logistic regression
    assert p @ scores == pytest.approx(codes @ scores, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_isotonic_equals_scikit_learn(items: Any) -> None:
    scores, targets = np.array([float(s) for s, _ in items]), np.array([y for _, y in items])
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, targets)
    grid = np.linspace(-6, 6, 49)
    assert Isotonic().fit(scores, targets).apply(grid) == pytest.approx(theirs.predict(grid), abs=1e-9)


def nll(logits: Array, codes: Array, temperature: float) -> float:
    scaled = logits / temperature
    return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(codes)), codes]).mean())


def test_temperature_is_the_optimum_of_scipy() -> None:
    logits, codes = made(800, 5)
    fitted = Temperature().fit(logits, codes)
    assert fitted.value == pytest.approx(3.0, rel=0.15)  # what made() multiplied with
    found = minimize_scalar(lambda t: nll(logits, codes, t), bounds=(0.05, 50), method="bounded", options={"xatol": 1e-10}).x
    assert fitted.value == pytest.approx(found, rel=1e-6)
    assert (fitted.apply(logits).argmax(axis=1) == logits.argmax(axis=1)).all()


@pytest.mark.slow
def test_temperature_is_the_optimum_of_torch() -> None:
    logits, codes = made(800, 5)
    fitted = Temperature().fit(logits, codes)
    torch = pytest.importorskip("torch")
    x, y = torch.tensor(logits), torch.tensor(codes)
    t = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([t], lr=0.1, max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure() -> Any:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x / t, y)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert fitted.value == pytest.approx(float(t.detach()[0]), rel=1e-6)
    assert fitted.apply(logits) == pytest.approx(torch.softmax(x / fitted.value, dim=1).numpy(), abs=1e-12)


def test_temperature_of_log_odds_and_its_bounds() -> None:
    logits, codes = made(300, 2)
    odds = logits[:, 1] - logits[:, 0]
    assert Temperature().fit(odds, codes).value == pytest.approx(Temperature().fit(logits, codes).value or 0, rel=1e-9)
    one = Temperature().fit(odds, codes)
    assert one.apply(odds) == pytest.approx(1 / (1 + np.exp(-odds / (one.value or 1))), abs=1e-12)
    assert Temperature().fit(np.array([[2.0, 0.0], [0.0, 2.0]]), [0, 1]).value == 1e-3  # all right: as cold as it gets
    assert Temperature().fit(np.array([[2.0, 0.0], [0.0, 2.0]]), [1, 0]).value == 1e3  # all wrong: as hot as it gets


@pytest.mark.parametrize("calibrator", [Platt(), Isotonic(), Temperature()])
def test_several_classes_sum_to_one(calibrator: Any) -> None:
    logits, codes = made(300, 4)
    table = calibrator.fit(logits, codes).apply(logits)
    assert table.shape == (300, 4)
    assert table.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-12)
    chance = np.log(4)
    assert -np.log(np.maximum(table[np.arange(300), codes], 1e-3)).mean() < chance


@pytest.mark.parametrize("calibrator", [Platt(), Isotonic(), Temperature()])
def test_what_is_refused(calibrator: Any) -> None:
    name = calibrator.name
    assert isinstance(calibrator, Calibrator)
    with pytest.raises(MetricError, match=rf"{name}: call fit\(scores, targets\) first"):
        calibrator.apply(np.zeros(2))
    with pytest.raises(MetricError, match=f"{name}: scores must be finite"):
        calibrator.fit(np.array([0.0, np.nan]), [0, 1])
    with pytest.raises(MetricError, match=f"{name}: scores and targets must be equally many and not empty, got 2 and 1"):
        calibrator.fit(np.zeros(2), [0])
    with pytest.raises(MetricError, match=f"{name}: targets must be codes 0..1, got"):
        calibrator.fit(np.zeros(2), [0, 7])
    with pytest.raises(MetricError, match=f"{name}: scores must be"):
        calibrator.fit(np.zeros((2, 1)), [0, 1])
    if name != "temperature":
        with pytest.raises(MetricError, match=f"{name}: targets must have rows of class 1 and of others"):
            calibrator.fit(np.zeros(2), [0, 0])
        with pytest.raises(MetricError, match=f"{name}: was fitted to 1 classes"):
            calibrator.fit(np.array([0.0, 1.0]), [0, 1]).apply(np.zeros((2, 3)))
    with pytest.raises(MetricError, match="is a calibrator"):
        metric(name)
