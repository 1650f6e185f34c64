"""Topic coverage: topics that are plain to see, the same whatever the order, against scikit-learn's pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.topics import TopicCoverage, _tfidf, spherical_kmeans, topic_coverage
from harness.metrics.wording import words
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Embed, Key, Output, Sample, Scores, Text

SEA = ["the sea and the waves", "waves of the sea", "salt sea waves", "deep sea waves roll"]
BREAD = ["bread and flour", "flour makes bread", "warm bread flour", "bread flour oven"]
MUSIC = ["violin and piano", "piano violin duet", "soft piano violin", "violin piano concert"]
REFERENCES = [*SEA, *BREAD, *MUSIC]


def score(m: TopicCoverage, texts: Sequence[str], references: Sequence[str] = REFERENCES) -> Scores:
    rows = max(len(texts), len(references))
    samples = [Sample(str(i), references=(references[i % len(references)],)) for i in range(rows)]
    outputs = [Output(Key(str(i)), Text(texts[i % len(texts)])) for i in range(rows)]
    return m.score(samples, outputs)


def value(found: Scores) -> float:
    there = [row for row in range(len(found.stats)) if row not in found.missing]
    return float(found.bound.aggregate(found.stats[there], np.ones((1, len(there))))[0])


@pytest.mark.parametrize("seed", range(5))
def test_topics_that_are_plain_to_see(seed: int) -> None:
    def coverage(texts: Sequence[str]) -> float:
        return topic_coverage(texts, REFERENCES, k=3, seed=seed)

    assert coverage(["sea waves", "bread and flour", "a piano violin"]) == 1
    assert coverage(["sea waves", "the salt sea waves", "violin piano"]) == pytest.approx(2 / 3)
    assert coverage(["flour bread"] * 9) == pytest.approx(1 / 3)


def test_neither_the_order_nor_copies_matter() -> None:
    texts = ["sea waves", "bread oven", "deep sea", "flour"]
    values = {topic_coverage(t, r, k=4) for t, r in [(texts, REFERENCES), (texts[::-1], REFERENCES[::-1]),
                                                     (texts * 3, [*REFERENCES, *SEA])]}
    assert len(values) == 1


def test_the_metric_its_table_and_missing_rows() -> None:
    m = TopicCoverage(3)
    found = score(m, ["sea waves", "bread flour", "quantum", "sea"])
    # Twelve rows: the four outputs three times each.
    assert found.missing == dict.fromkeys((2, 6, 10), "the text has nothing in common with the references")
    assert value(found) == pytest.approx(2 / 3)
    table = found.bound.tables(found.stats[[row for row in range(12) if row not in found.missing]])["topics"]
    assert table.columns == ("topic", "references", "outputs")
    assert sorted((r, o) for _, r, o in table.rows) == [(4, 0), (4, 3), (4, 6)]
    few = score(TopicCoverage(13), ["sea"])
    assert set(few.missing.values()) == {"12 different references are too few for 13 topics"}
    result = estimate(found.stats, found.bound.aggregate, method=m.interval, bounds=m.bounds, missing=found.missing,
                      rng=np.random.default_rng(0))
    assert result.low is not None
    assert result.high is not None
    assert result.value is not None
    assert result.low <= result.value <= result.high


def test_an_encoder_may_take_the_place_of_words() -> None:
    class Encoder:
        def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> np.ndarray:
            return np.array([[text in group for group in (SEA, BREAD, MUSIC)] for text in texts], dtype=np.float32)

    m = metric("topic_coverage(k=3, model=encoder)")
    assert m.needs_roles() == {"encoder": Embed}
    assert metric("topic_coverage").needs_roles() == {}
    with pytest.raises(MetricError, match="the role 'encoder' must be opened before scoring"):
        score(m, ["sea"])  # type: ignore[arg-type]
    opened = m.open({"encoder": Encoder()})  # type: ignore[dict-item]
    assert value(score(opened, [SEA[0], MUSIC[1]])) == pytest.approx(2 / 3)  # type: ignore[arg-type]


def test_tfidf_and_centres_equal_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    cluster = pytest.importorskip("sklearn.cluster")
    ours = _tfidf(REFERENCES, len(REFERENCES), "ascii").toarray()
    theirs = text.TfidfVectorizer(token_pattern="[a-z0-9]+", sublinear_tf=True).fit_transform(REFERENCES).toarray()
    # The columns are in another order: the products of all pairs are not.
    assert ours @ ours.T == pytest.approx(theirs @ theirs.T, abs=1e-12)
    assert words(["a b"], "ascii").lengths.tolist() == [2]
    # On unit vectors that Lloyd's rounds leave alone, k-means from our centres stays where it is.
    centres = spherical_kmeans(ours, 3, 0)
    labels = np.argmax(ours @ centres.T, axis=1)
    means = np.array([ours[labels == k].mean(axis=0) for k in range(3)])
    found = cluster.KMeans(3, init=means, n_init=1).fit(ours)
    assert found.labels_.tolist() == labels.tolist()
    assert means / np.linalg.norm(means, axis=1, keepdims=True) == pytest.approx(centres, abs=1e-12)


def test_bad_input() -> None:
    assert math.isnan(topic_coverage([], REFERENCES, k=2))
    assert math.isnan(topic_coverage(["sea"], ["a", "a"], k=2))
    assert topic_coverage(["a"], ["a", "b"], k=2) == 0.5
    with pytest.raises(MetricError, match=r"^topic_coverage: k must be a positive integer, got 0$"):
        metric("topic_coverage(k=0)")
    assert metric("topic_coverage(k=5)").spec == "topic_coverage(k=5)"
