"""Diversity against lexicalrichness, scipy and scikit-learn, on the eight WMT17 systems and on made-up texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.diversity import distinct, entropy, ttr, yule_k
from harness.metrics.pairwise import pairwise_cosine, pairwise_jaccard
from harness.metrics.richness import mattr
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Key, Output, Sample, Text

SharedData = Callable[[str], Path]
made_up = st.lists(st.text(alphabet=st.sampled_from("abcdé 東ß1٣'\n\u00a0"), max_size=30), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def outputs(shared_data: SharedData) -> list[str]:
    """The first 500 outputs of uedin-nmt."""
    text = shared_data("wmt17_ende/newstest2017.uedin-nmt.4722.en-de.txt").read_text(encoding="utf-8")
    return text.split("\n")[:500]


def tokens_of(text: str) -> list[str]:
    """Lower-cased letters and numbers of every script: what ``tokenize=unicode`` cuts, for texts without combining marks."""
    return re.findall(r"[^\W_]+", text.lower())


def rich(tokens: Sequence[str]) -> Any:
    lexical = pytest.importorskip("lexicalrichness")
    return lexical.LexicalRichness(list(tokens), preprocessor=None, tokenizer=None)


def check_against_the_references(texts: Sequence[str]) -> None:
    stats = pytest.importorskip("scipy.stats")
    tokens = [token for text in texts for token in tokens_of(text)]
    if not tokens:
        assert all(math.isnan(f(texts, tokenize="unicode")) for f in (ttr, yule_k, mattr, entropy))
        return
    together = rich(tokens)
    assert ttr(texts, tokenize="unicode") == pytest.approx(together.ttr, rel=1e-9)
    assert yule_k(texts, tokenize="unicode") == pytest.approx(together.yulek, rel=1e-9, abs=1e-9)
    for n in (1, 2, 3):
        counts = Counter(tuple(t[i : i + n]) for t in map(tokens_of, texts) for i in range(len(t) - n + 1))
        if counts:
            assert distinct(texts, n=n, tokenize="unicode") == pytest.approx(len(counts) / sum(counts.values()), rel=1e-9)
            wanted = stats.entropy(list(counts.values()), base=2)
            assert entropy(texts, n=n, tokenize="unicode") == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    window = 10
    per_text = [rich(t).mattr(min(window, len(t))) for t in map(tokens_of, texts) if t]
    assert mattr(texts, window=window, tokenize="unicode") == pytest.approx(np.mean(per_text), rel=1e-9)


def test_real_outputs_equal_the_references(outputs: list[str]) -> None:
    check_against_the_references(outputs)


@given(made_up)
@settings(max_examples=40, deadline=None)
def test_made_up_texts_equal_the_references(texts: list[str]) -> None:
    check_against_the_references(texts)


def test_one_long_text_equals_lexicalrichness_at_every_window(outputs: list[str]) -> None:
    text = " ".join(outputs[:60])
    tokens = tokens_of(text)
    for window in (1, 7, 50, 500, len(tokens)):
        assert mattr([text], window=window, tokenize="unicode") == pytest.approx(rich(tokens).mattr(window), rel=1e-9)


def test_a_text_shorter_than_the_window_is_one_window() -> None:
    # lexicalrichness refuses it.
    with pytest.raises(ValueError, match="Window size must not be greater"):
        rich(["a", "b", "a"]).mattr(50)
    assert mattr(["a b a"], window=50) == pytest.approx(2 / 3)


def test_pairwise_jaccard_equals_scikit_learn(outputs: list[str]) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    some = outputs[:120]
    vocabulary = sorted({token for text in some for token in tokens_of(text)})
    has = np.array([[token in set(tokens_of(text)) for token in vocabulary] for text in some])
    distances = pairwise.pairwise_distances(has, metric="jaccard")[np.triu_indices(len(some), 1)]
    assert pairwise_jaccard(some, tokenize="unicode") == pytest.approx(1 - distances.mean(), rel=1e-9)


def test_pairwise_cosine_equals_scikit_learn() -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    vectors = np.random.default_rng(0).normal(size=(70, 30)) + 0.3
    cosines = pairwise.cosine_similarity(vectors)[np.triu_indices(70, 1)]
    assert pairwise_cosine(vectors) == pytest.approx(cosines.mean(), rel=1e-9)


def test_the_interval_of_distinct_2_holds_the_value_where_resampling_with_replacement_does_not(outputs: list[str]) -> None:
    m = metric("distinct(n=2, tokenize=space)")
    found = m.score([Sample(str(i)) for i in range(500)], [Output(Key(str(i)), Text(t)) for i, t in enumerate(outputs)])
    result = estimate(found.stats, found.bound.aggregate, method=m.interval, bounds=m.bounds, rng=np.random.default_rng(0))
    bigrams = [list(zip(t.split(), t.split()[1:])) for t in outputs]

    def plain(rows: Sequence[int]) -> float:
        all_of = [bigram for row in rows for bigram in bigrams[row]]
        return len(set(all_of)) / len(all_of)

    rng = np.random.default_rng(0)
    naive = np.quantile([plain(rng.integers(500, size=500).tolist()) for _ in range(100)], [0.025, 0.975])
    assert result.value == pytest.approx(plain(range(500)), rel=1e-12)
    assert result.value == pytest.approx(0.885, abs=0.001)
    assert naive == pytest.approx([0.549, 0.605], abs=0.005)
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high
    # Halves have the spread of the value: every other set of 500 outputs of the system gives one near it.
    assert naive[1] < result.low
    assert 0.005 < result.high - result.low < 0.05
    assert result.method == "subsample(halves, 200)"
