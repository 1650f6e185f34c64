"""Perplexity: the definition, corpus level, both logarithms, gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.likelihood import perplexity
from harness.plugins import metric
from harness.types import Answer, Key, Likelihoods, Number, Output, Sample

TEXTS = (  # natural log-probability, tokens, words, bytes
    Likelihoods((-6.0,), (3,), n_words=2, n_bytes=12),
    Likelihoods((-10.0,), (5,), n_words=4, n_bytes=20),
    Likelihoods((-2.0,), (4,), n_words=1, n_bytes=8),
)


def stats_of(spec: str, answers: tuple[Answer, ...]) -> np.ndarray:
    outputs = [Output(Key(str(i)), answer) for i, answer in enumerate(answers)]
    return metric(spec).score([Sample(str(i)) for i in range(len(answers))], outputs).stats


@pytest.mark.parametrize(
    ("spec", "units"), [("perplexity", 12), ("perplexity(unit=word)", 7), ("word_perplexity", 7), ("byte_perplexity", 40)]
)
def test_corpus_perplexity_is_that_of_the_sums(spec: str, units: int) -> None:
    m = metric(spec)
    assert float(m.finish(stats_of(spec, TEXTS).sum(axis=0))) == pytest.approx(math.exp(18 / units), abs=1e-12)


def test_both_forms_of_the_literature_are_one_number() -> None:
    token_logprobs = [math.log(p) for p in (0.5, 0.01, 0.3, 0.9, 0.125)]
    binary = 2 ** (-sum(lp / math.log(2) for lp in token_logprobs) / len(token_logprobs))
    geometric = (0.5 * 0.01 * 0.3 * 0.9 * 0.125) ** (-1 / 5)
    assert perplexity([sum(token_logprobs)], [5]) == pytest.approx(binary, rel=1e-12)
    assert perplexity([sum(token_logprobs)], [5]) == pytest.approx(geometric, rel=1e-12)


def test_rows_and_weights() -> None:
    m = metric("perplexity")
    stats = stats_of("perplexity", TEXTS)
    assert m.rows(stats) == pytest.approx([math.exp(2), math.exp(2), math.exp(0.5)])
    weights = np.array([[2.0, 0, 1], [0, 0, 0]])
    assert m.aggregate(stats, weights) == pytest.approx([math.exp(14 / 10), math.nan], nan_ok=True)


def test_uniform_model_has_the_size_of_its_vocabulary() -> None:
    assert perplexity([7 * math.log(1 / 50257)], [7]) == pytest.approx(50257)


@pytest.mark.parametrize(
    ("spec", "answer", "reason"),
    [
        ("perplexity", Likelihoods((-1.0, -2.0), (1, 1)), "likelihoods of 2 continuations, not of one whole text"),
        ("perplexity", Likelihoods((-1.0,), (0,)), "the text has no token"),
        ("word_perplexity", Likelihoods((-1.0,), (1,)), "the number of words is not known"),
        ("perplexity", Likelihoods((-math.inf,), (1,)), "a log-probability must be finite and not positive, got -inf"),
        ("perplexity", Likelihoods((math.nan,), (1,)), "a log-probability must be finite and not positive, got nan"),
        ("perplexity", Likelihoods((0.5,), (1,)), "a log-probability must be finite and not positive, got 0.5"),
        ("perplexity", Number(3.0), "the answer is Number, not Likelihoods"),
    ],
)
def test_missing_rows_have_their_reason(spec: str, answer: Answer, reason: str) -> None:
    assert metric(spec).score([Sample("1")], [Output(Key("1"), answer)]).missing == {0: reason}


def test_no_rows_bad_parameters_round_trip() -> None:
    assert math.isnan(perplexity([], []))
    with pytest.raises(MetricError, match="unit must be one of token, word, byte, got 'char'"):
        metric("perplexity(unit=char)")
    with pytest.raises(MetricError, match="perplexity: units and weights must be one a text"):
        perplexity([-1.0], [1, 2])
    assert metric("word_perplexity").signature() == "perplexity(unit=word)#v1"
    assert metric(metric("byte_perplexity").spec) == metric("byte_perplexity")
