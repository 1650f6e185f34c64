"""Nothing depends on what else is in a batch: scores and texts of several kinds of models, alone and together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, LogLikelihood, Message
from tests.models import toy
from tests.models.answers import answered, likelihoods, text

WORDS = ("sea", "engine", "bread", "moon", "library", "rain", "chess", "heart")


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transformers]:
    folder = toy.write(tmp_path_factory.mktemp(request.param) / "model", family=request.param, context=256, spread=0.3)
    backend = Transformers(f"path:{folder}", device="cpu", threads=1)
    backend.open(toy.resources(folder))
    yield backend
    backend.close()


def test_log_likelihoods(model: Transformers) -> None:
    calls = [Call(Key(str(i)), LogLikelihood(f"{'So it was. ' * (i % 3)}Question {i}: what is {WORDS[i % 8]}?\nAnswer:",
                                             (" yes", f" it is {WORDS[-i % 8]}, 12 of them")))
             for i in range(32)]
    together = answered(model, calls)
    for call in calls:
        alone, beside = (likelihoods(outputs[call.key.sample_id]) for outputs in (answered(model, [call]), together))
        assert beside.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert (beside.n_tokens, beside.is_greedy) == (alone.n_tokens, alone.is_greedy)
    assert len({round(likelihoods(output).logprobs[0], 3) for output in together.values()}) > 20


@pytest.mark.parametrize("decoding", [Decoding(max_tokens=12), Decoding(max_tokens=12, temperature=1.0, top_p=0.95)])
def test_texts(model: Transformers, decoding: Decoding) -> None:
    plain = [Call(Key(word), Generate(f"{'Once again. ' * (i % 4)}A short text about {word}:", decoding), seed=7)
             for i, word in enumerate(WORDS)]
    chats = [Call(Key(f"chat {word}"), Generate((Message("user", f"Say something about {word}."),), decoding), seed=7)
             for word in WORDS]
    together = answered(model, [*plain, *chats])
    alone = {call.key.sample_id: answered(model, [call])[call.key.sample_id] for call in reversed([*plain, *chats])}
    for name, output in alone.items():
        assert (text(together[name]), together[name].usage) == (text(output), output.usage)
    assert len({text(output) for output in alone.values()}) > 8
