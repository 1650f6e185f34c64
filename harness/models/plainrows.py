"""Rows of a batch, each read in full: what every architecture can do, with the model's own cache or, at worst, without."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from harness.models.devices import is_out_of_memory, padded
from harness.models.heads import logits_at

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError, NotImplementedError)
"""What models raise that cannot be asked in a certain way."""


class PlainRows:
    """Texts that are being written side by side in the model's cache. Rows may go at any step, and come if there are none."""

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


class RereadRows:
    """Texts of a model without a fit cache: for every token all of a row is read again. Rows may come and go at any step."""

    refills = True

    def __init__(self, model: Any) -> None:
        self.model = model
        self._rows: list[list[int]] = []

    def admit(self, prompts: Sequence[Sequence[int]], budget: int) -> Any:
        """Logits after the last token of each of each, ``float32[prompts, vocabulary]``; these rows stand behind the others."""
        fresh = [list(prompt) for prompt in prompts]
        logits = self._read(fresh)
        self._rows += fresh
        return logits

    def advance(self, tokens: Sequence[int]) -> Any:
        """Give every row its next token: logits after it, ``float32[rows, vocabulary]``."""
        for row, token in zip(self._rows, tokens, strict=True):
            row.append(token)
        return self._read(self._rows)

    def retire(self, finished: Sequence[int]) -> list[int]:
        """Take rows out: gives, a row that is left, the index that it had."""
        kept = [index for index in range(len(self._rows)) if index not in set(finished)]
        self._rows = [self._rows[index] for index in kept]
        return kept

    def _read(self, rows: Sequence[Sequence[int]]) -> Any:
        import torch

        # Padding stands on the right, where a model that reads from left to right never comes to see it.
        ids, mask = padded(rows, "right", self.model.device)
        last = torch.tensor([len(row) - 1 for row in rows])
        with logits_at(self.model, torch.arange(len(rows)), last):
            return self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0].float()


def forward(model: Any, ids: Any, **options: Any) -> Any:
    """Logits after the last token of each row, ``float32[rows, vocabulary]``."""
    return _run(model, ids, options)[0]


def _run(model: Any, ids: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    import torch

    last = torch.full((len(ids),), ids.shape[1] - 1)
    with logits_at(model, torch.arange(len(ids)), last):
        out = model(input_ids=ids, use_cache=True, **options)
    return out.logits[0].float(), out.past_key_values


# ── whether a model can ──


def objection(model: Any) -> str | None:
    """Why rows of this model must be read anew for every token (:class:`RereadRows`); None where :class:`PlainRows` will do.

    The model is tried: rows of unequal length, of which one goes, must get the logits that they have alone.
    """
    import torch

    try:
        with torch.inference_mode():
            difference = _trial(model)
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        return f"it keeps no states that rows of a batch can go on from ({type(error).__name__}: {error})"
    # A false alarm costs the square of a text's length: only what no noise of half precision comes to.
    tolerance = 1e-3 if model.dtype == torch.float32 else 0.5
    # Written so that NaN objects.
    return None if difference <= tolerance else f"on a probe its logits differed by {difference:.2g}, more than {tolerance:g}"


def _trial(model: Any) -> float:
    """Mean difference of log-probabilities between rows of a batch and each text by itself."""
    import torch

    vocabulary = model.config.get_text_config().vocab_size
    one, two = torch.randint(vocabulary, (14,), generator=torch.Generator().manual_seed(0)).split([9, 5])
    texts = [one.tolist(), two.tolist()]
    rows = PlainRows(model)
    rows.admit(texts, 64)
    rows.advance([7, 8])
    rows.retire([0])
    found = rows.advance([9])[0]
    return float((found.log_softmax(0) - alone(model, [*texts[1], 8, 9]).log_softmax(0)).abs().mean())


def alone(model: Any, tokens: list[int]) -> Any:
    """Logits after the last of these tokens, read by themselves: ``float32[vocabulary]``."""
    import torch

    return model(input_ids=torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1].float()
