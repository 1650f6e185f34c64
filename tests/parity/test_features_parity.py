"""Metrics of feature distributions equal torch-fidelity, torchmetrics, prdc and scikit-learn on the same arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score
from sklearn.neighbors import NearestNeighbors

from harness.errors import MetricError
from harness.metrics import dtw, features, fid, masks, modes, prdc
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample
from tests.parity.embedded import intents, outputs_of, value_of
from tests.parity.stubs import without_torchvision

SharedData = Callable[[str], Path]


@pytest.fixture(scope="module")
def sets(shared_data: SharedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray, Path]:
    """Real sentence vectors: of some classes, of the others, and the file of these. The first 64 numbers of each."""
    vectors = intents(shared_data("banking77/test.csv"))[0][:, :64]
    path = tmp_path_factory.mktemp("features") / "real.npy"
    np.save(path, vectors[140:])
    return vectors[:140], vectors[140:], path


def test_fid(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    torch = pytest.importorskip("torch")
    torchmetrics = without_torchvision("torchmetrics.image.fid")
    x, y, path = sets
    moments = [(torch.tensor(side.mean(axis=0)), torch.tensor(np.cov(side, rowvar=False))) for side in (x, y)]
    expected = float(torchmetrics._compute_fid(*moments[0], *moments[1]))
    assert expected > 0.02
    assert fid.fid(x, y) == pytest.approx(expected, abs=1e-6)
    assert value_of(fid.FrechetDistance(path), *outputs_of(x)) == pytest.approx(expected, abs=1e-6)
    assert value_of(metric("fid"), *outputs_of(x, y[:140].tolist())) == pytest.approx(fid.fid(x, y[:140]), abs=1e-9)


def test_fid_equals_torch_fidelity_too(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    fidelity = without_torchvision("torch_fidelity.metric_fid")
    x, y, _ = sets
    both = [{"mu": side.mean(axis=0), "sigma": np.cov(side, rowvar=False)} for side in (x, y)]
    theirs = fidelity.fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]
    assert fid.fid(x, y) == pytest.approx(float(theirs), abs=1e-6)


def test_fid_of_fewer_vectors_than_dimensions_and_of_known_distributions() -> None:
    """|μ - ν|² + Σ (σ - τ)² of independent coordinates; the same set is at 0; few vectors lie in few dimensions."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 40))
    assert fid.fid(x, x) == pytest.approx(0, abs=1e-9)
    assert fid.fid(x, x + 2.0) == pytest.approx(40 * 4.0, rel=1e-9)
    size = x.mean(axis=0) @ x.mean(axis=0) + np.trace(np.cov(x, rowvar=False))
    assert fid.fid(x, 3 * x) == pytest.approx(4 * size, rel=1e-9)
    assert fid.fid(x * 1e6, x * 3e6) == pytest.approx(1e12 * fid.fid(x, 3 * x), rel=1e-9)
    assert math.isnan(fid.fid(x[:1], x))
    assert math.isnan(fid.fid(np.zeros((0, 40)), x))


def test_kid_of_whole_sets_equals_torchmetrics(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    torch = pytest.importorskip("torch")
    torchmetrics = without_torchvision("torchmetrics.image.kid")
    x, y = sets[0], sets[1][:140]
    expected = float(torchmetrics.poly_mmd(torch.tensor(x), torch.tensor(y)))
    assert expected > 0
    assert fid.kid(x, y, subsets=1, subset_size=140) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")  # theirs: of memory, and of the deviation of a single split
def test_inception_score_equals_torchmetrics(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    torch = pytest.importorskip("torch")
    torchmetrics = without_torchvision("torchmetrics.image.inception")
    logits = torch.tensor(sets[0] * 20)
    theirs = torchmetrics.InceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(logits)
    p = torch.softmax(logits, dim=1).numpy()
    assert features.inception_score(p, splits=1) == pytest.approx(float(theirs.compute()[0]), abs=1e-6)


@pytest.mark.parametrize(("subsets", "size", "seed"), [(7, 60, 2020), (3, 100, 5)])
def test_kid(sets: tuple[np.ndarray, np.ndarray, Path], subsets: int, size: int, seed: int) -> None:
    fidelity = without_torchvision("torch_fidelity.metric_kid")
    torch = pytest.importorskip("torch")
    x, y, path = sets
    theirs = fidelity.kid_features_to_metric(torch.tensor(x), torch.tensor(y), kid_subsets=subsets, kid_subset_size=size,
                                             rng_seed=seed, verbose=False)["kernel_inception_distance_mean"]  # fmt: skip
    assert fid.kid(x, y, subsets=subsets, subset_size=size, seed=seed) == pytest.approx(float(theirs), abs=1e-6)
    found = fid.KernelDistance(path, subsets, size, seed)
    assert value_of(found, *outputs_of(x)) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score(sets: tuple[np.ndarray, np.ndarray, Path], splits: int) -> None:
    fidelity = without_torchvision("torch_fidelity.metric_isc")
    torch = pytest.importorskip("torch")
    logits = torch.tensor(sets[0] * 20)
    theirs = fidelity.isc_features_to_metric(logits, splits=splits, shuffle=False)["inception_score_mean"]
    p = torch.softmax(logits, dim=1).numpy()
    assert theirs > 1.2
    assert features.inception_score(p, splits=splits) == pytest.approx(float(theirs), abs=1e-6)
    outputs = [Output(Key(str(i)), Label(None, {str(j): x for j, x in enumerate(row)})) for i, row in enumerate(p.tolist())]
    samples = [Sample(str(i)) for i in range(len(p))]
    assert value_of(metric(f"inception_score(splits={splits})"), samples, outputs) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_prdc(sets: tuple[np.ndarray, np.ndarray, Path], k: int, capsys: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("prdc")
    x, y, path = sets
    expected = package.compute_prdc(real_features=y, fake_features=x, nearest_k=k)
    assert prdc.prdc(x, y, k=k) == pytest.approx(expected, abs=1e-9)
    assert 0 < expected["coverage"] < 1
    assert 0 < expected["recall"] < 1
    samples, outputs = outputs_of(x)
    for measure, value in expected.items():
        assert value_of(prdc.Prdc(path, k, measure), samples, outputs) == pytest.approx(value, abs=1e-9)
    scores = prdc.Prdc(path, k).score(samples, outputs)
    assert dict(scores.bound.tables(scores.stats)["measures"].rows) == pytest.approx(expected, abs=1e-9)


def test_nearest_and_unique_and_modes(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    x, y, path = sets
    expected = float(NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x)[0].mean())
    assert modes.nearest_train_distance(x, y) == pytest.approx(expected, abs=1e-9)
    assert value_of(modes.NearestTrainDistance(path), *outputs_of(x)) == pytest.approx(expected, abs=1e-9)
    cosine = float(NearestNeighbors(n_neighbors=1, metric="cosine").fit(y).kneighbors(x)[0].mean())
    assert modes.nearest_train_distance(x, y, distance="cosine") == pytest.approx(cosine, abs=1e-9)
    from scipy.cluster.hierarchy import fcluster, linkage

    tolerance = 0.3
    groups = len(set(fcluster(linkage(x, "single"), tolerance, "distance")))
    assert 5 < groups < len(x) - 5
    assert modes.uniqueness(x, tolerance=tolerance) == pytest.approx(groups / len(x), abs=1e-12)
    assert modes.uniqueness(np.concatenate([x, x[:35]])) == pytest.approx(len(x) / (len(x) + 35), abs=1e-12)
    assert modes.mode_coverage(y, y, k=9) == 1.0
    assert modes.mode_coverage(y[:1], y, k=9) == pytest.approx(1 / 9)
    found = value_of(modes.ModeCoverage(path, k=9, at_least=12), *outputs_of(x))
    assert found == modes.mode_coverage(x, y, k=9, at_least=12)


def test_path_length_and_clip_score(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    """The trimming as torchmetrics writes it; its CLIP score is 100 · cosine, each at least 0 here."""
    torch = pytest.importorskip("torch")
    x, y = sets[0], sets[1][:140]
    lengths = torch.tensor(((x - y) ** 2).sum(axis=1) / 1e-8)
    for low, high in ((0.01, 0.99), (0.2, 0.6), (0.0, 1.0)):
        ends = [torch.quantile(lengths, share, interpolation="lower") for share in (low, high)]
        expected = float(lengths[(lengths >= ends[0]) & (lengths <= ends[1])].mean())
        assert features.ppl_path(x, y, lower=low, upper=high) == pytest.approx(expected, rel=1e-9)
        found = value_of(features.PathLength(lower=low, upper=high), *outputs_of(np.stack([x, y], axis=1)))
        assert found == pytest.approx(expected, rel=1e-9)
    mixed = np.concatenate([x[:-20], -y[-20:]])
    expected = 100 * torch.nn.functional.cosine_similarity(torch.tensor(mixed), torch.tensor(y)).clamp(min=0).mean()
    assert features.clip_score(mixed, y) == pytest.approx(float(expected), abs=1e-9)
    assert value_of(metric("clip_score"), *outputs_of(np.stack([mixed, y], axis=1))) == pytest.approx(float(expected), abs=1e-9)
    assert value_of(metric("clip_score"), *outputs_of(mixed, y.tolist())) == pytest.approx(float(expected), abs=1e-9)


def test_weights_trim_as_copies_do() -> None:
    stats = np.array([[5.0], [1.0], [3.0], [100.0], [2.0]])
    weights = np.array([[1.0, 2.0, 0.0, 1.0, 3.0]])
    copies = np.repeat(stats, [1, 2, 0, 1, 3], axis=0)
    found = features.PathLength(lower=0.2, upper=0.9)
    copied = found.aggregate(copies, np.ones((1, 7)))[0]
    assert found.aggregate(stats, weights)[0] == copied == pytest.approx(13 / 6)


# ── masks, boxes, series ────────────────────────────────────────────────────────────────────────────────────────────

cells = st.lists(st.sampled_from([0, 1]), min_size=6, max_size=6)
mask_pairs = st.lists(st.tuples(cells, cells), min_size=1, max_size=5)
ends = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
boxes = st.tuples(ends, ends).map(lambda sides: [sides[0][0], sides[1][0], sides[0][1], sides[1][1]])


@settings(max_examples=50, deadline=None)
@given(mask_pairs)
def test_masks(pairs: list[tuple[list[int], list[int]]]) -> None:
    there = [(a, b) for a, b in pairs if any(a) or any(b)]
    samples, outputs = outputs_of([[a] for a, _ in pairs], [b for _, b in pairs])
    for name, function, theirs in (("iou", masks.iou, jaccard_score), ("dice", masks.dice, f1_score)):
        each = [theirs(b, a) for a, b in there]
        expected = np.mean(each) if each else math.nan
        assert function([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert value_of(metric(name), samples, outputs) == pytest.approx(expected, abs=1e-9, nan_ok=True)
        whole = theirs([x for _, b in there for x in b], [x for a, _ in there for x in a]) if there else math.nan
        assert function([a for a, _ in pairs], [b for _, b in pairs], average="all") == pytest.approx(whole, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(boxes, boxes)
def test_boxes_are_masks_of_cells(first: list[int], second: list[int]) -> None:
    grids = [[float(x1 <= x < x2 and y1 <= y < y2) for x in range(6) for y in range(6)] for x1, y1, x2, y2 in (first, second)]
    for function in (masks.iou, masks.dice):
        assert function([first], [second], kind="box") == pytest.approx(function(grids[:1], grids[1:]), nan_ok=True)


def warped(a: np.ndarray, b: np.ndarray, squared: bool, window: int | None) -> float:
    """All paths, by recursion."""
    def cheapest(i: int, j: int) -> float:
        if i < 0 or j < 0 or (window is not None and abs(i - j) > max(window, abs(len(a) - len(b)))):
            return math.inf
        cost = float(((a[i] - b[j]) ** 2).sum())
        before = 0.0 if i == j == 0 else min(cheapest(i - 1, j), cheapest(i, j - 1), cheapest(i - 1, j - 1))
        return before + (cost if squared else math.sqrt(cost))

    return cheapest(len(a) - 1, len(b) - 1)


series = st.integers(1, 2).flatmap(lambda d: st.tuples(*(
    st.lists(st.lists(st.integers(-9, 9), min_size=d, max_size=d), min_size=1, max_size=5) for _ in "ab")))


@settings(max_examples=60, deadline=None)
@given(series, st.booleans(), st.sampled_from([None, 0, 1, 2]))
def test_dtw(pair: tuple[list[Any], list[Any]], squared: bool, window: int | None) -> None:
    a, b = (np.array(side, dtype=float) for side in pair)
    found = dtw.dtw(a, b, cost="squared" if squared else "absolute", window=window)
    assert found == pytest.approx(warped(a, b, squared, window), abs=1e-9)


def test_dtw_of_real_series(sets: tuple[np.ndarray, np.ndarray, Path]) -> None:
    x, y = sets[0][:4, :7], sets[1][:4, :6]
    expected = [warped(a[:, None], b[:, None], True, None) for a, b in zip(x, y)]
    assert value_of(metric("dtw(cost=squared)"), *outputs_of(x, y.tolist())) == pytest.approx(np.mean(expected), abs=1e-12)
    assert math.isnan(dtw.dtw([], [1.0]))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: fid.fid([[math.nan]], [[1.0]]), r"fid: features must be finite numbers of shape \(n, d\)"),
    (lambda: fid.kid([[1.0], [2.0]], [[1.0, 2.0]]), "kid: vectors of both sides must have one length, got 1 and 2"),
    (lambda: metric("prdc(k=0)"), "prdc: k must be a positive integer, got 0"),
    (lambda: masks.iou([[1, 0]], [[1]]), "iou: item 0: the mask has 2 cells, the target 1"),
    (lambda: masks.dice([[3, 0, 1, 1]], [[0, 0, 1, 1]], kind="box"), "dice: item 0: a box must be"),
    (lambda: dtw.dtw([1.0], [[1.0]]), "dtw: both series must be numbers, or points of one dimension"),
    (lambda: modes.mode_coverage([[1.0]], [[1.0]], k=3), r"k must be at most the number of reference vectors \(1\), got 3"),
    (lambda: features.inception_score([[0.7, 0.7]]), "inception_score: probabilities must not be negative and must sum to 1"),
    (lambda: metric("fid").score(*outputs_of([[1.0]], ["a"])), "fid: against must be a file of feature vectors"),
])  # fmt: skip
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        call()
