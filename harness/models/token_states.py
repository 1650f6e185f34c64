"""Token vectors of a transformer encoder at one of its layers, for measures that match texts token by token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import BackendError
from harness.models.devices import halving, pack, padded
from harness.models.weights import quiet_transformers

TokenVectors: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]
"""Token ids ``int64[t]``, which of them are of the text (not put around it) ``bool[t]``, vectors ``float32[t, d]``."""

_CPU_TOKENS, _OTHER_TOKENS = 1024, 16384
"""Padded tokens of a batch: on a processor what its caches hold, elsewhere what keeps it busy."""


class TokenStates:
    """The encoder and the tokenizer of a sentence-transformers model, read as the plain transformer that it is built on.

    Texts are cut where the transformer's own tokenizer cuts them, which may be later than the sentence encoder does it.
    """

    def __init__(self, sentence_model: Any) -> None:
        from transformers import AutoTokenizer

        module = sentence_model[0]
        self._model = getattr(module, "auto_model", None) or module.model
        with quiet_transformers():
            self._tokenizer = AutoTokenizer.from_pretrained(sentence_model.tokenizer.name_or_path, local_files_only=True)
        self._device = sentence_model.device
        self.n_layers = int(self._model.config.num_hidden_layers)
        positions = getattr(self._model.config, "max_position_embeddings", None) or 2**30
        self.max_length = min(int(self._tokenizer.model_max_length), int(positions))

    def ids(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Token ids of each text, and which of them are of the text."""
        if not texts:
            return []
        stripped = [text.strip() for text in texts]
        encoded = self._tokenizer(stripped, truncation=True, max_length=self.max_length, padding=False, verbose=False,
                                  return_special_tokens_mask=True)  # fmt: skip
        masks = (np.asarray(mask, dtype=np.int64) == 0 for mask in encoded["special_tokens_mask"])
        return [(np.asarray(ids, dtype=np.int64), mask) for ids, mask in zip(encoded["input_ids"], masks)]

    def vectors(self, texts: Sequence[str], layer: int | None) -> list[TokenVectors]:
        """The states of every token after ``layer`` layers (None: all), equal texts once, texts of like length together.

        Raises BackendError for a layer that the model does not have, and where one text alone does not fit into memory.
        """
        if layer is not None and not 0 <= layer <= self.n_layers:
            raise BackendError(f"sentence_encoder backend: layer must be between 0 and {self.n_layers}, got {layer}")
        distinct = list(dict.fromkeys(texts))
        tokens = self.ids(distinct)
        found: dict[str, TokenVectors] = {}
        budget = _CPU_TOKENS if self._device.type == "cpu" else _OTHER_TOKENS
        for batch in pack([len(ids) for ids, _ in tokens], [1] * len(tokens), budget):
            states = halving([tokens[index][0] for index in batch], partial(self._states, layer))
            for index, rows in zip(batch, states):
                if rows is None:
                    raise BackendError("sentence_encoder backend: out of memory on a single text")
                found[distinct[index]] = (*tokens[index], rows)
        return [found[text] for text in texts]

    def _states(self, layer: int | None, rows: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        import torch

        ids, mask = padded([row.tolist() for row in rows], "right", self._device)
        is_last = layer is None or layer == self.n_layers
        with torch.inference_mode():
            output = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=not is_last)
            states = output.last_hidden_state if is_last else output.hidden_states[layer]
        found = states.float().cpu().numpy()
        return [found[index, : len(row)].copy() for index, row in enumerate(rows)]
