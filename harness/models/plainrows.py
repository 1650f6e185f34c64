"""Rows of a batch, each read in full and kept by the model's own cache: what every architecture can do."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from harness.models.devices import padded
from harness.models.heads import logits_at


class PlainRows:
    """Texts that are being written side by side. Rows may go at any step, and come when there are none."""

    refills = False

    def __init__(self, model: Any) -> None:
        self.model = model
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._cache: Any = None
        self._mask: Any = None

    def admit(self, prompts: Sequence[Sequence[int]], budget: int) -> Any:
        """Read the prompts: logits after the last token of each, ``float32[prompts, vocabulary]``."""
        self._cache = None
        ids, self._mask = padded(prompts, "left", self.model.device)
        return self._forward(ids)

    def advance(self, tokens: Sequence[int]) -> Any:
        """Give every row its next token: logits after it, ``float32[rows, vocabulary]``."""
        import torch

        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        return self._forward(torch.tensor(list(tokens), device=self.model.device)[:, None])

    def retire(self, finished: Sequence[int]) -> list[int]:
        """Take rows out: gives, a row that is left, the index that it had."""
        import torch

        kept = [index for index in range(len(self._mask)) if index not in set(finished)]
        if kept:
            index = torch.tensor(kept, device=self._mask.device)
            self._cache.batch_select_indices(index)
            self._mask = self._mask[index]
        return kept

    def _forward(self, ids: Any) -> Any:
        options: dict[str, Any] = {"attention_mask": self._mask, "past_key_values": self._cache}
        if self._takes_positions:
            options["position_ids"] = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits, self._cache = _run(self.model, ids, options)
        return logits


def forward(model: Any, ids: Any, **options: Any) -> Any:
    """Logits after the last token of each row, ``float32[rows, vocabulary]``."""
    return _run(model, ids, options)[0]


def _run(model: Any, ids: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    import torch

    last = torch.full((len(ids),), ids.shape[1] - 1)
    with logits_at(model, torch.arange(len(ids)), last):
        out = model(input_ids=ids, use_cache=True, **options)
    return out.logits[0].float(), out.past_key_values
