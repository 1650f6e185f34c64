"""Metrics of pools of vectors: what is missing and why, reference files, intervals from halves, their cost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine.scoring import Scorer, make_settings
from harness.errors import DataError
from harness.metrics.geometry import Uniformity
from harness.metrics.vectors import cosines, read_features, squared_distances
from harness.plugins import metric
from harness.types import Estimate, Key, Label, Number, Output, Sample, Text, Vectors
from tests.parity.embedded import outputs_of, value_of

SETTINGS = make_settings(seed=0, level=0.95, n_bootstrap=200)
POOLED = ("average_pairwise_distance", "average_pairwise_distance(distance=cosine)", "uniformity", "silhouette",
          "davies_bouldin", "calinski_harabasz", "inertia", "inertia(k=3)", "v_measure", "ari", "nmi",
          "uniqueness(tolerance=0.5)", "mmd", "fid", "kid", "prdc", "prdc(measure=density)", "mode_coverage(k=3)")  # fmt: skip
AGAINST = ("mmd", "fid", "kid", "prdc", "mode_coverage")


def made(n: int, d: int = 6) -> tuple[np.ndarray, list[str]]:
    """Three overlapping groups of vectors and their names."""
    groups = np.arange(n) % 3
    centres = np.random.default_rng(1).normal(0, 2, (3, d))
    return centres[groups] + np.random.default_rng(2).normal(size=(n, d)), [f"group {group}" for group in groups]


def estimate_of(spec: str, samples: list[Sample], outputs: list[Output]) -> Estimate:
    scorer = Scorer({"m": metric(spec)}, samples)
    scorer.add(samples, outputs)
    return scorer.estimates(SETTINGS)["m"]


@pytest.mark.parametrize("spec", POOLED)
def test_the_interval_holds_the_value_and_is_not_the_bootstraps(spec: str) -> None:
    vectors, names = made(90)
    targets: Any = np.roll(vectors, 7, axis=0).tolist() if spec.startswith(AGAINST) else names
    found = estimate_of(spec, *outputs_of(vectors, targets))
    assert found.value is not None
    assert found.method.startswith("subsample(halves, 200)")
    if found.low is not None and found.high is not None:
        assert found.low <= found.value <= found.high
    else:
        assert spec.startswith(("mmd", "kid", "mode")), found


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "factor"), [("average_pairwise_distance", 1.6), ("silhouette", 2.0)])
def test_the_spread_is_that_of_new_samples(spec: str, factor: float) -> None:
    """Against the standard deviation over 25 fresh draws of the population, of more rows than are resampled."""
    n = 1100
    widths, values = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        groups = rng.permutation(np.arange(n) % 3)
        vectors = np.eye(3)[groups] * 3 + rng.normal(size=(n, 3))
        samples, outputs = outputs_of(vectors, [f"g{group}" for group in groups])
        values.append(value_of(metric(spec), samples, outputs))
        if seed == 0:
            estimate = estimate_of(spec, samples, outputs)
            assert estimate.low is not None
            assert estimate.high is not None
            widths.append(estimate.high - estimate.low)
    expected = 2 * 1.96 * float(np.std(values))
    assert expected / factor < widths[0] < expected * factor


def test_the_spread_of_a_sum_is_that_of_all_rows_not_of_half() -> None:
    """n · d squared standard normals: their sum has the standard deviation √(2 n d)."""
    n, d = 400, 3
    estimate = estimate_of("inertia", *outputs_of(np.random.default_rng(4).normal(size=(n, d)), ["one"] * n))
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.high - estimate.low) / 3.92 == pytest.approx(np.sqrt(2 * n * d), rel=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["average_pairwise_distance", "silhouette", "v_measure", "prdc", "fid", "mmd", "kid"])
def test_five_thousand_vectors_cost_seconds(spec: str) -> None:
    vectors, names = made(5000, 64)
    targets: Any = np.roll(vectors, 7, axis=0).tolist() if spec.startswith(AGAINST) else names
    samples, outputs = outputs_of(vectors, targets)
    started = time.process_time()
    found = estimate_of(spec, samples, outputs)
    assert found.value is not None
    assert time.process_time() - started < 120


def test_what_is_missing_says_why() -> None:
    samples = [Sample(str(i), target="a") for i in range(6)]
    answers = [Vectors(((1.0, 0.0),)), Vectors(((0.0, 0.0),)), Text("x"), Vectors(((1.0,),)), Vectors(((1.0, 2.0), (3.0, 4.0))),
               Vectors(((float("nan"), 1.0),))]  # fmt: skip
    scores = Uniformity().score(samples, [Output(Key(str(i)), answer) for i, answer in enumerate(answers)])
    assert scores.missing == {
        1: "the vector has length 0", 2: "the answer is Text, not Vectors", 3: "the vector has 1 numbers, the first one 2",
        4: "the answer has 2 vectors, not 1", 5: "a vector has a number that is not finite",
    }  # fmt: skip
    sts = metric("sts_pearson").score(
        [Sample("a", target=""), Sample("b", target=1.0), Sample("c", target=2)],
        [Output(Key(key), answer) for key, answer in
         {"a": Vectors(((1.0,), (1.0,))), "b": Number(0.5), "c": Vectors(((0.0,), (1.0,)))}.items()])  # fmt: skip
    assert sts.stats[1].tolist() == [0.5, 1.0]
    assert sorted(sts.missing) == [0, 2]
    assert sts.missing[2] == "a vector has length 0: no cosine"
    kl = metric("kl").score([Sample("a", target={"x": 0.5, "y": 0.6}), Sample("b", target="x")],
                            [Output(Key("a"), Label("x", {"x": 1.0})), Output(Key("b"), Label("x", {"x": -1.0, "y": 2.0}))])
    assert kl.missing == {0: "the probabilities of the target sum to 1.1, not to 1",
                          1: "the probabilities of the answer must be finite and not negative"}  # fmt: skip


def test_feature_files(tmp_path: Path) -> None:
    rows = [[1.0, 2.0], [3.0, 4.5]]
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", features=np.array(rows))
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(rows[0])}\n{json.dumps({'vector': rows[1]})}\n", encoding="utf-8")
    for name in ("a.npy", "b.npz", "c.jsonl"):
        assert read_features("fid", tmp_path / name).tolist() == rows
        spec = f"nearest_train_distance(against={tmp_path / name})"
        assert value_of(metric(spec), *outputs_of([[1.0, 2.0], [3.0, 4.0]])) == pytest.approx(0.25)
    np.savez(tmp_path / "d.npz", a=np.array(rows), b=np.array(rows))
    (tmp_path / "e.jsonl").write_text("[1.0]\n[1.0, 2.0]\n", encoding="utf-8")
    for name, why in (("d.npz", "it must hold one array, and holds a, b"), ("e.jsonl", "rows of numbers of one length"),
                      ("f.npy", "No such file")):  # fmt: skip
        with pytest.raises(DataError, match=why):
            read_features("fid", tmp_path / name)


def test_near_points_are_measured_by_their_difference() -> None:
    """|x|² + |y|² - 2xy alone would give 0 or noise of 1e-4 here."""
    points = np.array([[1e6, 1.0], [1e6, 1.0 + 1e-6], [1e6 + 3.0, 5.0]])
    assert np.sqrt(squared_distances(points, points)).tolist()[0] == pytest.approx([0.0, 1e-6, 5.0], rel=1e-4)
    assert np.isnan(cosines(np.zeros((1, 2)), np.ones((1, 2)))[0])


def test_ties_across_modalities_count_as_chance_has_it() -> None:
    equal = outputs_of(np.ones((8, 2, 3)))
    assert value_of(metric("cross_modal_recall@2"), *equal) == pytest.approx(2 / 8)
    assert value_of(metric("triplet_accuracy"), *outputs_of(np.ones((4, 3, 2)))) == 0.0
