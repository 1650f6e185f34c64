"""The sentence_encoder backend on all-MiniLM-L6-v2, against its model card's recipe written out with plain transformers."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import BackendError, MissingDependency
from harness.models.sentence_encoder import SentenceEncoder
from harness.protocols import Resources
from harness.types import Call, Embed, Key, Vectors
from tests.models.real import MINILM, opened

SENTENCES = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]


@pytest.fixture(scope="module")
def encoder() -> Iterator[SentenceEncoder]:
    pytest.importorskip("sentence_transformers")
    model: SentenceEncoder = opened(SentenceEncoder(MINILM, device="cpu", threads=1))
    yield model
    model.close()


@pytest.fixture
def with_options(encoder: SentenceEncoder) -> Iterator[Any]:
    """Opens the encoder again with other options."""
    backends: list[SentenceEncoder] = []

    def make(**options: Any) -> SentenceEncoder:
        backends.append(opened(SentenceEncoder(MINILM, device="cpu", threads=1, **options)))
        return backends[-1]

    yield make
    for backend in backends:
        backend.close()


def by_model_card(encoder: SentenceEncoder, texts: Sequence[str]) -> Any:
    """Mean of the last hidden states over the attention mask, one text at a time, scaled to length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = encoder._require().model[0].auto_model.config._name_or_path
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state[0].double().mean(0).numpy()
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


def test_vectors_equal_the_recipe_of_the_model_card(encoder: SentenceEncoder) -> None:
    texts = [*SENTENCES, "A much longer text, " * 40, "x"]
    vectors = encoder.encode(texts)
    assert (vectors.dtype, vectors.shape) == (np.float32, (6, 384))
    np.testing.assert_allclose(vectors, by_model_card(encoder, texts), atol=1e-5)


def test_similarities_are_the_published_ones(encoder: SentenceEncoder) -> None:
    # The example of the model's page on the hub.
    first, *others = encoder.encode(SENTENCES)
    assert [round(float(first @ other), 3) for other in others] == [0.695, 0.943, 0.257]


def test_a_vector_does_not_depend_on_its_company(encoder: SentenceEncoder, with_options: Any) -> None:
    texts = [f"{'Words and ' * (i % 7)}number {i}" for i in range(40)]
    vectors = encoder.encode(texts)
    np.testing.assert_allclose(with_options(batch_size=1).encode(texts), vectors, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], vectors, atol=1e-5)


def test_no_texts_give_no_rows(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)
    (output,) = encoder.run([Call(Key("a"), Embed(()))])
    assert output.answer == Vectors(())


def test_outputs_belong_to_their_calls(encoder: SentenceEncoder) -> None:
    calls = [Call(Key("two"), Embed(tuple(SENTENCES[:2]), "document")), Call(Key("long"), Embed(("word " * 300,), "query")),
             Call(Key("one"), Embed((SENTENCES[3],), "document"))]
    outputs = {out.key.sample_id: out for batch in encoder.batches(calls) for out in encoder.run(batch)}
    wanted = encoder.encode(SENTENCES)
    for name, rows in (("two", [0, 1]), ("one", [3])):
        answer = outputs[name].answer
        assert isinstance(answer, Vectors)
        np.testing.assert_allclose(answer.vectors, wanted[rows], atol=1e-5)
    assert {name: out.truncated for name, out in outputs.items()} == {"two": False, "long": True, "one": False}
    usage = outputs["long"].usage
    assert usage is not None
    # 300 words and the two tokens that BERT puts around a text.
    assert usage.input_tokens == 302


def test_batches_do_not_depend_on_the_order_of_calls(encoder: SentenceEncoder) -> None:
    calls = [Call(Key(str(i)), Embed(("word " * (i % 13),) * (1 + i % 3), "query" if i % 2 else "document"))
             for i in range(900)]
    batches = encoder.batches(calls)
    assert sorted(int(call.key.sample_id) for batch in batches for call in batch) == list(range(900))
    for batch in batches:
        requests = [call.request for call in batch if isinstance(call.request, Embed)]
        assert len({request.purpose for request in requests}) == 1
        assert sum(len(request.texts) for request in requests) <= 512
    random.Random(0).shuffle(calls)
    assert encoder.batches(calls) == batches


def test_prompts_stand_before_texts_of_their_purpose(encoder: SentenceEncoder, with_options: Any) -> None:
    prompted = with_options(query_prompt="query: ")
    plain = encoder.encode([f"query: {SENTENCES[0]}", SENTENCES[0]])
    np.testing.assert_allclose(prompted.encode([SENTENCES[0]], purpose="query"), plain[:1], atol=1e-5)
    np.testing.assert_allclose(prompted.encode([SENTENCES[0]], purpose="document"), plain[1:], atol=1e-5)
    assert prompted.signature() != encoder.signature()


def test_normalize_scales_what_the_model_itself_does_not(encoder: SentenceEncoder, tmp_path: Path) -> None:
    folder = Path(encoder._require().model[0].auto_model.config._name_or_path)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    modules = json.loads((folder / "modules.json").read_text())
    (tmp_path / "modules.json").unlink()
    (tmp_path / "modules.json").write_text(json.dumps([module for module in modules if "Normalize" not in module["type"]]))
    raw, scaled = (opened(SentenceEncoder(f"path:{tmp_path}", "cpu", threads=1, normalize=wanted)) for wanted in (False, True))
    lengths = np.linalg.norm(raw.encode(SENTENCES), axis=1)
    assert (abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(raw.encode(SENTENCES) / lengths[:, None], encoder.encode(SENTENCES), atol=1e-5)
    np.testing.assert_allclose(scaled.encode(SENTENCES), encoder.encode(SENTENCES), atol=1e-5)
    assert raw.signature() != scaled.signature()
    raw.close()
    scaled.close()


def test_errors_say_what_is_wrong(encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match=r"purpose must be one of query, document, symmetric, got 'passage'"):
        encoder.encode(["a"], purpose="passage")
    with pytest.raises(BackendError, match="batch_size must be at least 1, got 0"):
        SentenceEncoder(MINILM, batch_size=0).open(Resources(tmp_path))
    with pytest.raises(BackendError, match=r"open\(\) it before"):
        SentenceEncoder(MINILM).encode(["a"])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BackendError, match="no sentence encoder"):
        SentenceEncoder(f"path:{tmp_path}", device="cpu", threads=1).open(Resources(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependency, match="torch and sentence-transformers"):
        SentenceEncoder(f"path:{tmp_path}").open(Resources(tmp_path / "cache"))
