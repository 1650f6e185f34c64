"""Opening and closing a local language model, on models of a few thousand parameters."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import sys
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError, MissingDependency
from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, LogLikelihood, Message, Output, Prompt, Request
from tests.models import toy
from tests.models.answers import text, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture
def model(folder: Path) -> Iterator[Transformers]:
    backend = opened(folder)
    yield backend
    backend.close()


def opened(folder: Path, **options: Any) -> Transformers:
    backend = Transformers(f"path:{folder}", **{"device": "cpu", "threads": 1, **options})
    backend.open(toy.resources(folder))
    return backend


def inspected(folder: Path, **options: Any) -> Mapping[str, Any]:
    """The signature of the model unopened, which is that of the open one (see test_inspection.py)."""
    return Transformers(f"path:{folder}", **{"device": "cpu", **options}).inspect(toy.resources(folder)).signature()


def one(model: Transformers, request: Request) -> Output:
    ((call,),) = model.batches([Call(Key("x"), request)])
    (output,) = model.run([call])
    return output


# ── what opening leaves behind ──


def test_opening_is_quiet_says_the_threads_and_leaves_torch_as_it_was(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch
    from transformers.utils import logging

    before, verbosity, bars = torch.get_num_threads(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    said: list[str] = []
    torch.set_num_threads(2)
    backend = Transformers(f"path:{folder}", device="cpu")  # the number of threads is left to it
    backend.open(toy.resources(folder, said))
    chosen = torch.get_num_threads()
    backend.close()
    backend.close()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, bars)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
    assert chosen in (1, 2)
    assert [message for message in said if "threads" in message] == [said[0]]
    assert said[0].startswith(f"torch uses {chosen} of 2 threads")
    assert gc.isenabled()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(BackendError, match=r"open\(\)"):
        backend.signature()


def test_a_closed_model_is_gone_before_the_next_one_is_loaded(folder: Path) -> None:
    backend = opened(folder)
    list(backend.run([Call(Key("a"), Generate("Hi", Decoding(max_tokens=3))), Call(Key("b"), LogLikelihood("Hi", (" you",)))]))
    model = weakref.ref(backend._require().loaded.model)
    weight = weakref.ref(backend._require().loaded.model.get_input_embeddings().weight)
    assert model() is not None
    gc.disable()
    try:
        backend.close()
        assert (model(), weight()) == (None, None)
    finally:
        gc.enable()


def test_a_collector_that_was_off_stays_off(folder: Path) -> None:
    gc.disable()
    try:
        opened(folder).close()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_failure_after_the_threads_were_set_puts_their_number_back(folder: Path, tmp_path: Path) -> None:
    import torch

    # Of rows that look back over so few tokens nothing can be shared, which is said when the threads are set.
    windowed = shutil.copytree(folder, tmp_path / "model")
    config = json.loads((windowed / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 4}
    (windowed / "config.json").write_text(json.dumps(config))
    seen: list[int] = []

    def stop(message: str) -> None:
        seen.append(torch.get_num_threads())
        raise KeyboardInterrupt(message)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    backend = Transformers(f"path:{windowed}", device="cpu", threads=1)
    try:
        with pytest.raises(KeyboardInterrupt, match="looks back over 4 tokens"):
            backend.open(dataclasses.replace(toy.resources(windowed), say=stop))
        backend.close()
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_a_failure_to_open_leaves_the_collector_on(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BackendError, match="no causal language model"):
        opened(tmp_path)
    assert gc.isenabled()


# ── files that are no whole causal language model ──


def test_weights_without_an_output_layer_are_refused(folder: Path, tmp_path: Path) -> None:
    import transformers

    headless = shutil.copytree(folder, tmp_path / "model")
    transformers.LlamaForCausalLM.from_pretrained(folder).model.save_pretrained(headless)
    with pytest.raises(BackendError, match=r"lack lm_head\.weight, which LlamaForCausalLM needs"):
        opened(headless)


def test_an_output_layer_that_is_the_input_embedding_is_not_missing(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from safetensors import safe_open

    folder = toy.write(tmp_path / "model", family="gpt2")
    with safe_open(folder / "model.safetensors", "np") as weights:
        assert "lm_head.weight" not in weights.keys()  # noqa: SIM118
    opened(folder).close()


def test_weights_that_are_cut_off_or_of_other_shapes_are_refused(folder: Path, tmp_path: Path) -> None:
    cut = shutil.copytree(folder, tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(BackendError, match="no causal language model that can be loaded"):
        opened(cut)
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_size": 64, "head_dim": 16}))
    with pytest.raises(BackendError, match="no causal language model that can be loaded"):
        opened(other)


@pytest.mark.parametrize("error", [MemoryError("none left"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_weights_that_do_not_fit_are_not_called_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import torch

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch.nn.Module, "to", refuse)
    with pytest.raises(BackendError, match="does not fit into the memory of cpu"):
        opened(folder)


def test_a_model_that_looks_ahead_is_not_opened(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    words = toy.tokenizer()
    transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        initializer_range=0.3)).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with pytest.raises(BackendError, match="BertLMHeadModel is no causal language model"):
        opened(tmp_path)


def test_a_context_beyond_learned_positions_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "model", family="gpt2", context=48)
    opened(folder, max_length=48).close()
    (folder / "model.safetensors").unlink()
    for open_ in (opened, inspected):
        with pytest.raises(BackendError, match="max_length must be at most 48"):
            open_(folder, max_length=49)


# ── the date ──


def test_a_template_that_asks_for_the_date_is_told_once_and_the_same_unopened(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "model", template="{{ strftime_now('%Y') }}" + toy.TEMPLATE)
    said: list[str] = []
    backend = Transformers(f"path:{folder}", device="cpu", threads=1)
    inspector = backend.inspect(toy.resources(folder, said))
    assert inspector.render(Generate((Message("user", "Hi"),), Decoding(max_tokens=3)))["text"].startswith("2024<s>[user]Hi")
    backend.open(toy.resources(folder, said))
    assert backend.signature() == inspector.signature()
    backend.close()
    assert [message for message in said if "date" in message] == [
        "the chat template asks for today's date: it is told 2024-07-26, so that every day has the same prompts"]


# ── options ──


@pytest.mark.parametrize(("options", "message"), [
    ({"device": "tpu"}, "device must be auto or one"), ({"threads": 0}, "threads must be at least 1"),
    ({"batch_tokens": 0}, "batch_tokens must be at least 1"), ({"max_length": -1}, "max_length must be at least 1"),
    ({"chat_template": "yes"}, "chat_template must be true, false or auto"),
    ({"quantization": "int4"}, "quantization: int4 is available on CUDA devices only"),
    ({"attention": "flash_attention_2"}, "half precision on CUDA devices only"),
    ({"reasoning": ("<think>", "<think>")}, "reasoning must be an opening and a closing mark"),
])
def test_bad_options_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        opened(folder, **options)


def test_without_transformers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependency, match=r"torch and transformers: pip install 'harness-eval\[models\]'"):
        opened(folder)


def test_the_signature_holds_what_moves_answers_and_nothing_else(folder: Path, model: Transformers) -> None:
    import transformers

    signature = model.signature()
    assert signature["transformers"] == transformers.__version__.rpartition(".")[0]
    assert (signature["dtype"], signature["bos"], signature["max_length"]) == ("float32", "added", 64)
    assert signature["ends"] == [1, 2]
    assert not {"device", "threads", "batch_tokens"} & signature.keys()
    for option in ({"dtype": "bfloat16"}, {"max_length": 32}, {"truncation": "right"}, {"chat_template": False},
                   {"reasoning": ("<a>", "</a>")}, {"attention": "eager"}):
        assert inspected(folder, **option) != signature, option
    assert inspected(folder, batch_tokens=64, threads=2) == signature


def test_another_series_of_transformers_is_another_signature(model: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    before = model.signature()
    for version, alike in [(f"{before['transformers']}.99", True), ("4.57.1", False)]:
        monkeypatch.setattr(transformers, "__version__", version)
        assert (model.signature() == before) is alike


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_that_of_the_weights(folder: Path, dtype: Any) -> None:
    import torch

    backend = opened(folder, dtype=dtype)
    assert backend._require().loaded.model.dtype == getattr(torch, dtype)
    backend.close()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_kernel_of_attention_is_the_one_that_was_asked_for(folder: Path, attention: Any) -> None:
    backend = opened(folder, attention=attention)
    assert backend._require().loaded.model.config._attn_implementation == attention
    backend.close()


# ── prompts that are too long ──

LONG = "ZYXWVU" * 20


def test_a_prompt_is_cut_at_the_end_that_the_policy_says(folder: Path, model: Transformers) -> None:
    asked = Generate(LONG, Decoding(max_tokens=4))
    cut = one(model, asked)
    assert (cut.truncated, cut.usage and cut.usage.input_tokens) == (True, 60)
    # A text without its own bos: what is left of the long one begins in its middle.
    ids = model._require().loaded.prompts.encode(LONG)
    right = opened(folder, truncation="right")
    kept = one(right, asked)
    assert kept.truncated
    assert text(kept) == text(one(model, Generate(toy.tokenizer().decode(ids[:60]), Decoding(max_tokens=4))))
    assert text(kept) != text(cut)
    right.close()


def test_skip_makes_the_sample_missing_and_error_stops(folder: Path) -> None:
    skipping, strict = opened(folder, truncation="skip"), opened(folder, truncation="error")
    for request in (Generate(LONG, Decoding(max_tokens=4)), LogLikelihood(LONG, (" and",))):
        output = one(skipping, request)
        assert output.answer is None
        assert "a prompt of 121 tokens is longer than the" in str(output.error)
        with pytest.raises(BackendError, match="sample 'x': a prompt of 121 tokens"):
            strict.batches([Call(Key("x"), request)])
    assert one(strict, Generate("Hi", Decoding(max_tokens=4))).error is None
    skipping.close()
    strict.close()


# ── reasoning ──


def test_reasoning_is_kept_apart_from_the_text(folder: Path, model: Transformers) -> None:
    request = Generate("Hi", Decoding(max_tokens=50))
    whole = written(one(model, request))
    assert whole.reasoning is None
    # Two characters that the model happens to write once each, as the marks.
    once = [character for character in whole.text if whole.text.count(character) == 1 and 32 < ord(character) < 127]
    opening, closing = once[0], once[-1]
    assert whole.text.find(opening) + 1 < whole.text.find(closing)
    begin, end = whole.text.find(opening), whole.text.find(closing)
    thinking = opened(folder, reasoning=(opening, closing))
    told = written(one(thinking, request))
    assert told.reasoning == whole.text[begin + 1 : end].strip()
    assert told.text == (whole.text[:begin] + whole.text[end + 1 :]).strip()
    thinking.close()


def test_reasoning_that_the_template_began_and_nothing_closed_is_no_answer(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "model", template=toy.TEMPLATE.replace("[assistant]{%", "[assistant]<think>\n{%"))
    request = Generate((Message("user", "Hi"),), Decoding(max_tokens=8))
    plain, thinking = opened(folder), opened(folder, reasoning=("<think>", "</think>"))
    by_itself = text(one(plain, request))
    assert by_itself.strip()
    told = written(one(thinking, request))
    assert (told.text, told.reasoning) == ("", by_itself.strip())
    # Of a plain text nothing was begun.
    request = Generate("Hi", Decoding(max_tokens=8))
    assert written(one(thinking, request)) == written(one(plain, request))
    plain.close()
    thinking.close()


def test_an_answer_that_reasoning_was_taken_from_has_no_log_probabilities_of_other_tokens(
    folder: Path, model: Transformers
) -> None:
    request = Generate("Hi", Decoding(max_tokens=50, logprobs=True))
    whole = written(one(model, request))
    assert whole.token_logprobs is not None
    once = [character for character in whole.text if whole.text.count(character) == 1 and 32 < ord(character) < 127]
    for marks, wanted in [((once[0], once[-1]), None), (("<think>", "</think>"), whole.token_logprobs)]:
        thinking = opened(folder, reasoning=marks)
        told = written(one(thinking, request))
        thinking.close()
        assert (told.text == whole.text) is (told.reasoning is None) is (wanted is not None)
        assert told.token_logprobs == wanted
        assert told.token_entropies == (None if wanted is None else whole.token_entropies)


def test_an_answer_that_is_all_reasoning_has_no_token(folder: Path) -> None:
    thinking = opened(folder, reasoning=("<think>", "</think>"))
    listed, unlisted = (written(one(thinking, Generate("Hi <think>", Decoding(max_tokens=5, logprobs=asked))))
                        for asked in (True, False))
    thinking.close()
    assert (listed.text, listed.token_logprobs, listed.token_entropies) == ("", (), ())
    assert (unlisted.text, unlisted.token_logprobs, unlisted.token_entropies) == ("", None, None)


@pytest.mark.parametrize(("truncation", "prompt", "begun"), [
    ("right", f"Hi {LONG}<think>", False),  # what the model reads ends in its middle
    ("right", f"ZYXWVU<think>{LONG}", True),  # what it reads ends in the mark
])
def test_reasoning_is_begun_by_the_prompt_that_was_read(folder: Path, truncation: str, prompt: Prompt, begun: bool) -> None:
    request = Generate(prompt, Decoding(max_tokens=4))
    # The second prompt is cut behind its mark: bos, six characters, the mark.
    length = 4 + len(toy.tokenizer()("ZYXWVU<think>")["input_ids"]) if begun and truncation == "right" else 64
    thinking = opened(folder, reasoning=("<think>", "</think>"), truncation=truncation, max_length=length)
    output = one(thinking, request)
    thinking.close()
    assert output.truncated
    assert (written(output).reasoning is not None) is (text(output) == "") is begun
