"""What the files of a causal language model say of it without its weights: tokenizer, context, the tokens that end a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BackendError, MissingDependency
from harness.models.weights import quiet_transformers

_UNKNOWN_LENGTH = 2048
"""The context of a model whose configuration names none."""

_CONTEXT_KEYS = ("n_positions", "max_position_embeddings", "n_ctx")

_PLAIN_TOKENIZERS = frozenset({"TokenizersBackend", "PreTrainedTokenizerFast"})
"""Classes that are their tokenizer.json and nothing else."""


@dataclass(frozen=True, slots=True)
class Described:
    """``context`` in tokens; ``ends`` are the end tokens that the generation config and the tokenizer name.

    ``stated``: whether the configuration names that context. ``goes_on``: whether positions beyond it are computed as those
    within it are (rotary ones), instead of looked up in a table that ends there.
    """

    tokenizer: Any
    context: int
    ends: frozenset[int]
    stated: bool
    goes_on: bool

    def check_length(self, max_length: int | None, say: Callable[[str], None]) -> None:
        """Raises BackendError for a length that the model has no positions for; ``say`` is told of one it was not made for."""
        if max_length is None or not self.stated or max_length <= self.context:
            return
        if not self.goes_on:
            raise BackendError(f"transformers backend: max_length must be at most {self.context}, the positions that this "
                               f"model has by its configuration, got {max_length}")
        say(f"WARNING: max_length is {max_length}, and the model's configuration names a context of {self.context}: what "
            "stands beyond that is read and written badly, unless the model is known to bear it")


def describe(folder: Path) -> Described:
    """What the files in a folder that transformers loads say.

    Raises MissingDependency without transformers, BackendError where the files are no causal language model.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependency("transformers backend", ["torch", "transformers"], "models") from error
    try:
        with quiet_transformers():
            plain = _plain(folder)
            told = _told_plainly(folder, plain) if plain is not None else _told_by_transformers(folder)
            ends = _configured_ends(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BackendError(f"transformers backend: {folder} is no causal language model: {error}") from error
    tokenizer, context, goes_on = told
    # Tokenizers that know of no limit hold a huge number.
    limit = tokenizer.model_max_length if tokenizer.model_max_length < 10**9 else _UNKNOWN_LENGTH
    return Described(tokenizer, int(context or limit), ends | _known({tokenizer.eos_token_id}), context is not None, goes_on)


def _plain(folder: Path) -> Mapping[str, Any] | None:
    """The configuration of a Llama whose tokenizer is its tokenizer.json.

    Only of these is it plain to see what transformers would make of the files, without its machinery, which imports torch: ten
    times as long as everything else that is done here.
    """
    config, about = _read(folder / "config.json"), _read(folder / "tokenizer_config.json")
    is_plain = (
        config.get("model_type") == "llama" and isinstance(config.get("max_position_embeddings"), int)
        and not {"auto_map", "text_config", "n_positions"} & config.keys()
        and about.get("tokenizer_class") in _PLAIN_TOKENIZERS and "auto_map" not in about
        and (folder / "tokenizer.json").is_file()
    )  # fmt: skip
    return config if is_plain else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _told_plainly(folder: Path, config: Mapping[str, Any]) -> tuple[Any, int | None, bool]:
    """Tokenizer, context and whether positions go on beyond it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True), config["max_position_embeddings"], True


def _told_by_transformers(folder: Path) -> tuple[Any, int | None, bool]:
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    text = config.get_text_config()
    stated = (getattr(text, key, None) for key in _CONTEXT_KEYS)
    # The second is what versions before 5 call it.
    goes_on = any(getattr(text, key, None) for key in ("rope_parameters", "rope_theta"))
    return tokenizer, next((int(length) for length in stated if length), None), goes_on


def _configured_ends(folder: Path) -> frozenset[int]:
    """The end tokens of the generation config or, where there is none, of the model's: as transformers reads them."""
    from transformers import GenerationConfig

    try:
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:
        generation = GenerationConfig.from_pretrained(folder, config_file_name="config.json", _from_model_config=True,
                                                      local_files_only=True)
    configured = generation.eos_token_id
    return _known(configured if isinstance(configured, list) else [configured])


def _known(tokens: Any) -> frozenset[int]:
    return frozenset(int(token) for token in tokens if token is not None)
