"""The ``openai`` backend against ``transformers serve``: the texts of the ``transformers`` backend with the same weights."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.models.asking import Limits
from harness.models.gguf import model_folder
from harness.models.openai import OpenAI
from harness.models.sources import resolve
from harness.models.transformers import Transformers
from harness.protocols import Resources
from harness.types import Call, Decoding, Generate, Key, Message, Output, Prompt, Text
from tests.e2e.real import user_cache
from tests.models.real import SMOLLM2, opened

pytestmark = pytest.mark.slow

_START_S = 120.0
_LIMITS = Limits(concurrency=4, timeout_s=120)
_DECODING = Decoding(max_tokens=16, stop=("\n\n",))


def prompts(shared_data: Callable[[str], Path], n: int) -> list[str]:
    """The shortest questions of GSM8K."""
    path = shared_data("gsm8k/test.jsonl")
    questions = [json.loads(line)["question"] for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(questions, key=len)[:n]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, str]]:
    """The address of a server, and the name of its model, which is the folder of its weights."""
    for package in ("torch", "transformers", "fastapi", "uvicorn", "aiohttp"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    opened(Transformers(source=SMOLLM2, device="cpu", threads=1)).close()  # downloaded and converted, or skipped
    folder = model_folder(resolve(SMOLLM2, user_cache(), print), user_cache(), print)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "transformers.cli.transformers", "serve", str(folder), "--host", "127.0.0.1", "--port", str(port),
               "--device", "cpu", "--dtype", "float32"]  # fmt: skip
    # One thread: on a busy machine two are many times slower.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"transformers serve ended with {server.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"transformers serve does not answer at {url} after {_START_S} s")


def answers(backend: OpenAI | Transformers, calls: list[Call]) -> dict[str, tuple[str, str | None]]:
    """Sample id -> text and finish reason."""
    backend.open(Resources(user_cache()))
    try:
        outputs: list[Output] = [output for batch in backend.batches(calls) for output in backend.run(batch)]
    finally:
        backend.close()
    assert [output.error for output in outputs] == [None] * len(calls)
    texts = [(output, output.answer) for output in outputs if isinstance(output.answer, Text)]
    return {output.key.sample_id: (answer.text, output.finish_reason) for output, answer in texts}


@pytest.mark.parametrize(("api", "n", "n_streamed"), [("chat", 50, 10), ("completions", 10, 5)])
def test_greedy_texts_are_those_of_the_weights_read_here(
    served: tuple[str, str], shared_data: Callable[[str], Path], api: Any, n: int, n_streamed: int
) -> None:
    url, model = served
    texts: list[Prompt] = [
        (Message("user", question),) if api == "chat" else f"Question: {question}\nAnswer:"
        for question in prompts(shared_data, n)
    ]
    calls = [Call(Key(str(place)), Generate(text, _DECODING)) for place, text in enumerate(texts)]
    here = answers(Transformers(source=SMOLLM2, device="cpu", threads=1), calls)
    whole = OpenAI(model, url, api=api, api_key_env=None, limits=_LIMITS)
    # This server takes no stream_options, and counts its tokens without.
    streamed = OpenAI(model, url, api=api, api_key_env=None, limits=_LIMITS, stream=True, extra={"stream_options": None})
    assert len({text for text, _ in here.values()}) > n / 2
    assert answers(whole, calls) == here
    assert answers(streamed, calls[:n_streamed]) == {str(place): here[str(place)] for place in range(n_streamed)}
