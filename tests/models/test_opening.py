"""Opening and closing a local language model, on models of a few thousand parameters."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError, MissingDependency
from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, LogLikelihood, Message, Output, Request, Text
from tests.models import toy


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


def text(output: Output) -> Text:
    assert isinstance(output.answer, Text)
    return output.answer


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


def test_a_failure_to_open_leaves_the_collector_on(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BackendError, match="no causal language model"):
        opened(tmp_path)
    assert gc.isenabled()


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
    assert text(kept).text == text(one(model, Generate(toy.tokenizer().decode(ids[:60]), Decoding(max_tokens=4)))).text
    assert text(kept).text != text(cut).text
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
    whole = text(one(model, request))
    assert whole.reasoning is None
    # Two characters that the model happens to write once each, as the marks.
    once = [character for character in whole.text if whole.text.count(character) == 1 and 32 < ord(character) < 127]
    opening, closing = once[0], once[-1]
    assert whole.text.find(opening) + 1 < whole.text.find(closing)
    begin, end = whole.text.find(opening), whole.text.find(closing)
    thinking = opened(folder, reasoning=(opening, closing))
    told = text(one(thinking, request))
    assert told.reasoning == whole.text[begin + 1 : end].strip()
    assert told.text == (whole.text[:begin] + whole.text[end + 1 :]).strip()
    thinking.close()


def test_reasoning_that_the_template_began_and_nothing_closed_is_no_answer(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "model", template=toy.TEMPLATE.replace("[assistant]{%", "[assistant]<think>\n{%"))
    request = Generate((Message("user", "Hi"),), Decoding(max_tokens=8))
    plain, thinking = opened(folder), opened(folder, reasoning=("<think>", "</think>"))
    written = text(one(plain, request)).text
    assert written.strip()
    told = text(one(thinking, request))
    assert (told.text, told.reasoning) == ("", written.strip())
    # Of a plain text nothing was begun.
    request = Generate("Hi", Decoding(max_tokens=8))
    assert text(one(thinking, request)) == text(one(plain, request))
    plain.close()
    thinking.close()
