"""Bits per byte, variances, and the metrics of single tokens: hand-worked values, gaps, weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.likelihood import bits_per_byte, perplexity, perplexity_variance
from harness.metrics.sequencelogprob import mean_token_logprob, min_token_logprob, sequence_logprob, token_entropy
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Answer, Key, Likelihoods, Number, Output, Sample, Scores, Text

READ = Likelihoods((-6.0,), (3,), n_words=2, n_bytes=12, token_logprobs=(-1.0, -4.0, -1.0), token_entropies=(0.5, 1.0, 0.0))
WRITTEN = Text("a b", token_logprobs=(-0.5, -0.25), token_entropies=(0.25, 0.75))
BARE = Likelihoods((-10.0,), (5,), n_words=4, n_bytes=20)
NO_TOKENS = "the answer has no log-probabilities of tokens (a task asks for them with token_logprobs: true)"


def scores(spec: str, answers: Sequence[Answer]) -> Scores:
    outputs = [Output(Key(str(i)), answer) for i, answer in enumerate(answers)]
    return metric(spec).score([Sample(str(i)) for i in range(len(answers))], outputs)


def value(spec: str, answers: Sequence[Answer], weights: Sequence[float] | None = None) -> float:
    found = scores(spec, answers)
    assert not found.missing
    return float(metric(spec).aggregate(found.stats, np.array([weights or [1.0] * len(answers)]))[0])


@pytest.mark.parametrize(("spec", "expected"), [
    ("sequence_logprob", (-6 - 0.75) / 2),
    ("mean_token_logprob", (-2 - 0.375) / 2),
    ("min_token_logprob", (-4 - 0.5) / 2),
    ("token_entropy", (0.5 + 0.5) / 2),
])
def test_tokens_of_texts_read_and_written(spec: str, expected: float) -> None:
    assert value(spec, [READ, WRITTEN]) == pytest.approx(expected, abs=1e-12)
    assert metric(spec).rows(scores(spec, [READ]).stats)[0] == value(spec, [READ])


def test_bits_per_byte() -> None:
    assert value("bits_per_byte", [READ, BARE]) == pytest.approx(16 / 32 / math.log(2))
    assert value("bits_per_byte", [READ, BARE], [2, 1]) == pytest.approx(22 / 44 / math.log(2))
    # A model that finds all 256 bytes alike takes 8 bits for each.
    assert bits_per_byte([100 * math.log(1 / 256)], [100]) == pytest.approx(8)
    assert bits_per_byte([-1.0, -2.0], [1, 2], sample_weight=[0, 1]) == pytest.approx(1 / math.log(2))
    assert scores("bits_per_byte", [Likelihoods((-1.0,), (1,))]).missing == {0: "the number of bytes is not known"}
    assert scores("bits_per_byte", [Likelihoods((-1.0,), (1,), n_bytes=0)]).missing == {0: "the text has no byte"}


def test_statistics_are_nll_tokens_words_bytes() -> None:
    for spec in ("perplexity", "word_perplexity", "bits_per_byte"):
        assert metric(spec).columns == ("nll", "tokens", "words", "bytes")
        assert scores(spec, [READ]).stats.tolist() == [[6, 3, 2, 12]]
    # A size that is not known and not needed leaves no gap.
    assert scores("perplexity", [Likelihoods((-1.0,), (2,))]).stats.tolist() == [[1, 2, 0, 0]]


def test_variance_over_texts_and_over_tokens() -> None:
    texts = [Likelihoods((-math.log(ppl) * n,), (n,)) for ppl, n in ((2, 1), (4, 7), (9, 2))]
    assert value("perplexity_variance", texts) == pytest.approx(np.var([2, 4, 9]))
    assert value("perplexity_variance", texts, [2, 1, 1]) == pytest.approx(np.var([2, 2, 4, 9]))
    assert perplexity_variance([t.logprobs[0] for t in texts], [1, 7, 2]) == pytest.approx(np.var([2, 4, 9]))
    more = Likelihoods((-7.0,), (2,), token_logprobs=(-7.0, 0.0))
    assert value("perplexity_variance(over=token)", [READ, more]) == pytest.approx(np.var([1, 4, 1, 7, 0]))
    assert value("perplexity_variance(over=token)", [READ, more], [1, 3]) == pytest.approx(np.var([1, 4, 1] + [7, 0] * 3))
    assert value("perplexity_variance(over=token)", [READ]) == pytest.approx(np.var([1, 4, 1]))


def test_one_value_has_no_variance() -> None:
    # numpy says 0.
    assert np.var([4.0]) == 0
    assert math.isnan(value("perplexity_variance", [BARE]))
    assert math.isnan(perplexity_variance([-1.0], [1]))
    assert math.isnan(value("perplexity_variance", [READ, BARE], [3, 0]))
    assert value("perplexity_variance", [BARE, BARE]) == 0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 3)), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_variance_equals_numpy_at_any_scale(rows: list[tuple[float, int]]) -> None:
    m = metric("perplexity_variance")
    stats = np.array([(1.0, mean + 1e9, 0.0) for mean, _ in rows])
    weights = np.array([[float(weight) for _, weight in rows]])
    repeated = np.repeat(stats[:, 1], weights[0].astype(int))
    several = int((weights > 0).sum()) >= 2
    expected = np.var(repeated) if several else math.nan
    assert m.aggregate(stats, weights)[0] == pytest.approx(expected, rel=1e-6, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize(("spec", "answer", "reason"), [
    ("min_token_logprob", BARE, NO_TOKENS),
    ("token_entropy", Text("a"), NO_TOKENS),
    ("sequence_logprob", Text("a"), NO_TOKENS),
    ("perplexity_variance(over=token)", BARE, NO_TOKENS),
    ("mean_token_logprob", Text("", token_logprobs=()), "the text has no token"),
    ("sequence_logprob", Likelihoods((0.0,), (0,)), "the text has no token"),
    ("perplexity_variance", Likelihoods((0.0,), (0,)), "the text has no token"),
    ("perplexity_variance(over=token)", Likelihoods((0.0,), (0,), token_logprobs=()), "the text has no token"),
    ("perplexity_variance", Likelihoods((-1e6,), (1,)), "the perplexity of the text is beyond the range of float64"),
    ("perplexity_variance(over=token)", Likelihoods((-1.0,), (1,), token_logprobs=(-math.inf,)),
     "a log-probability of a token is not finite"),
    ("min_token_logprob", Text("a", token_logprobs=(-math.inf,)), "a value of the tokens is not finite, got -inf"),
    ("sequence_logprob", Likelihoods((-1.0, -2.0), (1, 1)), "likelihoods of 2 continuations, not of one whole text"),
    ("token_entropy", Number(1.0), "the answer is Number, not Text or Likelihoods"),
])
def test_missing_rows_have_their_reason(spec: str, answer: Answer, reason: str) -> None:
    assert scores(spec, [answer]).missing == {0: reason}


@pytest.mark.parametrize("spec", ["bits_per_byte", "perplexity_variance", "perplexity_variance(over=token)", "sequence_logprob",
                                  "mean_token_logprob", "min_token_logprob", "token_entropy", "perplexity"])
def test_intervals_and_no_samples(spec: str) -> None:
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(30):
        tokens = tuple((-rng.exponential(2.0, size=rng.integers(2, 20))).tolist())
        answers.append(Likelihoods((math.fsum(tokens),), (len(tokens),), n_bytes=4 * len(tokens), token_logprobs=tokens,
                                   token_entropies=tuple(-t for t in tokens)))
    m, found = metric(spec), scores(spec, answers)
    assert not found.missing
    result = estimate(found.stats, m.aggregate, finish=m.finish if m.is_additive else None, method=m.interval,
                      bounds=m.bounds, rng=rng)
    assert result.value is not None
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high
    empty = scores(spec, [])
    assert empty.stats.shape == (0, len(m.columns))
    assert math.isnan(m.aggregate(empty.stats, np.ones((1, 0)))[0])
    assert metric(m.spec) == m


def test_functions_over_lists() -> None:
    assert math.isnan(sequence_logprob([]))
    assert mean_token_logprob([[], [-1.0]]) == -1
    assert min_token_logprob([[-1.0, -3.0], [], [-2.0]]) == -2.5
    assert token_entropy([[[0.25] * 4], [[1.0], [1.0]]]) == pytest.approx(math.log(4) / 2)
    assert perplexity([-1e6], [1]) == math.inf
    with pytest.raises(MetricError, match=r"^min_token_logprob: a log-probability must be finite and not positive, got 0.5$"):
        min_token_logprob([[0.5]])
    with pytest.raises(MetricError, match=r"^token_entropy: a distribution must be ≥ 0 and sum to 1, got \[0.5, 0.4\]$"):
        token_entropy([[[0.5, 0.4]]])
    with pytest.raises(MetricError, match=r"^bits_per_byte: units and weights must be one a text \(1\), got 2"):
        bits_per_byte([-1.0], [1, 2])
    with pytest.raises(MetricError, match=r"^perplexity_variance: over must be one of text, token, got 'word'$"):
        metric("perplexity_variance(over=word)")
