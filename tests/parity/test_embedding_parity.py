"""Metrics of embeddings and clusters equal scikit-learn, scipy, torch and sentence-transformers, on real and made vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import cdist, pdist
from sklearn import cluster
from sklearn import metrics as sk

from harness.metrics import clusterings, clusters, embeddingpairs, geometry, similarity
from harness.metrics.kmeans import k_means
from harness.plugins import metric
from tests.parity.embedded import intents, outputs_of, value_of
from tests.parity.stubs import without_torchvision

SharedData = Callable[[str], Path]
BANKING = "banking77/test.csv"
INDICES = {"silhouette": sk.silhouette_score, "davies_bouldin": sk.davies_bouldin_score,
           "calinski_harabasz": sk.calinski_harabasz_score}  # fmt: skip
AGREEMENTS = {"v_measure": sk.v_measure_score, "nmi": sk.normalized_mutual_info_score, "ari": sk.adjusted_rand_score}

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))
points = hnp.arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=numbers)


# ── real vectors ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", INDICES)
def test_cluster_indices_of_real_vectors(name: str, shared_data: SharedData) -> None:
    vectors, labels = intents(shared_data(BANKING))
    expected = INDICES[name](vectors, labels)
    assert getattr(clusters, name)(vectors, labels) == pytest.approx(expected, rel=1e-9)
    assert value_of(metric(name), *outputs_of(vectors, labels)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_k_means_is_as_good_as_scikit_learns(shared_data: SharedData) -> None:
    vectors, labels = intents(shared_data(BANKING))
    for k in (2, 12, 40):
        found = k_means(vectors, k, seed=1)
        theirs = cluster.KMeans(k, n_init=4, random_state=1).fit(vectors)
        assert found.inertia <= 1.02 * theirs.inertia_
        assert found.inertia == pytest.approx(((vectors - found.centres[found.labels]) ** 2).sum(), rel=1e-9)
        assert clusters.inertia(vectors, theirs.labels_) == pytest.approx(theirs.inertia_, rel=1e-9)
    shuffled = np.random.default_rng(2).permutation(len(vectors))
    assert sk.adjusted_rand_score(k_means(vectors[shuffled], 12).labels, k_means(vectors, 12).labels[shuffled]) == 1.0
    assert value_of(metric("inertia(k=12)"), *outputs_of(vectors)) == pytest.approx(k_means(vectors, 12).inertia, rel=1e-3)
    found = value_of(metric("v_measure"), *outputs_of(vectors, labels))
    assert found == pytest.approx(sk.v_measure_score(labels, k_means(vectors, len(set(labels))).labels), abs=1e-12)
    assert found > 0.6  # banking questions do cluster by intent


def test_distances_between_all_pairs_of_real_vectors(shared_data: SharedData) -> None:
    torch = pytest.importorskip("torch")
    vectors, _ = intents(shared_data(BANKING))
    scaled = 3 * vectors * np.random.default_rng(0).uniform(0.5, 2, len(vectors))[:, None]
    for distance in ("euclidean", "cosine"):
        expected = pdist(scaled, distance).mean()
        assert geometry.average_pairwise_distance(scaled, distance=distance) == pytest.approx(expected, rel=1e-9)
        found = value_of(metric(f"average_pairwise_distance(distance={distance})"), *outputs_of(scaled))
        assert found == pytest.approx(expected, rel=1e-9)
    unit = torch.nn.functional.normalize(torch.tensor(scaled), dim=1)
    expected = float(torch.pdist(unit, p=2).pow(2).mul(-2).exp().mean().log())
    assert geometry.uniformity(scaled) == pytest.approx(expected, abs=1e-9)
    assert value_of(metric("uniformity(t=2)"), *outputs_of(scaled)) == pytest.approx(expected, abs=1e-9)
    other = torch.nn.functional.normalize(torch.tensor(np.roll(vectors, 1, axis=0)), dim=1)
    expected = float((unit - other).norm(p=2, dim=1).pow(3).mean())
    assert embeddingpairs.alignment(scaled, np.roll(vectors, 1, axis=0), alpha=3) == pytest.approx(expected, abs=1e-9)


def test_pairs_and_triplets_of_real_vectors(shared_data: SharedData) -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.util import pairwise_cos_sim

    vectors, _ = intents(shared_data(BANKING))
    a, p, n = vectors[:-2], vectors[1:-1], vectors[2:]
    near, far = (pairwise_cos_sim(a, side).numpy().astype(np.float64) for side in (p, n))
    samples, outputs = outputs_of(np.stack([a, p, n], axis=1))
    expected = float((near > far).mean())
    assert 0.4 < expected < 0.8
    assert embeddingpairs.triplet_accuracy(a, p, n) == pytest.approx(expected, abs=1e-12)
    assert value_of(metric("triplet_accuracy"), samples, outputs) == pytest.approx(expected, abs=1e-12)
    d = [((a - side) ** 2).sum(axis=1) for side in (3 * p, n)]
    assert embeddingpairs.triplet_accuracy(a, 3 * p, n, distance="euclidean") == pytest.approx((d[0] < d[1]).mean(), abs=1e-12)
    expected = float(1 - sk.pairwise.paired_cosine_distances(a, p).mean())
    assert embeddingpairs.cosine(a, p) == pytest.approx(expected, abs=1e-12)
    assert value_of(metric("cosine"), *outputs_of(np.stack([a, p], axis=1))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_cross_modal_recall(k: int, shared_data: SharedData) -> None:
    """Vectors and noisy copies of them; the twin ranks one query at a time. torchmetrics' hit rate on the same scores."""
    torch = pytest.importorskip("torch")
    torchmetrics = without_torchvision("torchmetrics")
    vectors, _ = intents(shared_data(BANKING))
    images = vectors + np.random.default_rng(1).normal(0, 0.2, vectors.shape)
    similarities = sk.pairwise.cosine_similarity(vectors, images)
    for direction, scores in (("forward", similarities), ("backward", similarities.T)):
        twin = np.mean([i in np.argsort(-row)[:k] for i, row in enumerate(scores)])
        hits = [torchmetrics.functional.retrieval.retrieval_hit_rate(torch.tensor(row), torch.arange(len(row)) == i, top_k=k)
                for i, row in enumerate(scores)]  # fmt: skip
        assert twin == pytest.approx(float(np.mean([float(hit) for hit in hits])))
        assert 0.3 < twin < 1
        assert embeddingpairs.cross_modal_recall(vectors, images, k, direction=direction) == pytest.approx(twin, abs=1e-12)
        spec = f"cross_modal_recall@{k}(direction={direction})"
        found = value_of(metric(spec), *outputs_of(np.stack([vectors, images], axis=1)))
        assert found == pytest.approx(twin, abs=1e-12)


# ── made vectors ────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=50, deadline=None)
@given(points, st.data())
def test_cluster_indices_of_made_vectors(vectors: np.ndarray, data: Any) -> None:
    """A twin by differences where vectors are nearly equal, where scikit-learn's own distances are noise."""
    labels = data.draw(st.lists(st.integers(0, 3), min_size=len(vectors), max_size=len(vectors)))
    n, groups = len(vectors), sorted(set(labels))
    if not 2 <= len(groups) < n:
        assert all(math.isnan(getattr(clusters, name)(vectors, labels)) for name in INDICES)
        return
    distances, of = cdist(vectors, vectors), np.array(labels)
    rows = []
    for i in range(n):
        own = [j for j in range(n) if of[j] == of[i] and j != i]
        a = distances[i, own].mean() if own else 0.0
        b = min(distances[i, of == group].mean() for group in groups if group != of[i])
        rows.append((b - a) / max(a, b) if own and max(a, b) > 0 else 0.0)
    assert clusters.silhouette(vectors, labels) == pytest.approx(np.mean(rows), abs=1e-9)
    centres = {group: vectors[of == group].mean(axis=0) for group in groups}
    within = sum(((vectors[of == group] - centre) ** 2).sum() for group, centre in centres.items())
    assert clusters.inertia(vectors, labels) == pytest.approx(within, rel=1e-9, abs=1e-6)
    if within > 1e-6:
        expected = sk.calinski_harabasz_score(vectors, labels)
        assert clusters.calinski_harabasz(vectors, labels) == pytest.approx(expected, rel=1e-9)
    if pdist(list(centres.values())).min() > 1e-3:
        apart = {group: np.linalg.norm(vectors[of == group] - centre, axis=1).mean() for group, centre in centres.items()}
        worst = [max((apart[i] + apart[j]) / np.linalg.norm(centres[i] - centres[j]) for j in groups if j != i) for i in groups]
        assert clusters.davies_bouldin(vectors, labels) == pytest.approx(np.mean(worst), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.floats(0.01, 3))
def test_agreements_of_made_labels(pairs: list[tuple[int, int]], beta: float) -> None:
    y_true, y_pred = map(list, zip(*pairs))
    for name, function in AGREEMENTS.items():
        assert getattr(clusterings, name)(y_true, y_pred) == pytest.approx(function(y_true, y_pred), abs=1e-9)
    assert clusterings.v_measure(y_true, y_pred, beta=beta) == pytest.approx(
        sk.v_measure_score(y_true, y_pred, beta=beta), abs=1e-9)
    for average in ("arithmetic", "geometric", "min", "max"):
        if min(len(set(y_true)), len(set(y_pred))) > 1:
            expected = sk.normalized_mutual_info_score(y_true, y_pred, average_method=average)
            assert clusterings.nmi(y_true, y_pred, average=average) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(points)
def test_distances_of_made_vectors(vectors: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(vectors).max()))
    assert geometry.average_pairwise_distance(vectors) == pytest.approx(pdist(vectors).mean(), abs=1e-9 * scale)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, st.sampled_from([0.0, 1.0, 2.5, 5.0])), min_size=2, max_size=25))
def test_correlations_of_made_numbers(pairs: list[tuple[float, float]]) -> None:
    x, y = map(np.array, zip(*pairs))
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert math.isnan(similarity.sts_pearson(x, y))
        assert math.isnan(similarity.sts_spearman(x, y))
        return
    assert similarity.sts_spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    if x.std() > 1e-3:
        assert similarity.sts_pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)


# ── where we deviate on purpose ─────────────────────────────────────────────────────────────────────────────────────


def test_conventions_that_are_not_scikit_learns() -> None:
    """Undefined is missing: scikit-learn gives numbers here."""
    equal, labels = np.ones((4, 2)), [0, 0, 1, 1]
    assert sk.calinski_harabasz_score(equal, labels) == 1.0
    assert math.isnan(clusters.calinski_harabasz(equal, labels))
    assert sk.davies_bouldin_score(equal, labels) == 0.0
    assert math.isnan(clusters.davies_bouldin(equal, labels))
    assert sk.v_measure_score([], []) == sk.adjusted_rand_score([], []) == 1.0
    assert math.isnan(clusterings.v_measure([], []))
    assert math.isnan(clusterings.ari([], []))
