"""How texts are written: small models with random weights and a real tokenizer, against each prompt alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest

from harness.models.drawing import Drawn
from harness.models.generation import Spoiled, Task, Written, _Row, stop_tokens
from harness.models.loaded import TOO_LITTLE_MEMORY
from harness.models.plainrows import objection
from harness.models.prompts import Prompts
from harness.models.transformers import Transformers
from harness.models.writing import Writer
from harness.types import Call, Decoding, Generate, Key, Output
from tests.models import toy
from tests.models.answers import answered, text, written
from tests.models.real import with_loaded

VOCABULARY = 49152
PREAMBLE = "Question: How many eggs does a duck lay in a week?\nAnswer: It lays one a day, so that is 7.\n\nQuestion: "
QUESTIONS = ("How far is it?", "Who, if I may ask, is the oldest of them all?", "Why?", "When did 12 of 30 boats come home?",
             "What does the keeper write in the book every evening?", "Is it?", "Where do they go then, and what for?")


def random_model(architecture: str, **settings: Any) -> Any:
    """A model of two layers whose likeliest tokens are far apart."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{architecture}Config")(**{
        "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 512, "initializer_range": 0.6, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 2, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, f"{architecture}ForCausalLM")(config).eval()


@pytest.fixture(scope="module")
def llama(language_model: Transformers) -> Transformers:
    """Two query heads a key head; its texts are the tokenizer's words at random, half characters among them."""
    return with_loaded(language_model, model=random_model("Llama"))


def alone(backend: Transformers, prompt: str, max_tokens: int) -> list[int]:
    """The slow, obvious way: one prompt, no padding, the likeliest token again and again; an end token is the last."""
    loaded = backend._require().loaded
    tokens = likeliest(loaded.model, tuple(loaded.prompts.encode(prompt)))[:max_tokens]
    return tokens[: tokens.index(2) + 1] if 2 in tokens else tokens


@cache
def likeliest(model: Any, ids: tuple[int, ...], n: int = 30) -> list[int]:
    import torch

    tokens: list[int] = []
    out = None
    with torch.inference_mode():
        while len(tokens) < n:
            new = torch.tensor([[tokens[-1]] if tokens else ids])
            out = model(new, past_key_values=None if out is None else out.past_key_values, use_cache=True)
            tokens.append(int(out.logits[0, -1].argmax()))
    return tokens


def decoded(backend: Transformers, tokens: Sequence[int]) -> str:
    return str(backend._require().loaded.prompts.tokenizer.decode(tokens, skip_special_tokens=True))


def asked(n: int, lengths: Sequence[int], preamble: str = PREAMBLE, **options: Any) -> list[Call]:
    """Prompts behind one preamble, of which some are the same, that may write more or fewer tokens."""
    prompts = [f"{preamble}{QUESTIONS[i % 7]} {i // 14}" for i in range(n)]
    return [Call(Key(f"{i:03}"), Generate(prompt, Decoding(lengths[i % len(lengths)], **options)))
            for i, prompt in enumerate(prompts)]


def seen(backend: Transformers, use: Callable[[], object]) -> list[tuple[int, int]]:
    """The shapes of what the model reads in the meantime: rows and tokens."""
    shapes: list[tuple[int, int]] = []
    model = backend._require().loaded.model

    def note(_: Any, __: Any, options: dict[str, Any]) -> None:
        shapes.append(tuple(options["input_ids"].shape))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        use()
    finally:
        handle.remove()
    return shapes


# ── rows that share a prefix, come and go ──


@pytest.mark.parametrize(("preamble", "batch_tokens"), [
    pytest.param(PREAMBLE, 4096, marks=pytest.mark.slow), (PREAMBLE, 40), pytest.param("", 40, marks=pytest.mark.slow)])
def test_texts_are_those_of_each_prompt_alone(llama: Transformers, preamble: str, batch_tokens: int) -> None:
    calls = asked(15, (3, 30, 12, 1, 25), preamble)
    outputs = answered(with_loaded(llama, batch_tokens=batch_tokens), calls)
    for call in calls:
        assert isinstance(call.request, Generate)
        tokens = alone(llama, str(call.request.prompt), call.request.decoding.max_tokens)
        output = outputs[call.key.sample_id]
        assert text(output) == decoded(llama, tokens)
        assert output.usage is not None
        assert output.usage.output_tokens == len(tokens)
        assert output.finish_reason == ("stop" if tokens[-1] == 2 else "length")


def test_what_prompts_have_in_common_is_read_once_and_kept_for_the_next_batch(llama: Transformers) -> None:
    backend = with_loaded(llama)
    assert backend._require().writer._shares
    encode = llama._require().loaded.prompts.encode
    calls = asked(7, (2,))
    lengths = [len(encode(str(call.request.prompt))) for call in calls]  # type: ignore[union-attr]
    common = len(encode(PREAMBLE.rstrip()))
    first = seen(backend, lambda: answered(backend, calls))
    assert first[0] == (1, common)
    assert first[1:] == [(7, max(lengths) - common), (7, 1)]
    assert seen(backend, lambda: answered(backend, calls)) == first[1:]


def test_repeats_of_a_prompt_are_read_once(llama: Transformers) -> None:
    calls = [Call(Key(f"{i}", repeat=i % 3), Generate(f"{PREAMBLE}{QUESTIONS[i // 3]}", Decoding(6, 1.0))) for i in range(6)]
    backend = with_loaded(llama)
    shapes = seen(backend, lambda: answered(backend, calls))
    reading = [shape for shape in shapes if shape[1] > 1 and shape[0] > 1]
    assert [rows for rows, _ in reading[-1:]] == [2]
    assert len({text(out) for out in answered(backend, calls).values()}) == 6


def test_rows_that_are_free_are_taken_again(llama: Transformers) -> None:
    # 4 * 40 tokens at once, the widest row 20 + 24 of them: never more than what fits, and full as long as others wait.
    calls = asked(28, (24, 2, 2, 2))
    tight = with_loaded(llama, batch_tokens=40)
    [batch] = tight.batches(calls[:8])
    shapes = seen(tight, lambda: list(tight.run(batch)))
    steps = [rows for rows, tokens in shapes if tokens == 1]
    assert max(steps) < 8
    assert all(rows == 1 or tokens == 1 or rows * tokens <= 40 for rows, tokens in shapes)
    assert len(steps) < 2 * 23 + 2
    assert shapes[-len(steps) :] != [(rows, 1) for rows in steps], "no prompt was read after the first step"


def test_which_rows_stand_together_does_not_depend_on_time(llama: Transformers) -> None:
    import time

    calls = asked(14, (24, 2, 9, 5))
    tight = with_loaded(llama, batch_tokens=40)
    answered(tight, calls)

    def slowly() -> Iterator[Output]:
        for batch in tight.batches(calls):
            for output in tight.run(batch):
                time.sleep(0.003)
                yield output

    quick = seen(tight, lambda: answered(tight, calls))
    assert seen(tight, lambda: list(slowly())) == quick
    random.Random(1).shuffle(calls)
    assert seen(tight, lambda: answered(tight, calls)) == quick


def test_prompts_that_begin_otherwise_do_not_stand_between(llama: Transformers) -> None:
    other = "Once upon a time there was an old woman who lived in a shoe, and she had so many children that she "
    strange = [Call(Key(f"s{i}"), Generate(f"{i} is the number", Decoding(3))) for i in range(3)]
    calls = [*asked(8, (3,)), *(Call(Key(f"o{i}"), Generate(f"{other}{i}", Decoding(3))) for i in range(6)), *strange]
    random.Random(0).shuffle(calls)
    batches = [{call.key.sample_id[:1] for call in batch} for batch in llama.batches(calls)]
    assert sorted(map(sorted, batches)) == [["0"], ["o"], ["s"]]


@pytest.mark.parametrize(("architecture", "settings", "reason"), [
    ("Mistral", {"sliding_window": 8}, "keep the states of every token"),
    pytest.param("GPTJ", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 512}, "refuses a cache",
                 marks=pytest.mark.slow),
    ("Bloom", {"n_layer": 2, "n_head": 4}, "takes no positions"),
])
def test_models_that_cannot_share_write_the_same(
    language_model: Transformers, architecture: str, settings: dict[str, Any], reason: str
) -> None:
    backend = with_loaded(language_model, model=random_model(architecture, **settings))
    said: list[str] = []
    writer = Writer(backend._require().loaded, said.append)
    calls = asked(7, (9, 3))
    outputs = {out.key.sample_id: out for batch in writer.batches(calls) for out in writer.outputs(batch)}
    assert [reason in message for message in said] == [True]
    for call in calls:
        assert isinstance(call.request, Generate)
        tokens = alone(backend, str(call.request.prompt), call.request.decoding.max_tokens)
        assert text(outputs[call.key.sample_id]) == decoded(backend, tokens)


SMALL = {"state_size": 4, "num_heads": 8, "head_dim": 8, "n_groups": 2, "lru_width": 32, "attention_window_size": 16}


@pytest.mark.parametrize(("architecture", "layers"), [
    ("Mamba", 2), ("RecurrentGemma", 3), pytest.param("Mamba2", 2, marks=pytest.mark.slow)])
def test_models_without_a_cache_write_what_they_would_alone(
    language_model: Transformers, architecture: str, layers: int
) -> None:
    import torch

    settings = {**SMALL, "num_key_value_heads": 1, "vocab_size": 300, "num_hidden_layers": layers}
    backend = with_loaded(language_model, model=random_model(architecture, **settings), prompts=Prompts(toy.tokenizer(), False))
    model, encode = backend._require().loaded.model, backend._require().loaded.prompts.encode
    said: list[str] = []
    writer = Writer(backend._require().loaded, said.append)
    calls = [Call(Key(str(i)), Generate(QUESTIONS[i], Decoding((9, 3)[i % 2]))) for i in range(5)]
    outputs = {out.key.sample_id: out for batch in writer.batches(calls) for out in writer.outputs(batch)}
    assert "keeps no states that rows of a batch can go on from" in said[-1]
    for call in calls:
        assert isinstance(call.request, Generate)
        ids, tokens = encode(str(call.request.prompt)), list[int]()
        with torch.inference_mode():
            while len(tokens) < call.request.decoding.max_tokens and 2 not in tokens:
                tokens.append(int(model(torch.tensor([[*ids, *tokens]]), use_cache=False).logits[0, -1].argmax()))
        assert outputs[call.key.sample_id].error is None
        assert text(outputs[call.key.sample_id]) == decoded(backend, tokens)


def test_models_with_a_cache_are_not_read_anew() -> None:
    for architecture in ("Llama", "Mistral", "Bloom"):
        settings = {"sliding_window": 4} if architecture == "Mistral" else {}
        assert objection(random_model(architecture, vocab_size=300, **settings)) is None, architecture


def test_a_model_that_gives_no_numbers_is_an_error_and_no_empty_text(llama: Transformers) -> None:
    import torch

    model = random_model("Llama")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    backend = with_loaded(llama, model=model)
    calls = [Call(Key(str(t)), Generate("One", Decoding(3, temperature=t))) for t in (0.0, 1.0)]
    outputs = [out for batch in backend.batches(calls) for out in backend.run(batch)]
    assert [(out.answer, out.error) for out in outputs] == [
        (None, "the model's logits are not finite, at token 1 of the text")] * 2


def test_a_row_of_no_numbers_costs_no_other(llama: Transformers) -> None:
    row, other = (_Row(i, Task((), Decoding(2), 0), 0.0) for i in range(2))
    tokenizer = llama._require().loaded.prompts.tokenizer
    for one, is_sound in ((row, True), (other, True), (row, False), (other, True)):
        one.take(Drawn(100, is_sound=is_sound), frozenset({2}), tokenizer)
    assert row.result == Spoiled("the model's logits are not finite, at token 2 of the text")
    assert isinstance(other.result, Written)


def test_other_requests_find_the_models_own_attention(llama: Transformers) -> None:
    model = llama._require().loaded.model
    for output in llama.run(asked(4, (3,))):
        assert output.error is None
        assert model.config._attn_implementation == "sdpa"


# ── stop strings ──


def test_stop_strings_are_cut_wherever_they_begin_and_end(llama: Transformers) -> None:
    tokenizer = llama._require().loaded.prompts.tokenizer
    whole = "Ein Gruß aus 日本: naïve café, 12.5 km — \n\n 🚀🚀 und   Schluß."
    tokens = tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert len({len(tokenizer.decode([token]).encode()) for token in tokens}) > 4
    assert "�" in tokenizer.decode(tokens[-6:-5]) or any("�" in tokenizer.decode([token]) for token in tokens)
    for begin in range(len(whole)):
        for end in range(begin + 1, min(begin + 8, len(whole)) + 1):
            stop = whole[begin:end]
            row = _Row(0, Task((), Decoding(len(tokens) + 1, stop=("never there", stop)), 0), 0.0)
            for token in tokens:
                row.take(Drawn(token), frozenset({2}), tokenizer)
                if row.result is not None:
                    break
            assert isinstance(row.result, Written), stop
            assert (row.result.text, row.result.finish_reason) == (whole[: whole.find(stop)], "stop"), stop
            # No token more is drawn than the stop string needs.
            assert stop not in tokenizer.decode(tokens[: row.result.n_tokens - 1]), stop


def test_a_stop_string_of_many_tokens_is_seen_at_its_last(llama: Transformers) -> None:
    tokenizer = llama._require().loaded.prompts.tokenizer
    stop = "0123456789" * 4
    tokens = tokenizer(f"Call {stop} now, or later", add_special_tokens=False)["input_ids"]
    row = _Row(0, Task((), Decoding(len(tokens), stop=(stop,)), 0), 0.0)
    while row.result is None:
        row.take(Drawn(tokens[row.n_drawn]), frozenset({2}), tokenizer)
    assert isinstance(row.result, Written)
    assert row.result.text == "Call "
    assert tokenizer.decode(tokens[: row.result.n_tokens]) == f"Call {stop}"


def test_a_written_text_is_cut_too(llama: Transformers) -> None:
    prompt = f"{PREAMBLE}{QUESTIONS[0]}"
    whole = decoded(llama, alone(llama, prompt, 30))
    stops = [whole[start : start + 5] for start in range(0, len(whole) - 5, 7) if "�" not in whole[start : start + 5]]
    calls = [Call(Key(str(i)), Generate(prompt, Decoding(30, stop=(stop,)))) for i, stop in enumerate(stops)]
    outputs = answered(llama, calls)
    assert len(stops) > 5
    for i, stop in enumerate(stops):
        assert (text(outputs[str(i)]), outputs[str(i)].finish_reason) == (whole[: whole.find(stop)], "stop"), stop


def test_looking_for_stop_strings_costs_no_more_in_long_texts(llama: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = llama._require().loaded.prompts.tokenizer
    lengths: list[int] = []
    plain = type(tokenizer).decode

    def counted(self: Any, tokens: Sequence[int], **options: Any) -> str:
        lengths.append(len(tokens))
        return str(plain(self, tokens, **options))

    monkeypatch.setattr(type(tokenizer), "decode", counted)
    answered(llama, [Call(Key("x"), Generate(PREAMBLE, Decoding(200, stop=("\n\n\n",))))])
    assert len(lengths) == 200
    assert sum(lengths) < 200 * 12 + 200


def test_a_stop_string_that_is_a_special_token_ends_its_own_text(language_model: Transformers) -> None:
    import torch

    loaded = language_model._require().loaded
    tokenizer = loaded.prompts.tokenizer
    # Words, pieces of words as the vocabulary spells them and half a special token are looked for in the text.
    assert stop_tokens(tokenizer, ("<|im_start|>", "the", " ", "\u0120the", "\n", "<|im", "<|endoftext|>\n")) == frozenset({1})
    assert 1 not in loaded.ends
    model = random_model("Llama")
    backend = with_loaded(language_model, model=model)
    prompt = f"{PREAMBLE}{QUESTIONS[0]}"
    third = alone(backend, prompt, 3)[2]
    # The model writes <|im_start|> in the place of its third token, in both texts.
    swapped = torch.tensor([1, third])
    model.lm_head.register_forward_hook(lambda _, __, logits: logits.index_copy(-1, swapped, logits[..., [third, 1]]))
    free, held = (Call(Key(name), Generate(prompt, Decoding(6, stop=stop, logprobs=True)))
                  for name, stop in (("free", ("never",)), ("held", ("never", "<|im_start|>"))))
    outputs = answered(backend, [free, held])
    usage = outputs["held"].usage
    assert usage is not None
    assert (outputs["free"].finish_reason, outputs["held"].finish_reason, usage.output_tokens) == ("length", "stop", 3)
    assert text(outputs["held"]) == decoded(backend, alone(backend, prompt, 2))
    assert len(outputs["held"].answer.token_logprobs or ()) == 2  # type: ignore[union-attr]


def test_a_stop_string_that_is_the_name_of_an_ordinary_token_is_none() -> None:
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models

    made = Tokenizer(models.BPE({"\u2581": 0, "a": 1, "\u2581a": 2}, []))
    made.decoder = decoders.Metaspace()
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=made)
    # At the beginning of a text a blank is dropped too.
    assert words.decode([0]) == ""
    assert stop_tokens(words, ("\u2581", "\u2581a", "a")) == frozenset()


# ── log-probabilities ──


def twin(backend: Transformers, prompt: str, tokens: Sequence[int]) -> list[tuple[float, float]]:
    """Log-probability and entropy of each token, from one unpadded pass in float64."""
    import torch

    loaded = backend._require().loaded
    ids = loaded.prompts.encode(prompt)
    with torch.inference_mode():
        logprobs = loaded.model(torch.tensor([[*ids, *tokens]])).logits[0, len(ids) - 1 : -1].double().log_softmax(1)
    return [(float(row[token]), float(-(row.exp() * row).sum())) for row, token in zip(logprobs, tokens)]


@pytest.mark.parametrize("options", [{}, {"temperature": 1.7, "top_k": 1}, {"temperature": 0.4, "top_p": 1e-9}])
def test_log_probabilities_are_of_the_models_own_distribution(llama: Transformers, options: dict[str, Any]) -> None:
    calls = asked(5, (12, 4), **options, logprobs=True)
    plain = Call(Key("plain"), Generate(f"{PREAMBLE}{QUESTIONS[5]}", Decoding(5)))
    outputs = answered(llama, [*calls, plain])
    for call in calls:
        assert isinstance(call.request, Generate)
        answer = written(outputs[call.key.sample_id])
        prompt = str(call.request.prompt)
        wanted = twin(llama, prompt, alone(llama, prompt, call.request.decoding.max_tokens))
        assert answer.token_logprobs == pytest.approx([logprob for logprob, _ in wanted], abs=1e-3)
        assert answer.token_entropies == pytest.approx([entropy for _, entropy in wanted], abs=1e-3)
    without = written(outputs["plain"])
    assert (without.token_logprobs, without.token_entropies) == (None, None)


def test_tokens_behind_a_stop_string_have_none(llama: Transformers) -> None:
    prompt = f"{PREAMBLE}{QUESTIONS[0]}"
    tokens = alone(llama, prompt, 20)
    pieces = [decoded(llama, tokens[:n]) for n in range(21)]
    # A stop string that begins inside one token's text and ends in the next one's: the first of them still holds some text.
    at = next(n for n in range(5, 18) if len(pieces[n + 1]) - len(pieces[n]) > 2 and "�" not in pieces[n + 2])
    begin = len(pieces[at]) + 1
    stop = pieces[-1][begin : len(pieces[at + 1]) + 1]
    assert pieces[-1].find(stop) == begin
    [output] = llama.run([Call(Key("x"), Generate(prompt, Decoding(20, stop=(stop,), logprobs=True)))])
    answer = written(output)
    assert answer.text == pieces[-1][:begin]
    assert answer.token_logprobs == pytest.approx([one for one, _ in twin(llama, prompt, tokens)][: at + 1], abs=1e-3)
    assert answer.token_entropies is not None
    assert len(answer.token_entropies) == at + 1
    assert output.usage is not None
    assert output.usage.output_tokens == at + 2


def byte_tokenizer() -> Any:
    """A token a byte, as tokenizers of the sentencepiece kind fall back to; <0x00> is 0. Half a character spoils whole ones."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models

    made = Tokenizer(models.BPE({f"<0x{byte:02X}>": byte for byte in range(256)}, [], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.mark.parametrize(("family", "whole", "stop", "kept"), [(family, *case) for family in ("level", "fallback") for case in (
    (b"Yes \xf0\x9f\x8e\x89\n", "\n", b"Yes \xf0\x9f\x8e\x89"),
    ("\u00e9\U0001f600X".encode(), "X", "\u00e9\U0001f600".encode()),
    ("\u00e9\U0001f600".encode(), "\U0001f600", "\u00e9".encode()),
    ("a\u5b57".encode(), "a", b""),
)] + [("level", b"a\xf0\x9f\x8e\n", "\n", b"a\xf0\x9f\x8e")])
def test_tokens_of_half_characters_before_a_stop_string_are_listed(family: str, whole: bytes, stop: str, kept: bytes) -> None:
    words = toy.tokenizer() if family == "level" else byte_tokenizer()
    tokens = byte_level(words, whole) if family == "level" else list(whole)
    row = _Row(0, Task((), Decoding(len(tokens), stop=(stop,), logprobs=True), 0), 0.0)
    for place, token in enumerate(tokens):
        row.take(Drawn(token, -float(place), 0.0), frozenset(), words)
    assert isinstance(row.result, Written)
    assert row.result.text == kept.decode(errors="replace")
    assert row.result.token_logprobs == tuple(-float(place) for place in range(len(kept)))


def byte_level(words: Any, whole: bytes) -> list[int]:
    """A token a byte."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return list(words.convert_tokens_to_ids([bytes_to_unicode()[byte] for byte in whole]))


def test_the_end_token_has_none(language_model: Transformers) -> None:
    [output] = language_model.run([Call(Key("x"), Generate(
        "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\nYes.", Decoding(12, logprobs=True)))])
    assert output.usage is not None
    assert output.finish_reason == "stop"
    assert len(written(output).token_logprobs or ()) == output.usage.output_tokens - 1


# ── times, memory, stopping ──


def test_times_run_from_when_a_prompt_is_read(llama: Transformers) -> None:
    import time

    tight = with_loaded(llama, batch_tokens=10)
    started = time.perf_counter()
    outputs = [out for batch in tight.batches(asked(7, (30, 4))) for out in tight.run(batch)]
    whole = time.perf_counter() - started
    times = [out.timing for out in outputs if out.timing is not None and out.timing.first_token_s is not None]
    assert len(times) == 7
    assert all(0 < time.first_token_s < time.latency_s for time in times if time.first_token_s is not None)
    assert max(time.latency_s for time in times) < whole
    # Those that waited are not charged for it: one after the other they take no longer than all do.
    assert sum(time.latency_s for time in times) < 2.5 * whole


class Scarce:
    """Makes a model raise what torch does where memory ends, above a number of rows or for a length of prompt."""

    def __init__(self, model: Any, rows: int, length: int = 10**9) -> None:
        def check(_: Any, __: Any, options: dict[str, Any]) -> None:
            shape = options["input_ids"].shape
            if shape[0] > rows or shape[1] >= length:
                raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1000000000 bytes")

        self._handle = model.register_forward_pre_hook(check, with_kwargs=True)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._handle.remove()


@pytest.mark.parametrize("rows", [1, 3])
def test_fewer_rows_are_written_where_memory_is_scarce(llama: Transformers, rows: int) -> None:
    calls = asked(7, (9, 3))
    wanted = {name: text(out) for name, out in answered(llama, calls).items()}
    with Scarce(llama._require().loaded.model, rows):
        assert {name: text(out) for name, out in answered(llama, calls).items()} == wanted


def test_memory_that_ends_while_the_prefix_is_read_costs_no_sample(llama: Transformers) -> None:
    calls = asked(7, (9, 3))
    wanted = {name: text(out) for name, out in answered(llama, calls).items()}
    model = llama._require().loaded.model
    encode = llama._require().loaded.prompts.encode
    common = len(encode(PREAMBLE.rstrip()))

    def check(_: Any, __: Any, options: dict[str, Any]) -> None:
        if options["input_ids"].shape == (1, common):
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1000000000 bytes")

    backend = with_loaded(llama)
    assert backend._require().writer._shares
    handle = model.register_forward_pre_hook(check, with_kwargs=True)
    try:
        found: dict[str, str] = {}
        shapes = seen(backend, lambda: found.update({name: text(out) for name, out in answered(backend, calls).items()}))
    finally:
        handle.remove()
    assert found == wanted
    # All side by side all the same.
    assert max(rows for rows, tokens in shapes if tokens == 1) == 7


def test_a_text_that_alone_is_too_much_is_an_error_of_its_own(llama: Transformers) -> None:
    calls = [*asked(5, (3,), preamble=""), Call(Key("long"), Generate("Why? " * 60, Decoding(3)))]
    with Scarce(llama._require().loaded.model, 99, length=100):
        outputs = {out.key.sample_id: out for out in llama.run(calls)}
    assert {name: out.error for name, out in outputs.items() if out.error} == {"long": TOO_LITTLE_MEMORY.format(device="cpu")}
    assert len(outputs) == 6


def test_a_checkpoint_ends_the_writing_and_keeps_what_is_done(llama: Transformers) -> None:
    done: list[Output] = []

    def checkpoint(pending: int = 0) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt

    writer = Writer(llama._require().loaded, checkpoint=checkpoint)
    with pytest.raises(KeyboardInterrupt):
        done.extend(writer.outputs(asked(7, (9, 3))))
    assert [out.error for out in done] == [None, None]
