"""Divergences and losses equal scipy, scikit-learn and torch.nn.functional, on real and on made distributions and vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import jensenshannon, pdist
from sklearn.metrics import hinge_loss
from sklearn.metrics.pairwise import rbf_kernel

from harness.errors import MetricError
from harness.metrics import divergences, losses, populations
from harness.plugins import metric
from harness.types import Key, Label, Number, Output, Sample
from tests.parity.embedded import intents, outputs_of, value_of

SharedData = Callable[[str], Path]
BANKING = "banking77/test.csv"


def softmax(scores: np.ndarray) -> np.ndarray:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def distributions(shared_data: SharedData) -> tuple[np.ndarray, np.ndarray]:
    """Of real questions: which of 20 others they are like, once more and once less sharply."""
    vectors, _ = intents(shared_data(BANKING))
    scores = vectors[20:] @ vectors[:20].T
    return softmax(scores * 10), softmax(scores * 4)


# ── distributions ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_real_distributions(distributions: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    p, q = distributions
    expected = {
        "kl": stats.entropy(p.T, q.T).mean(),
        "cross_entropy": float(torch.nn.functional.cross_entropy(torch.tensor(np.log(q)), torch.tensor(p))),
        "js": (jensenshannon(p.T, q.T, base=2) ** 2).mean(),
        "js(base=10)": (jensenshannon(p.T, q.T, base=10) ** 2).mean(),
        "hellinger": (np.linalg.norm(np.sqrt(p) - np.sqrt(q), axis=1) / math.sqrt(2)).mean(),
    }
    assert expected["kl"] == pytest.approx(
        float(torch.nn.functional.kl_div(torch.tensor(np.log(q)), torch.tensor(p), reduction="batchmean")))
    names = [f"label {i}" for i in range(20)]
    samples = [Sample(str(i), target=dict(zip(names, row.tolist()))) for i, row in enumerate(p)]
    outputs = [Output(Key(str(i)), Label(None, dict(zip(names, row.tolist())))) for i, row in enumerate(q)]
    for spec, value in expected.items():
        assert value_of(metric(spec), samples, outputs) == pytest.approx(value, abs=1e-9), spec
        options = {"base": 10} if "base" in spec else {}
        assert getattr(divergences, spec.split("(")[0])(p, q, **options) == pytest.approx(value, abs=1e-9), spec


def test_a_label_as_target_is_a_sure_distribution(distributions: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    _, q = distributions
    targets = np.random.default_rng(0).integers(0, 20, len(q))
    samples = [Sample(str(i), target=f"label {t}") for i, t in enumerate(targets)]
    rows = [{f"label {j}": x for j, x in enumerate(row)} for row in q.tolist()]
    outputs = [Output(Key(str(i)), Label(None, row)) for i, row in enumerate(rows)]
    expected = float(torch.nn.functional.cross_entropy(torch.tensor(np.log(q)), torch.tensor(targets)))
    assert value_of(metric("cross_entropy"), samples, outputs) == pytest.approx(expected, abs=1e-9)
    assert value_of(metric("log_loss"), samples, outputs) == pytest.approx(expected, abs=1e-9)


shares = hnp.arrays(np.float64, st.integers(2, 6).map(lambda k: (2, k)), elements=st.sampled_from([0.0, 1e-9, 0.3, 1.0, 1e6]))


@settings(max_examples=60, deadline=None)
@given(shares.filter(lambda rows: (rows.sum(axis=1) > 0).all()))
def test_made_distributions(rows: np.ndarray) -> None:
    p, q = rows / rows.sum(axis=1, keepdims=True)
    assert divergences.kl(p, q) == pytest.approx(stats.entropy(p, q), abs=1e-9)  # infinite in both where q has a 0 too many
    assert divergences.js(p, q) == pytest.approx(np.nan_to_num(jensenshannon(p, q, base=2)) ** 2, abs=1e-9)
    assert divergences.js(p, q) == pytest.approx(divergences.js(q, p), abs=1e-12)
    assert divergences.hellinger(p, q) == pytest.approx(math.sqrt(max(0.0, 1 - np.sqrt(p * q).sum())), abs=1e-7)
    if math.isfinite(stats.entropy(p, q)):
        expected = stats.entropy(p) + stats.entropy(p, q)
        assert divergences.cross_entropy(p, q, floor=0) == pytest.approx(expected, abs=1e-9)


# ── two samples ─────────────────────────────────────────────────────────────────────────────────────────────────────


def numbers_of(given_: Any, true: Any) -> tuple[list[Sample], list[Output]]:
    pairs = list(zip(map(float, given_), map(float, true)))
    return ([Sample(str(i), target=t) for i, (_, t) in enumerate(pairs)],
            [Output(Key(str(i)), Number(g)) for i, (g, _) in enumerate(pairs)])  # fmt: skip


def psi_by_hand(given_: list[float], true: list[float], cuts: list[float]) -> float:
    """Shares of (-inf, c1], (c1, c2], …, (ck, inf), at least 0.0001 each."""
    ends = [-math.inf, *cuts, math.inf]
    total = 0.0
    for low, high in pairwise(ends):
        a, e = (max(sum(low < x <= high for x in side) / len(side), 1e-4) for side in (given_, true))
        total += (a - e) * math.log(a / e)
    return total


def test_two_samples_of_real_numbers(shared_data: SharedData) -> None:
    vectors, _ = intents(shared_data(BANKING))
    given_, true = vectors[:, 0], 1.5 * vectors[:, 1] + 0.01
    samples, outputs = numbers_of(given_, true)
    expected = stats.wasserstein_distance(given_, true)
    assert populations.wasserstein(given_, true) == pytest.approx(expected, abs=1e-12)
    assert value_of(metric("wasserstein"), samples, outputs) == pytest.approx(expected, abs=1e-12)
    expected = stats.wasserstein_distance(given_[:40], true)
    assert populations.wasserstein(given_[:40], true) == pytest.approx(expected, abs=1e-12)
    for scheme, cuts in (("quantile", np.quantile(true, np.arange(1, 8) / 8)),
                         ("uniform", np.linspace(true.min(), true.max(), 9)[1:-1])):  # fmt: skip
        by_hand = psi_by_hand(given_.tolist(), true.tolist(), cuts.tolist())
        assert 0.05 < by_hand < 3
        assert populations.psi(given_, true, bins=8, scheme=scheme) == pytest.approx(by_hand, abs=1e-9)
        assert value_of(metric(f"psi(bins=8,scheme={scheme})"), samples, outputs) == pytest.approx(by_hand, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(*(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 2)), min_size=1, max_size=15) for _ in range(2)))
def test_two_samples_of_made_numbers(first: list[float], second: list[float]) -> None:
    expected = stats.wasserstein_distance(first, second)
    assert populations.wasserstein(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("bandwidth", [None, 0.4])
def test_mmd_of_real_vectors(bandwidth: float | None, shared_data: SharedData, tmp_path: Path) -> None:
    vectors, _ = intents(shared_data(BANKING))
    x, y = vectors[:130], vectors[130:]
    width = bandwidth or float(np.median(pdist(vectors)))
    kxx, kyy, kxy = (rbf_kernel(a, b, gamma=1 / (2 * width**2)) for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    expected = {
        "biased": kxx.mean() + kyy.mean() - 2 * kxy.mean(),
        "unbiased": (kxx.sum() - n) / (n * (n - 1)) + (kyy.sum() - m) / (m * (m - 1)) - 2 * kxy.mean(),
    }
    np.save(tmp_path / "real.npy", y)
    for estimator, value in expected.items():
        assert populations.mmd(x, y, bandwidth=bandwidth, estimator=estimator) == pytest.approx(value, abs=1e-9)
        found = populations.MaximumMeanDiscrepancy(tmp_path / "real.npy", bandwidth, estimator)
        assert value_of(found, *outputs_of(x)) == pytest.approx(value, abs=1e-9)
    assert expected["biased"] > expected["unbiased"]


# ── losses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_losses_of_real_vectors(shared_data: SharedData) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.losses import SiameseDistanceMetric

    vectors, _ = intents(shared_data(BANKING))
    a, p, n = vectors[:-2], vectors[1:-1], vectors[2:]
    tensors = [torch.tensor(side) for side in (a, p, n)]
    for margin in (1.0, 0.1):
        expected = float(torch.nn.functional.triplet_margin_loss(*tensors, margin=margin))
        assert losses.triplet_loss(a, p, n, margin=margin) == pytest.approx(expected, abs=1e-9)
        found = value_of(metric(f"triplet_loss(margin={margin})"), *outputs_of(np.stack([a, p, n], axis=1)))
        assert found == pytest.approx(expected, abs=1e-9)
    targets = np.arange(len(a)) % 2
    samples, outputs = outputs_of(np.stack([a, p], axis=1), targets.tolist())
    functions = {"cosine": SiameseDistanceMetric.COSINE_DISTANCE, "euclidean": SiameseDistanceMetric.EUCLIDEAN}
    for distance, function in functions.items():
        d, y = function(tensors[0], tensors[1]), torch.tensor(targets)
        expected = float((0.5 * (y * d**2 + (1 - y) * torch.relu(0.9 - d) ** 2)).mean())
        assert losses.contrastive_loss(a, p, targets, margin=0.9, distance=distance) == pytest.approx(expected, abs=1e-9)
        found = value_of(metric(f"contrastive_loss(margin=0.9,distance={distance})"), samples, outputs)
        assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, 1]), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_hinge(pairs: list[tuple[int, float]]) -> None:
    targets, scores = map(list, zip(*pairs))
    expected = hinge_loss(targets, scores) if len(set(targets)) == 2 else np.mean([max(0, 1 - y * s) for y, s in pairs])
    assert losses.hinge(targets, scores) == pytest.approx(expected, rel=1e-9)
    assert losses.hinge([max(y, 0) for y in targets], scores) == losses.hinge(targets, scores)
    assert value_of(metric("hinge"), *numbers_of(scores, targets)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: divergences.kl([0.5, 0.6], [0.5, 0.5]), "kl: probabilities must sum to 1, got 1.1"),
    (lambda: divergences.js([[1.5, -0.5]], [[0.5, 0.5]]), "js: probabilities must be finite, not negative"),
    (lambda: divergences.kl([1.0], [0.5, 0.5]), "kl: distributions must have one shape"),
    (lambda: populations.wasserstein([math.inf], [0.0]), "wasserstein: first.0. must be finite"),
    (lambda: populations.mmd([[0.0]], [[0.0, 1.0]]), "mmd: vectors of both sides must have one length, got 1 and 2"),
    (lambda: metric("psi(bins=1)"), "psi: bins must be an integer ≥ 2, got 1"),
    (lambda: metric("triplet_loss(margin=0)"), "triplet_loss: margin must be a number > 0, got 0"),
    (lambda: metric("js(base=1.5)"), "js: base must be a finite number ≥ 2, got 1.5"),
    (lambda: losses.hinge([2], [0.0]), "hinge: targets must be 1, -1 or 0"),
])  # fmt: skip
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        call()
