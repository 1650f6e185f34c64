"""What is read off a model's files, against what transformers makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.described import describe
from harness.models.transformers import Transformers
from tests.models import toy


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}), "utf-8")


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("about", [{}, {"tokenizer_class": "PreTrainedTokenizerFast"}, {"add_bos_token": True}])
def test_tokenizer_context_and_ends_are_those_of_transformers(tmp_path: Path, family: str, about: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    folder = toy.write(tmp_path / "model", family=family, context=48)
    edit(folder / "tokenizer_config.json", **about)
    described = describe(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert described.tokenizer.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert described.tokenizer.special_tokens_map == theirs.special_tokens_map
    assert described.tokenizer.get_chat_template() == theirs.get_chat_template() == toy.TEMPLATE
    assert described.context == 48
    assert described.ends == {1}


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("configured", [[1, 7], 7, None])
def test_ends_are_those_of_the_generation_config_and_the_tokenizer(tmp_path: Path, family: str, configured: Any) -> None:
    folder = toy.write(tmp_path / "model", family=family)
    edit(folder / "generation_config.json", eos_token_id=configured)
    assert describe(folder).ends == {1} | ({7} if configured else set())


def test_without_a_generation_config_the_models_own_counts(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = toy.write(tmp_path / "model")
    (folder / "generation_config.json").unlink()
    edit(folder / "config.json", eos_token_id=[5, 6])
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.generation_config.eos_token_id == [5, 6]
    assert describe(folder).ends == {1, 5, 6}


def test_a_context_that_the_file_leaves_to_the_default_is_transformers_default(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = toy.write(tmp_path / "model")
    edit(folder / "config.json", max_position_embeddings=None)
    assert describe(folder).context == transformers.LlamaConfig().max_position_embeddings == 2048


def test_a_llama_that_says_more_is_left_to_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = toy.write(tmp_path / "model")
    edit(folder / "config.json", n_positions=24)
    assert describe(folder).context == transformers.AutoConfig.from_pretrained(folder).n_positions == 24


@pytest.mark.parametrize("document", [{}, {"model_type": "no such model"}])
def test_files_that_are_no_language_model_are_refused(tmp_path: Path, document: dict[str, str]) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(BackendError, match="no causal language model"):
        describe(tmp_path)


@pytest.mark.parametrize(("family", "goes_on"), [("llama", True), ("qwen2", True), ("gpt2", False)])
def test_only_computed_positions_go_beyond_the_context(tmp_path: Path, family: str, goes_on: bool) -> None:
    described = describe(toy.write(tmp_path / "model", family=family, context=48))
    said: list[str] = []
    for fitting in (None, 1, 48):
        described.check_length(fitting, said.append)
    assert said == []
    if goes_on:
        described.check_length(49, said.append)
        assert [message.startswith("WARNING: max_length is 49, and the model's") for message in said] == [True]
    else:
        with pytest.raises(BackendError, match=r"max_length must be at most 48, .* got 49"):
            described.check_length(49, said.append)


def test_a_context_that_nobody_states_bounds_nothing(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    transformers.MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2).save_pretrained(tmp_path)
    toy.tokenizer().save_pretrained(tmp_path)
    described = describe(tmp_path)
    assert (described.context, described.stated) == (2048, False)
    described.check_length(10_000, pytest.fail)


def test_smollm2_is_read_as_transformers_reads_it(language_model: Transformers) -> None:
    import platformdirs
    from transformers import AutoConfig, AutoTokenizer

    from harness.models.gguf import model_folder
    from harness.models.sources import resolve

    cache = Path(platformdirs.user_cache_dir("harness-eval"))
    folder = model_folder(resolve(language_model.source, cache, print), cache, print)
    described, theirs = describe(folder), AutoTokenizer.from_pretrained(folder)
    assert described.tokenizer.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert described.tokenizer.special_tokens_map == theirs.special_tokens_map
    assert described.context == AutoConfig.from_pretrained(folder).max_position_embeddings == 8192
    model = language_model._require().loaded.model
    assert described.ends == {model.generation_config.eos_token_id} == {2}
