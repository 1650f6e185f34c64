"""Perplexity of WikiText-2 by a real model, against a direct loop over transformers; the windows against the loop's ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.likelihood import bits_per_byte, perplexity
from harness.models.scoring import rolling_windows
from harness.models.transformers import Transformers
from harness.plugins import metric
from harness.types import Call, Key, Likelihoods, Output, Perplexity, Sample
from tests.models.real import SMOLLM2, opened, with_loaded

SharedData = Callable[[str], Path]
MAX_LENGTH = 64


@pytest.fixture(scope="module")
def model() -> Iterator[Transformers]:
    """SmolLM2-135M-Instruct in float32, on one CPU thread; its tokenizer has a beginning-of-sequence token, number 1."""
    backend: Transformers = opened(Transformers(source=SMOLLM2, device="cpu", threads=1))
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def page(shared_data: SharedData) -> str:
    """The beginning of WikiText-2's test set: 700 characters, some 180 tokens."""
    return shared_data("wikitext2/test.txt").read_text(encoding="utf-8")[:700]


def ids_of(model: Transformers, text: str) -> list[int]:
    return list(model._require().loaded.prompts.tokenizer(text, add_special_tokens=False)["input_ids"])


def asked(model: Transformers, request: Perplexity) -> Output:
    (output,) = model.run([Call(Key("x"), request)])
    return output


def scored(model: Transformers, request: Perplexity) -> Likelihoods:
    output = asked(model, request)
    assert isinstance(output.answer, Likelihoods), output.error
    return output.answer


def recipe(model: Transformers, ids: Sequence[int], max_length: int, stride: int) -> tuple[float, int]:
    """Summed negative log-likelihood and scored tokens: https://huggingface.co/docs/transformers/perplexity.

    As it stands there, but that the mean loss of a window is multiplied by the labels that were scored in it (the page takes
    one off in every window, though only the first loses a label to the shift).
    """
    import torch

    nll, count, previous = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + max_length, len(ids))
        window = torch.tensor([ids[begin:end]])
        target = window.clone()
        target[:, : -(end - previous)] = -100
        n_labels = int((target[:, 1:] != -100).sum())
        with torch.inference_mode():
            nll += float(model._require().loaded.model(window, labels=target).loss) * n_labels
        count, previous = count + n_labels, end
        if end == len(ids):
            break
    return nll, count


def one_pass(model: Transformers, ids: Sequence[int]) -> np.ndarray:
    """ln p of the whole vocabulary after each token, ``float64[n, vocabulary]``."""
    import torch

    with torch.inference_mode():
        logits = model._require().loaded.model(torch.tensor([list(ids)])).logits[0]
    return np.asarray(logits.double().log_softmax(-1).numpy())


@pytest.mark.parametrize(("stride", "bos"), [
    pytest.param(16, False, marks=pytest.mark.slow), (33, "auto"), (MAX_LENGTH, False), (MAX_LENGTH, "auto")])
def test_a_text_longer_than_the_context_equals_the_recipe(model: Transformers, page: str, stride: int, bos: Any) -> None:
    ids = ids_of(model, page)
    assert len(ids) > 2.5 * MAX_LENGTH
    # The recipe counts the last token of a window, which is only predicted; ours are the tokens that are read.
    nll, count = recipe(model, ids if bos is False else [1, *ids], MAX_LENGTH + 1, stride)
    ours = scored(model, Perplexity(page, stride=stride, max_length=MAX_LENGTH, bos=bos))
    assert ours.n_tokens == (count,) == (len(ids) - (bos is False),)
    assert perplexity(ours.logprobs, ours.n_tokens) == pytest.approx(math.exp(nll / count), rel=1e-4)
    # As lm-evaluation-harness counts them: the page begins with a blank, before which there is an empty word.
    assert (ours.n_words, ours.n_bytes) == (len(page.split()) + 1, len(page.encode()))


def test_without_a_stride_windows_share_one_token(model: Transformers, page: str) -> None:
    ids = [1, *ids_of(model, page)]
    nll = 0.0
    for start in range(1, len(ids), MAX_LENGTH):
        end = min(start + MAX_LENGTH, len(ids))
        begin = max(0, end - MAX_LENGTH - 1)
        logprobs = one_pass(model, ids[begin:end])
        nll -= sum(logprobs[place - begin - 1, ids[place]] for place in range(start, end))
    ours = scored(model, Perplexity(page, max_length=MAX_LENGTH))
    assert ours.n_tokens == (len(ids) - 1,)
    assert ours.logprobs[0] == pytest.approx(-nll, rel=1e-4)
    # A shorter memory makes the text harder: the windows do show.
    whole = scored(model, Perplexity(page))
    assert whole.logprobs[0] > ours.logprobs[0] + 5


def test_the_metrics_of_several_texts(model: Transformers, page: str) -> None:
    texts = [page[:300], page[300:500], page[500:560]]
    answers = [Output(Key(str(i)), scored(model, Perplexity(text, token_logprobs=True))) for i, text in enumerate(texts)]
    samples = [Sample(str(i)) for i in range(len(texts))]
    direct = []
    for text in texts:
        ids = [1, *ids_of(model, text)]
        logprobs = one_pass(model, ids)[:-1]
        direct.append((logprobs[np.arange(len(ids) - 1), ids[1:]], -(np.exp(logprobs) * logprobs).sum(axis=1)))
    nll, n_tokens = -sum(float(t.sum()) for t, _ in direct), sum(len(t) for t, _ in direct)
    n_bytes = sum(len(text.encode()) for text in texts)
    surprisals = -np.concatenate([t for t, _ in direct])
    expected = {
        "perplexity": math.exp(nll / n_tokens),
        "byte_perplexity": math.exp(nll / n_bytes),
        "bits_per_byte": nll / math.log(2) / n_bytes,
        "perplexity_variance": np.var([math.exp(-float(t.mean())) for t, _ in direct]),
        "perplexity_variance(over=token)": np.var(surprisals),
        "sequence_logprob": np.mean([t.sum() for t, _ in direct]),
        "mean_token_logprob": np.mean([t.mean() for t, _ in direct]),
        "min_token_logprob": np.mean([t.min() for t, _ in direct]),
        "token_entropy": np.mean([e.mean() for _, e in direct]),
    }
    for spec, value in expected.items():
        m = metric(spec)
        stats = m.score(samples, answers).stats
        assert float(m.aggregate(stats, np.ones((1, 3)))[0]) == pytest.approx(value, rel=1e-4), spec


def test_tokens_are_listed_only_where_they_are_asked_for(model: Transformers, page: str) -> None:
    text = page[:300]
    plain, listed = Perplexity(text, max_length=MAX_LENGTH), Perplexity(text, max_length=MAX_LENGTH, token_logprobs=True)
    together = {out.key.sample_id: out.answer for out in model.run([Call(Key("plain"), plain), Call(Key("listed"), listed)])}
    one, other = together["plain"], together["listed"]
    assert isinstance(one, Likelihoods)
    assert isinstance(other, Likelihoods)
    assert (one.token_logprobs, one.token_entropies) == (None, None)
    assert other.token_logprobs is not None
    assert other.token_entropies is not None
    assert len(other.token_logprobs) == len(other.token_entropies) == other.n_tokens[0]
    assert math.fsum(other.token_logprobs) == pytest.approx(one.logprobs[0], abs=1e-3)


def test_the_first_token_and_the_beginning_of_the_sequence(model: Transformers) -> None:
    text = "The cat sat on the mat."
    ids = ids_of(model, text)
    read, bare = (scored(model, Perplexity(text, bos=bos, token_logprobs=True)) for bos in (True, False))
    assert (read.n_tokens, bare.n_tokens) == ((len(ids),), (len(ids) - 1,))
    assert scored(model, Perplexity(text)).logprobs == read.logprobs
    after_bos, alone = one_pass(model, [1, *ids]), one_pass(model, ids)
    assert read.token_logprobs == pytest.approx([after_bos[i, token] for i, token in enumerate(ids)], abs=1e-4)
    assert bare.token_logprobs == pytest.approx([alone[i, token] for i, token in enumerate(ids[1:])], abs=1e-4)
    # A text that brings the token itself does not get it twice.
    assert scored(model, Perplexity("<|im_start|>" + text, token_logprobs=True)).n_tokens == read.n_tokens
    assert scored(model, Perplexity("<|im_start|>" + text)).logprobs == pytest.approx(read.logprobs, abs=1e-4)
    # Where nothing can be scored there is no perplexity: lm-eval would count such a text's words and give it a sum of 0.
    for nothing in (Perplexity("", token_logprobs=True), Perplexity("The", bos=False)):
        (output,) = model.run([Call(Key("x"), nothing)])
        assert output.answer is None
        assert str(output.error).startswith("the text has no token to score")


@pytest.mark.parametrize(("request_", "message"), [
    (Perplexity("a b", max_length=10**6), r"max_length must be from 1 to 8192, the model's context, got 1000000"),
    (Perplexity("a b", stride=9000), r"stride must be from 1 to 8192, the tokens that are read at once, got 9000"),
])
def test_what_the_model_cannot_do_is_an_error_of_that_text(model: Transformers, request_: Perplexity, message: str) -> None:
    output = asked(model, request_)
    assert (output.answer, output.error) == (None, message)


def test_bos_true_needs_such_a_token(model: Transformers) -> None:
    loaded = model._require().loaded

    class NoBos:
        bos_token_id = None

        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return loaded.prompts.tokenizer(*arguments, **options)

    prompts = object.__new__(type(loaded.prompts))
    prompts.__dict__.update({**loaded.prompts.__dict__, "tokenizer": NoBos(), "prefix_token": 2})
    small = with_loaded(model, prompts=prompts)
    assert "no beginning-of-sequence token: write bos: auto" in str(asked(small, Perplexity("a b", bos=True)).error)
    ids = ids_of(model, "a b")
    logprobs = one_pass(model, [2, *ids])
    wanted = sum(logprobs[i, token] for i, token in enumerate(ids))
    assert scored(small, Perplexity("a b")).logprobs == pytest.approx((wanted,), rel=1e-4)


@given(st.integers(0, 60), st.integers(1, 20), st.data())
@settings(max_examples=60, deadline=None)
def test_windows_equal_the_ranges_of_the_recipe(n: int, max_length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, max_length))
    prefix = data.draw(st.sampled_from([None, 1]))
    tokens = list(range(100, 100 + n))
    text = tokens if prefix is None else [prefix, *tokens]
    expected, previous = [], 0
    for begin in range(0, len(text), stride):
        end = min(begin + max_length + 1, len(text))
        first = max(previous, begin + 1)
        if first < end:
            expected.append((text[begin:first], text[first:end]))
        previous = end
        if end == len(text):
            break
    assert [(list(a), list(b)) for a, b in rolling_windows(tokens, prefix, max_length, stride)] == expected
    # Every token but the one that is only read, once.
    assert [token for _, part in rolling_windows(tokens, prefix, max_length, stride) for token in part] == text[1:]
    unstrided = rolling_windows(tokens, prefix, max_length)
    assert [token for _, part in unstrided for token in part] == text[1:]
    assert all(len(a) + len(b) - 1 <= max_length for a, b in unstrided)


@given(st.lists(st.tuples(st.floats(-1e6, 0), st.integers(0, 1000)), max_size=8))
@settings(max_examples=50, deadline=None)
def test_bits_per_byte_are_the_logarithm_of_byte_perplexity(texts: list[tuple[float, int]]) -> None:
    logprobs, n_bytes = [a for a, _ in texts], [b for _, b in texts]
    value = bits_per_byte(logprobs, n_bytes)
    if not sum(n_bytes):
        assert math.isnan(value)
    else:
        assert value == pytest.approx(-math.fsum(logprobs) / math.log(2) / sum(n_bytes), rel=1e-12, abs=1e-12)
        if value < 1000:
            assert 2**value == pytest.approx(perplexity(logprobs, n_bytes), rel=1e-9)
