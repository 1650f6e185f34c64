"""Key-value states of token prefixes: what many sequences begin with is run through the model once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from harness.models.heads import logits_at


class PrefixCache:
    """The states of the last prefix that was asked for; the next is computed from where it departs from that.

    Made for one open model and used within ``torch.inference_mode()``. A prefix that does not fit into memory raises what
    torch raises and leaves the states as they were.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._tokens: list[int] = []
        self._states: Any = None

    def held(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the first on, have their states here already."""
        return common(self._tokens, list(tokens))

    def states(self, tokens: Sequence[int], rows: int = 1) -> Any:
        """A cache of ``rows`` rows that have all read these tokens (one at least); give it as ``past_key_values``.

        It is the caller's own: what is read after it changes nothing here. Raises TypeError for a model whose layers keep
        something else than the states of every token (windows, convolutions, recurrent states).
        """
        kept = self.held(tokens)
        if kept < len(tokens):
            self._states = self._run(tokens, kept)
            self._tokens = list(tokens)
        return _view(self._states, len(tokens), rows)

    def clear(self) -> None:
        """Forget everything, to free its memory."""
        self._tokens, self._states = [], None

    def _run(self, tokens: Sequence[int], kept: int) -> Any:
        import torch

        past = _view(self._states, kept, 1) if kept else None
        ids = torch.tensor([list(tokens[kept:])], device=self.model.device)
        positions = torch.arange(kept, len(tokens), device=self.model.device)[None]
        with _no_logits(self.model):
            out = self.model(input_ids=ids, position_ids=positions, past_key_values=past, use_cache=True)
        _check(out.past_key_values, len(tokens))
        return out.past_key_values


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences have in common from the first on."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    # Slices compare at the speed of C; a loop over tokens would not.
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _no_logits(model: Any) -> AbstractContextManager[None]:
    import torch

    nowhere = torch.zeros(0, dtype=torch.long)
    return logits_at(model, nowhere, nowhere)


def _check(states: Any, length: int) -> None:
    from transformers.cache_utils import DynamicCache, DynamicLayer

    if not isinstance(states, DynamicCache) or any(type(layer) is not DynamicLayer for layer in states.layers):
        raise TypeError("its layers do not keep the states of every token")
    if any(layer.get_seq_length() not in (0, length) for layer in states.layers):
        raise TypeError("its layers have not read what they were given")


def _view(states: Any, length: int, rows: int) -> Any:
    """The first tokens of a cache for many rows, without a copy: layers grow by making new tensors."""
    view = copy.copy(states)
    view.layers = [copy.copy(layer) for layer in states.layers]
    for layer in view.layers:
        if layer.get_seq_length():
            layer.keys, layer.values = (kept[:, :, :length].expand(rows, -1, -1, -1) for kept in (layer.keys, layer.values))
    return view
