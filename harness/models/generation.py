"""Writes text with a causal language model: one decoding loop for rows of different prompts, settings and seeds."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.models.devices import padded
from harness.models.scoring import logits_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.types import Call, Decoding


@dataclass(frozen=True, slots=True)
class Task:
    """One text to write: the prompt's token ids, how to sample, and the seed of this row's own random numbers."""

    prompt: Sequence[int]
    decoding: Decoding
    seed: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. ``n_tokens`` counts every token drawn, the end token and those behind a stop string's cut too."""

    text: str
    n_tokens: int
    finish_reason: Literal["stop", "length"]
    first_token_s: float


def row_seed(call: Call) -> int:
    """A seed that belongs to the call and not to its place in a batch."""
    key = call.key
    name = json.dumps([call.seed, key.sample_id, key.repeat, key.arm, key.step])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1


def write(model: Any, tokenizer: Any, tasks: Sequence[Task], ends: frozenset[int]) -> list[Written]:
    """Write after each prompt until an end token, a stop string (cut off exactly) or ``max_tokens``.

    Finished rows leave the batch. Each row draws from its own generator, so that what is sampled for it does not depend on
    the rows beside it.
    """
    import torch

    started = time.perf_counter()
    rows = [_Row(task) for task in tasks]
    with torch.inference_mode():
        live = list(rows)
        step = _Step(model, [row.task.prompt for row in rows])
        while live:
            tokens = _draw(step.logits, live)
            for row, token in zip(live, tokens):
                row.take(token, ends, tokenizer, started)
            kept = [index for index, row in enumerate(live) if row.finish_reason is None]
            live = [live[index] for index in kept]
            if live:
                step.advance([tokens[index] for index in kept], kept)
    return [row.written() for row in rows]


@dataclass(slots=True)
class _Row:
    """The state of one text that is being written."""

    task: Task
    tokens: list[int] = field(default_factory=list)
    drawn: int = 0
    text: str = ""
    finish_reason: Literal["stop", "length"] | None = None
    first_token_s: float = 0.0
    generator: Any = None

    def uniform(self) -> float:
        """The row's next number in [0, 1)."""
        import torch

        if self.generator is None:
            self.generator = torch.Generator().manual_seed(self.task.seed)
        return float(torch.rand(1, generator=self.generator, dtype=torch.float64).item())

    def take(self, token: int, ends: frozenset[int], tokenizer: Any, started: float) -> None:
        """Append a token and see whether it ends the text."""
        if not self.drawn:
            self.first_token_s = time.perf_counter() - started
        self.drawn += 1
        decoding = self.task.decoding
        is_end = token in ends
        if not is_end:
            self.tokens.append(token)
        is_full = self.drawn >= decoding.max_tokens
        if decoding.stop or is_end or is_full:
            self.text = tokenizer.decode(self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        cut = min((at for at in map(self.text.find, decoding.stop) if at >= 0), default=None)
        if cut is not None:
            self.text = self.text[:cut]
        if is_end or cut is not None:
            self.finish_reason = "stop"
        elif is_full:
            self.finish_reason = "length"

    def written(self) -> Written:
        return Written(self.text, self.drawn, self.finish_reason or "length", self.first_token_s)


class _Step:
    """The model's side of the loop: key-value cache, mask and positions of the rows that are still being written."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self.model = model
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        ids, self.mask = padded(prompts, "left", model.device)
        self.cache: Any = None
        self.logits = self._forward(ids)

    def advance(self, tokens: list[int], kept: list[int]) -> None:
        """Go on with the rows ``kept`` (indices into those of the last step), each with its new token."""
        import torch

        if len(kept) < len(self.mask):
            index = torch.tensor(kept, device=self.mask.device)
            self.cache.batch_select_indices(index)
            self.mask = self.mask[index]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(kept), 1)], dim=1)
        self.logits = self._forward(torch.tensor(tokens, device=self.mask.device)[:, None])

    def _forward(self, ids: Any) -> Any:
        """Logits after the last token, ``float32[rows, vocabulary]``."""
        import torch

        options: dict[str, Any] = {}
        if self.takes_positions:
            options["position_ids"] = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        last = torch.full((len(ids),), ids.shape[1] - 1)
        with logits_at(self.model, torch.arange(len(ids)), last):
            out = self.model(input_ids=ids, attention_mask=self.mask, past_key_values=self.cache, use_cache=True, **options)
        self.cache = out.past_key_values
        return out.logits[0].float()


def _draw(logits: Any, rows: Sequence[_Row]) -> list[int]:
    """The next token of each row: the likeliest at temperature 0, else one drawn by the row's own random number."""
    tokens: list[int] = logits.argmax(1).tolist()
    for index, row in enumerate(rows):
        if row.task.decoding.temperature > 0:
            tokens[index] = _sample(logits[index], row.task.decoding, row.uniform())
    return tokens


def _sample(logits: Any, decoding: Decoding, uniform: float) -> int:
    """Draw by inverting the cumulative distribution of the tokens in order of probability, cut by top_k and then top_p."""
    import torch

    values, order = (logits.double() / decoding.temperature).sort(descending=True, stable=True)
    if decoding.top_k is not None:
        values = values[: decoding.top_k]
    cumulative = values.softmax(0).cumsum(0)
    if decoding.top_p < 1:
        # The smallest set that reaches top_p: a token stays if those before it do not reach it yet.
        size = 1 + int((cumulative < decoding.top_p).sum())
        cumulative = cumulative[:size]
    place = int(torch.searchsorted(cumulative, uniform * float(cumulative[-1]), right=True))
    return int(order[min(place, len(cumulative) - 1)])
