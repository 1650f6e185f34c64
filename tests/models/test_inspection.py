"""What is said of a local model unopened, against the same model open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, LogLikelihood, Message, Perplexity, Request
from tests.models import toy

CHAT = (Message("user", "What is water?"),)
REQUESTS: tuple[Request, ...] = (
    Generate("What is water made of?", Decoding(max_tokens=3)),
    Generate(CHAT, Decoding(max_tokens=3)),
    Generate("so long " * 30, Decoding(max_tokens=3)),
    LogLikelihood(CHAT, ("atoms", "a long answer")),
    LogLikelihood("so long " * 30, (" and", " then")),
    LogLikelihood("", ("Paris",)),
    Perplexity("Once upon a time " * 10),
    Generate("x", Decoding(max_tokens=1000)),
)


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp(request.param) / "model", family=request.param)


@pytest.mark.parametrize("options", [
    {}, {"max_length": 40, "truncation": "right"}, {"chat_template": False}, {"reasoning": ("<think>", "</think>")},
    {"dtype": "bfloat16", "attention": "eager"},
])
def test_signature_and_sizes_are_those_of_the_open_model(folder: Path, options: dict[str, Any]) -> None:
    backend = Transformers(f"path:{folder}", **{"device": "cpu", "threads": 1, **options})
    inspector = backend.inspect(toy.resources(folder))
    backend.open(toy.resources(folder))
    assert inspector.signature() == backend.signature()
    calls = [Call(Key(str(index)), request) for index, request in enumerate(REQUESTS)]
    outputs = {output.key.sample_id: output for batch in backend.batches(calls) for output in backend.run(batch)}
    backend.close()
    assert "max_tokens must be" in str(outputs.pop("7").error)
    assert inspector.size(REQUESTS[7]).input_tokens == inspector.size(REQUESTS[7]).output_tokens == 0
    for name, output in outputs.items():
        size = inspector.size(REQUESTS[int(name)])
        assert output.usage is not None
        assert (size.input_tokens, size.truncated, size.exact) == (output.usage.input_tokens, output.truncated, True)
        assert size.output_tokens == (3 if int(name) < 3 else 0)
    assert [name for name in sorted(outputs) if outputs[name].truncated] == ["2", "4"]


def test_what_would_be_read_is_shown_token_by_token(folder: Path) -> None:
    inspector = Transformers(f"path:{folder}", device="cpu").inspect(toy.resources(folder))
    shown = inspector.render(Generate((Message("user", "is"),), Decoding(max_tokens=3)))
    assert shown["text"] == "<s>[user]is<|end|>\n[assistant]"
    assert shown["tokens"][:2] == ["<s>", "["]
    assert shown["tokens"][-6:] == ["is", "t", "a", "n", "t", "]"]
    words = toy.tokenizer()
    assert words.convert_tokens_to_ids(shown["tokens"]) == shown["token_ids"]
    assert "".join(shown["tokens"]).replace("Ċ", "\n") == shown["text"]
    assert shown["truncated"] is False
    scored = inspector.render(LogLikelihood("What is ", ("water", "fire")))
    assert (scored["text"], "".join(scored["tokens"])) == ("What is ", "<s>WhatĠis")
    # The blank went over to the continuation.
    assert ["".join(part["tokens"]) for part in scored["continuations"]] == ["Ġwater", "Ġfire"]
    whole = inspector.render(Perplexity("Once upon a time " * 10))
    assert "".join(whole["tokens"]) == "<s>" + "OnceĠuponĠaĠtimeĠ" * 10
    assert whole["windows"] == 2
    assert "max_tokens must be" in inspector.render(REQUESTS[7])["error"]


def test_a_prompt_that_is_too_long_stops_where_it_would_stop_the_run(folder: Path) -> None:
    inspector = Transformers(f"path:{folder}", device="cpu", truncation="error").inspect(toy.resources(folder))
    with pytest.raises(BackendError, match="truncation is error"):
        inspector.size(REQUESTS[2])
    assert inspector.size(REQUESTS[0]).truncated is False


def test_a_llama_is_described_without_importing_torch(tmp_path: Path) -> None:
    folder = toy.write(tmp_path / "model")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.models.transformers import Transformers\n"
        "from harness.protocols import Resources\n"
        "from harness.types import Decoding, Generate\n"
        f"inspector = Transformers({f'path:{folder}'!r}, device='cpu').inspect(Resources(Path({str(tmp_path)!r})))\n"
        "size = inspector.size(Generate('Hi there', Decoding(max_tokens=3)))\n"
        "print(size.input_tokens, inspector.signature()['dtype'], 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(toy.tokenizer()("Hi there")["input_ids"])), "float32", "False"]
