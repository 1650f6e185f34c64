"""The transformers backend on SmolLM2-135M-Instruct, against plain twins: an unpadded pass a sequence, and generate()."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from harness.models.generation import Room, Task, Written, row_seed, write_all
from harness.models.plainrows import PlainRows
from harness.models.transformers import Transformers
from harness.types import (
    Call,
    Decoding,
    Generate,
    Key,
    LogLikelihood,
    Message,
    Output,
    Perplexity,
    Prompt,
)
from tests.models.answers import answered_at_once, likelihoods, outputs_by_sample, text
from tests.models.real import SMOLLM2, with_loaded

SUBJECTS = ("the sea", "a small engine", "bread", "the moon", "an old library", "rain", "chess", "the heart")
TEXT = ("The lighthouse keeper climbed 112 steps every evening.\n\n He lit the lamp, wrote the hour in a book, "
        "and watched the ships go by until 4 in the morning.")


def chat(user: str, system: str | None = None) -> tuple[Message, ...]:
    return (*([Message("system", system)] if system else []), Message("user", user))


def one(model: Transformers, request: Any, seed: int = 0) -> Output:
    return answered_at_once(model, [Call(Key("x"), request, seed)])["x"]


def twin_logprobs(model: Transformers, context: list[int], continuation: list[int]) -> list[float]:
    """The slow, obvious way: one sequence, no padding, log-softmax of every position in float64."""
    import torch

    loaded = model._require().loaded
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([context + continuation])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return [float(logprobs[len(context) + i - 1, token]) for i, token in enumerate(continuation)]


# ── what the conversion of the GGUF must keep ──


def test_the_converted_tokenizer_is_the_one_of_smollm2_instruct(language_model: Transformers) -> None:
    # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct: tokenizer_config.json and generation_config.json.
    loaded = language_model._require().loaded
    tokenizer = loaded.prompts.tokenizer
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token) == (
        "<|im_start|>", "<|im_end|>", "<|im_end|>", "<|endoftext|>")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, len(tokenizer)) == (1, 2, 0, 49152)
    assert loaded.ends == {2}
    assert loaded.max_length == 8192
    assert loaded.prompts.adds_bos is False
    assert loaded.prompts.render(chat("Hi")) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize(("written", "tokens"), [
    ("a\n\n1", ["a", "ĊĊ", "1"]),
    ("b  23", ["b", "ĠĠ", "2", "3"]),
    ("in 1999, yes", ["in", "Ġ", "1", "9", "9", "9", ",", "Ġyes"]),
])
def test_digits_stand_apart_from_the_blanks_before_them(language_model: Transformers, written: str, tokens: list[str]) -> None:
    prompts = language_model._require().loaded.prompts
    assert prompts.tokenizer.convert_ids_to_tokens(prompts.encode(written)) == tokens


@pytest.mark.slow
def test_the_converted_weights_are_the_dequantised_ones(language_model: Transformers) -> None:
    gguf = pytest.importorskip("gguf")
    from harness.models.sources import resolve

    reader = gguf.GGUFReader(resolve(SMOLLM2, Path(platformdirs.user_cache_dir("harness-eval")), print).path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    weights = dict(language_model._require().loaded.model.named_parameters())
    for stored, name in [("blk.7.ffn_down.weight", "model.layers.7.mlp.down_proj.weight"),
                         ("token_embd.weight", "model.embed_tokens.weight"), ("output_norm.weight", "model.norm.weight")]:
        wanted = gguf.dequantize(tensors[stored].data, tensors[stored].tensor_type)
        assert (weights[name].detach().numpy() == wanted).all()


# ── log-likelihoods ──


@pytest.mark.parametrize(("prefix", "cut", "continuations"), [
    ("The capital of France is", ("The capital of France is", ""), (" Paris", " London", " a city on the Seine")),
    # Blanks at the end of a prefix belong to the continuation, as lm-eval has it.
    ("The capital of France is  ", ("The capital of France is", "  "), ("Paris", "the")),
    ("Count: 1 2 3\n", ("Count: 1 2 3", "\n"), ("4", " 5")),
])
def test_log_likelihoods_equal_an_unpadded_pass(
    language_model: Transformers, prefix: str, cut: tuple[str, str], continuations: tuple[str, ...]
) -> None:
    scored = likelihoods(one(language_model, LogLikelihood(prefix, continuations)))
    encode = language_model._require().loaded.prompts.bare
    for index, continuation in enumerate(continuations):
        context = encode(cut[0])
        ids = encode(cut[0] + cut[1] + continuation)[len(context) :]
        assert scored.logprobs[index] == pytest.approx(sum(twin_logprobs(language_model, context, ids)), abs=1e-4)
        assert scored.n_tokens[index] == len(ids)


def test_an_empty_prefix_is_the_one_token_bos(language_model: Transformers) -> None:
    scored = likelihoods(one(language_model, LogLikelihood("", ("Paris is",))))
    ids = language_model._require().loaded.prompts.bare("Paris is")
    assert scored.logprobs[0] == pytest.approx(sum(twin_logprobs(language_model, [1], ids)), abs=1e-4)
    assert scored.n_tokens == (len(ids),)


def test_a_conversation_is_a_prefix_through_the_template(language_model: Transformers) -> None:
    prompts = language_model._require().loaded.prompts
    rendered = prompts.render(chat("Is water wet? Answer yes or no."))
    as_chat = likelihoods(one(language_model, LogLikelihood(chat("Is water wet? Answer yes or no."), ("Yes", "No"))))
    as_text = likelihoods(one(language_model, LogLikelihood(rendered, ("Yes", "No"))))
    untemplated = likelihoods(one(language_model, LogLikelihood("Is water wet? Answer yes or no.", ("Yes", "No"))))
    assert as_chat == as_text
    assert abs(as_chat.logprobs[0] - untemplated.logprobs[0]) > 0.5


def test_is_greedy_says_whether_greedy_decoding_would_write_it(language_model: Transformers) -> None:
    prompt = "The three primary colors are"
    written = text(one(language_model, Generate(prompt, Decoding(max_tokens=6))))
    scored = likelihoods(one(language_model, LogLikelihood(prompt, (written, written[:-1] + "q"))))
    assert scored.is_greedy == (True, False)


def test_a_prefix_too_long_loses_its_beginning_and_says_so(language_model: Transformers) -> None:
    small = with_loaded(language_model, max_length=12)
    encode = language_model._require().loaded.prompts.bare
    long, continuation = " ".join(SUBJECTS * 3), " tea"
    ids = encode(long + continuation)
    output = one(small, LogLikelihood(long, (continuation,)))
    assert output.truncated
    # Twelve tokens are read, the thirteenth is the last that they predict.
    assert likelihoods(output).logprobs[0] == pytest.approx(sum(twin_logprobs(language_model, ids[-13:-1], ids[-1:])), abs=1e-4)
    assert not one(small, LogLikelihood("Short", (continuation,))).truncated
    (failed,) = small.run([Call(Key("x"), LogLikelihood("Short", (long,)))])
    assert failed.answer is None
    assert "12" in str(failed.error)


# ── nothing depends on the batch ──


@pytest.mark.slow
def test_log_likelihoods_do_not_depend_on_the_batch(language_model: Transformers) -> None:
    calls = [Call(Key(str(i)), LogLikelihood(f"{'So it was. ' * (i % 3)}Question {i}: what is {SUBJECTS[i % 8]}?\nAnswer:",
                                             (" yes", f" it is {SUBJECTS[-i % 8]}, 12 of them")))
             for i in range(32)]
    together = answered_at_once(language_model, calls)
    for call in calls:
        alone = likelihoods(one(language_model, call.request))
        beside = likelihoods(together[call.key.sample_id])
        assert beside.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert (beside.n_tokens, beside.is_greedy) == (alone.n_tokens, alone.is_greedy)


def prompts_of_many_lengths() -> list[Prompt]:
    plain = [f"{'Once again. ' * (i % 4)}A short text about {subject}:" for i, subject in enumerate(SUBJECTS)]
    return [*plain, *(chat(f"Say something about {subject}.", "You are brief." if i % 2 else None)
                      for i, subject in enumerate(SUBJECTS))]


@pytest.mark.slow
def test_greedy_text_does_not_depend_on_the_batch_and_equals_generate(language_model: Transformers) -> None:
    import torch

    loaded = language_model._require().loaded
    calls = [Call(Key(str(i)), Generate(prompt, Decoding(max_tokens=5 + i % 3)))
             for i, prompt in enumerate(prompts_of_many_lengths())]
    together = answered_at_once(language_model, calls)
    for call in calls:
        assert isinstance(call.request, Generate)
        ids = torch.tensor([loaded.prompts.encode(loaded.prompts.render(call.request.prompt))])
        wanted = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                       max_new_tokens=call.request.decoding.max_tokens)[0, ids.shape[1] :]
        output = together[call.key.sample_id]
        assert text(output) == loaded.prompts.tokenizer.decode(wanted, skip_special_tokens=True)
        assert output.usage is not None
        assert (output.usage.input_tokens, output.usage.output_tokens) == (ids.shape[1], len(wanted))
        assert output.finish_reason == ("stop" if wanted[-1] == 2 else "length")


def texts_of(model: Any, tokenizer: Any, tasks: Sequence[Task]) -> list[str]:
    """What is written for these tasks, all side by side."""
    room = Room(len(tasks), 10**6, 1)
    found = dict(write_all(PlainRows(model), tokenizer, tasks, frozenset(), room))
    return [written.text for index in range(len(tasks)) if isinstance(written := found[index], Written)]


def test_positions_count_from_each_rows_own_beginning(language_model: Transformers) -> None:
    # Rotary models only know distances and would hide a wrong count; GPT-2 learns a vector for every place.
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GPT2Config(vocab_size=500, n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.5)
        model = GPT2LMHeadModel(config).eval()
    tokenizer = language_model._require().loaded.prompts.tokenizer
    tasks = [Task(list(range(20, 20 + length)), Decoding(max_tokens=8 + length % 4), seed=0) for length in (3, 30, 11, 1)]
    together = texts_of(model, tokenizer, tasks)
    assert together == [text for task in tasks for text in texts_of(model, tokenizer, [task])]
    assert len(set(together)) == 4


@pytest.mark.slow
def test_sampled_text_belongs_to_the_call_and_not_to_the_batch(language_model: Transformers) -> None:
    decoding = Decoding(max_tokens=8, temperature=1.0, top_p=0.95)
    calls = [Call(Key(f"{i}"), Generate(f"A short text about {subject}:", decoding), seed=7)
             for i, subject in enumerate(SUBJECTS[:4])]
    together = answered_at_once(language_model, calls)
    alone = {call.key.sample_id: answered_at_once(language_model, [call])[call.key.sample_id] for call in reversed(calls)}
    assert {name: text(out) for name, out in together.items()} == {name: text(out) for name, out in alone.items()}
    same_prompt = [Call(Key("a", repeat), Generate("Once upon a time", decoding), seed) for repeat in (0, 1) for seed in (0, 1)]
    assert len({text(out) for out in language_model.run(same_prompt)}) == 4


def test_row_seeds_differ_by_every_part_of_the_key() -> None:
    request = Generate("x")
    keys = [Key("a"), Key("b"), Key("a", repeat=1), Key("a", arm="oracle"), Key("a", step=1)]
    calls = [*(Call(key, request) for key in keys), Call(Key("a"), request, seed=1)]
    assert len({row_seed(call) for call in calls}) == len(calls)
    assert row_seed(calls[0]) == row_seed(Call(Key("a"), Generate("another prompt")))


# ── the end of a text ──


@pytest.mark.slow
def test_stop_strings_are_cut_exactly_and_the_earliest_wins(language_model: Transformers) -> None:
    prompt = "Water boils at 100 degrees and freezes at"
    whole = text(one(language_model, Generate(prompt, Decoding(max_tokens=24))))
    stop, later = whole[5:8], whole[12:14]
    output = one(language_model, Generate(prompt, Decoding(max_tokens=24, stop=(later, stop, "never written"))))
    assert text(output) == whole[: min(whole.find(stop), whole.find(later))]
    assert output.finish_reason == "stop"
    assert output.usage is not None
    assert output.usage.output_tokens < 24
    # Two that are complete at the same character: the one that begins first is the cut.
    at = whole.find(stop)
    assert text(one(language_model, Generate(prompt, Decoding(max_tokens=24, stop=(stop[1:], stop))))) == whole[:at]


def test_length_and_end_token_are_told_apart(language_model: Transformers) -> None:
    short = one(language_model, Generate(chat("What is the capital of Italy?"), Decoding(max_tokens=4)))
    assert (short.finish_reason, short.usage and short.usage.output_tokens) == ("length", 4)
    whole = one(language_model, Generate(chat("What is the capital of Italy?"), Decoding(max_tokens=40)))
    assert whole.finish_reason == "stop"
    assert "<|im_end|>" not in text(whole)
    assert text(whole).startswith(text(short))


def test_a_prompt_too_long_leaves_room_for_what_is_written(language_model: Transformers) -> None:
    small = with_loaded(language_model, max_length=20)
    long = " ".join(SUBJECTS * 3)
    output = one(small, Generate(long, Decoding(max_tokens=5)))
    assert output.truncated
    assert output.usage is not None
    assert output.usage.input_tokens == 15
    prompts = language_model._require().loaded.prompts
    kept = prompts.tokenizer.decode(prompts.encode(long)[-15:])
    assert text(output) == text(one(language_model, Generate(kept, Decoding(max_tokens=5))))


# ── perplexity ──


def test_the_perplexity_of_a_text_is_read_after_bos(language_model: Transformers) -> None:
    scored = likelihoods(one(language_model, Perplexity(TEXT)))
    ids = language_model._require().loaded.prompts.bare(TEXT)
    assert scored.logprobs == pytest.approx((sum(twin_logprobs(language_model, [1], ids)),), abs=1e-3)
    assert scored.n_tokens == (len(ids),)
    assert (scored.n_words, scored.n_bytes) == (len(TEXT.split()), len(TEXT.encode()))


def test_a_long_text_is_scored_in_rolling_windows(language_model: Transformers) -> None:
    small = with_loaded(language_model, max_length=16)
    ids = language_model._require().loaded.prompts.bare(TEXT)
    assert 32 < len(ids) < 48
    # Two full windows, each after one token, and the rest after as much as fits: what lm-eval's windows say.
    rest = len(ids) - 32
    wanted = (sum(twin_logprobs(language_model, [1], ids[:16])) + sum(twin_logprobs(language_model, ids[15:16], ids[16:32]))
              + sum(twin_logprobs(language_model, ids[-17 : 32], ids[32:])))
    assert len(ids[-17:32]) + rest == 17
    assert likelihoods(one(small, Perplexity(TEXT))).logprobs == pytest.approx((wanted,), abs=1e-3)


# ── batches and errors ──


def test_batches_hold_every_call_once_whatever_their_order(language_model: Transformers) -> None:
    tight = with_loaded(language_model, batch_tokens=120)
    rng = random.Random(0)
    calls = [Call(Key(str(i)), Generate("word " * rng.randint(1, 60), Decoding(max_tokens=10))) for i in range(20)]
    calls += [Call(Key(f"ll{i}"), LogLikelihood("word " * rng.randint(1, 60), (" a", " b")[: 1 + i % 2])) for i in range(20)]
    calls += [Call(Key(f"p{i}"), Perplexity("word " * rng.randint(1, 60))) for i in range(5)]
    batches = tight.batches(calls)
    assert sorted(call.key.sample_id for batch in batches for call in batch) == sorted(call.key.sample_id for call in calls)
    assert all(len({type(call.request) for call in batch}) == 1 for batch in batches)
    rng.shuffle(calls)
    assert tight.batches(calls) == batches


def test_one_bad_call_does_not_spoil_its_batch(language_model: Transformers) -> None:
    good = Call(Key("good"), Generate("One, two,", Decoding(max_tokens=3)))
    outputs = outputs_by_sample(language_model, [
        good, Call(Key("long"), Generate("One", Decoding(max_tokens=8192))),
        Call(Key("fine"), LogLikelihood("One", (" two",))), Call(Key("empty"), LogLikelihood("One", (" two", ""))),
    ])
    assert {name for name, out in outputs.items() if out.error} == {"long", "empty"}
    assert all(out.answer is None and out.finish_reason == "error" for out in outputs.values() if out.error)
    assert text(outputs["good"]) == text(one(language_model, good.request))
