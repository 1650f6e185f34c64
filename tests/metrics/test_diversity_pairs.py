"""Pairwise similarity of outputs: all pairs one by one, the drawn pairs of many outputs, an encoder as a role."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics import pairwise
from harness.metrics.pairwise import PairwiseCosine, PairwiseJaccard, pairwise_cosine, pairwise_jaccard
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Embed, Key, Number, Output, Sample, Scores, Text


class LetterEncoder:
    """A text's vector is its letters a, b, c counted."""

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> np.ndarray:
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], dtype=np.float32).reshape(len(texts), 3)


def answers(texts: Sequence[str]) -> tuple[list[Sample], list[Output]]:
    return [Sample(str(i)) for i in range(len(texts))], [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]


def value(found: Scores, weights: Sequence[float]) -> float:
    there = [row for row in range(len(found.stats)) if row not in found.missing]
    return float(found.bound.aggregate(found.stats[there], np.array([weights])[:, there])[0])


def jaccard_twin(texts: Sequence[str], n: int) -> float:
    sets = [{tuple(t[i : i + n]) for i in range(len(t) - n + 1)} for t in (text.split() for text in texts)]
    pairs = [len(a & b) / len(a | b) for a, b in itertools.combinations([s for s in sets if s], 2)]
    return float(np.mean(pairs)) if pairs else math.nan


@given(st.lists(st.text(alphabet="abc ", max_size=12), max_size=7), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_jaccard_equals_all_pairs_one_by_one(texts: list[str], n: int) -> None:
    assert pairwise_jaccard(texts, n=n) == pytest.approx(jaccard_twin(texts, n), abs=1e-12, nan_ok=True)
    found = PairwiseJaccard(n).score(*answers(texts))
    if len(found.missing) < len(texts):
        assert value(found, [1.0] * len(texts)) == pytest.approx(jaccard_twin(texts, n), abs=1e-12, nan_ok=True)
        half = [float(i % 2) for i in range(len(texts))]
        assert value(found, half) == pytest.approx(jaccard_twin(texts[1::2], n), abs=1e-12, nan_ok=True)


def test_jaccard_by_hand() -> None:
    assert pairwise_jaccard(["a b", "b a b", "c"]) == pytest.approx((1 + 0 + 0) / 3)
    assert pairwise_jaccard(["a b c", "a b d"], n=2) == pytest.approx(1 / 3)
    assert math.isnan(pairwise_jaccard(["a b"]))
    found = PairwiseJaccard(2).score([Sample("1"), Sample("2"), Sample("3")],
                                     [Output(Key("1"), Text("a")), Output(Key("2"), Number(1)), Output(Key("3"), Text("a b"))])
    assert found.missing == {0: "the text has fewer than 2 words", 1: "the answer is Number, not Text"}
    assert found.stats[:, 0].tolist() == pytest.approx([math.nan, math.nan, 0], nan_ok=True)


def test_of_many_outputs_pairs_are_drawn_alike_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 12, size=6)) for _ in range(150)]
    exact = pairwise_jaccard(texts)
    assert exact == pytest.approx(jaccard_twin(texts, 1), abs=1e-12)
    monkeypatch.setattr(pairwise, "MOST_PAIRS", 4000)
    drawn = pairwise_jaccard(texts)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.01)
    assert pairwise_jaccard(texts[::-1]) == pytest.approx(drawn, abs=1e-12)
    assert pairwise_jaccard(texts) == drawn
    assert pairwise_jaccard(texts, seed=1) != drawn
    # No output is ever paired with itself: copies of one text are.
    assert pairwise_jaccard(["a b"] * 150) == 1.0
    assert pairwise_jaccard([f"w{i}" for i in range(150)]) == 0.0


def test_cosine_equals_all_pairs_one_by_one() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4)) * 10.0 ** rng.integers(-200, 200, size=(9, 1))
    units = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    expected = np.mean([a @ b for a, b in itertools.combinations(units, 2)])
    assert pairwise_cosine(vectors) == pytest.approx(expected, abs=1e-12)
    assert pairwise_cosine([[1, 0], [-1, 0]]) == -1
    assert pairwise_cosine([[3, 4]] * 5) == pytest.approx(1, abs=1e-12)
    assert math.isnan(pairwise_cosine([[1, 0]]))
    assert math.isnan(pairwise_cosine([]))
    with pytest.raises(MetricError, match=r"pairwise_cosine: vectors must be finite and not zero, got \[0.0, 0.0\]"):
        pairwise_cosine([[1, 0], [0, 0]])
    with pytest.raises(MetricError, match="finite"):
        pairwise_cosine([[1, 0], [math.inf, 0]])


def test_cosine_asks_for_an_encoder() -> None:
    assert metric("pairwise_cosine").needs_roles() == {"encoder": Embed}
    m = metric("pairwise_cosine(model=other)")
    assert m.needs_roles() == {"other": Embed}
    samples, outputs = answers(["ab", "a", "xyz", "cc"])
    with pytest.raises(MetricError, match="the role 'other' must be opened before scoring"):
        m.score(samples, outputs)
    found = m.open({"other": LetterEncoder()}).score(samples, outputs)  # type: ignore[dict-item]
    assert found.missing == {2: "the embedding is zero or not finite"}
    assert value(found, [1, 1, 1, 1]) == pytest.approx(math.sqrt(0.5) / 3)
    assert value(found, [1, 1, 0, 0]) == pytest.approx(math.sqrt(0.5))
    assert m.signature() == "pairwise_cosine(model=other)#v1"


@pytest.mark.parametrize("m", [PairwiseJaccard(), PairwiseCosine(encoder=LetterEncoder())])
def test_intervals_come_from_halves(m: PairwiseJaccard | PairwiseCosine) -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(list("abc"), size=3)) for _ in range(80)]
    found = m.score(*answers(texts))
    result = estimate(found.stats, found.bound.aggregate, method=m.interval, bounds=m.bounds, rng=rng)
    assert result.method == "subsample(halves, 200)"
    assert result.value is not None
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high
    # 80 outputs: the standard error of a mean of numbers in [0, 1] is below 1 / (2 · sqrt(80)).
    assert result.high - result.low < 4 * 2 / (2 * math.sqrt(80))


def test_parameters() -> None:
    with pytest.raises(MetricError, match=r"^pairwise_jaccard: n must be a positive integer, got 0$"):
        metric("pairwise_jaccard(n=0)")
    with pytest.raises(MetricError, match=r"^pairwise_jaccard: seed must be an integer of at least 0, got -1$"):
        metric("pairwise_jaccard(seed=-1)")
    with pytest.raises(MetricError, match=r"^pairwise_jaccard: texts\[0\] must be a text, got None$"):
        pairwise_jaccard([None])  # type: ignore[list-item]
