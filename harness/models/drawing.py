"""The next token of each row: the likeliest or one drawn at random, among those that its constraint allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from harness.models.constraints import Constraint
from harness.types import Decoding

_DECIMALS = 6
"""Of log-probabilities and entropies: as many as float32 is good for."""

_LIKELIEST = 1024
"""Tokens that are sorted to find those of ``top_p``, before all of them are."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token; where they are asked for, its natural log-probability and the entropy in nats, of the model's own distribution:
    before temperature, top_k, top_p and constraint. ``is_sound``: whether the logits that it was drawn by are numbers."""

    token: int
    logprob: float | None = None
    entropy: float | None = None
    is_sound: bool = True


class Drawer(Protocol):
    """What of a row decides which token it gets."""

    @property
    def decoding(self) -> Decoding: ...

    @property
    def constraint(self) -> Constraint | None: ...

    def uniform(self) -> float:
        """The row's next random number in [0, 1)."""
        ...


def draw(logits: Any, rows: Sequence[Drawer]) -> list[Drawn]:
    """The next token of each row from ``logits[rows, vocabulary]``: the likeliest, or by the row's number at a temperature."""
    allowed = _constrained(logits, rows)
    likeliest = allowed.argmax(1, keepdim=True)
    # NaN counts as the highest. The free logits, since a constraint that allows nothing makes all of a row's infinite.
    sound: list[bool] = logits.gather(1, likeliest).isfinite()[:, 0].tolist()
    tokens: list[int] = likeliest[:, 0].tolist()
    for index, row in enumerate(rows):
        if row.decoding.temperature > 0:
            tokens[index] = sample(allowed[index], row.decoding, row.uniform())
    listed = [index for index, row in enumerate(rows) if row.decoding.logprobs]
    drawn = [Drawn(token, is_sound=is_sound) for token, is_sound in zip(tokens, sound)]
    if listed:
        for index, (logprob, entropy) in zip(listed, _facts(logits[listed], [tokens[index] for index in listed])):
            drawn[index] = replace(drawn[index], logprob=logprob, entropy=entropy)
    return drawn


def sample(logits: Any, decoding: Decoding, uniform: float) -> int:
    """Draw by inverting the cumulative distribution of the tokens that top_k and then top_p leave.

    Tokens stand in the order of the vocabulary, so that float noise in the logits moves the steps by as little and swaps none.
    """
    import torch

    # Double precision, which some accelerators do not have.
    probabilities = (logits.cpu().double() / decoding.temperature).softmax(0)
    if decoding.top_k is not None and decoding.top_k < len(probabilities):
        probabilities = _only(probabilities, probabilities.topk(decoding.top_k).indices)
    if decoding.top_p < 1:
        probabilities = _only(probabilities, _nucleus(probabilities, decoding.top_p))
    cumulative = probabilities.cumsum(0)
    place = int(torch.searchsorted(cumulative, uniform * float(cumulative[-1]), right=True))
    return place if place < len(cumulative) else int(probabilities.argmax())


def _nucleus(probabilities: Any, top_p: float) -> Any:
    """The smallest set of likeliest tokens that reaches ``top_p`` of what there is."""
    wanted = top_p * float(probabilities.sum())
    for size in (min(_LIKELIEST, len(probabilities)), len(probabilities)):
        values, indices = probabilities.topk(size)
        # A token stays if those before it do not reach it yet.
        n = 1 + int((values.cumsum(0) < wanted).sum())
        if n <= size:
            break
    return indices[:n]


def _only(probabilities: Any, indices: Any) -> Any:
    kept = probabilities.new_zeros(len(probabilities))
    kept[indices] = probabilities[indices]
    return kept


def _constrained(logits: Any, rows: Sequence[Drawer]) -> Any:
    """The logits, minus infinity where a row's constraint forbids a token."""
    import torch

    held = [(index, row.constraint) for index, row in enumerate(rows) if row.constraint is not None]
    if not held:
        return logits
    logits = logits.clone()
    for index, constraint in held:
        allowed = torch.from_numpy(constraint.allowed(logits.shape[1])).to(logits.device)
        logits[index].masked_fill_(~allowed, -torch.inf)
    return logits


def _facts(logits: Any, tokens: Sequence[int]) -> list[tuple[float, float]]:
    """Log-probability of each row's token and entropy of the row's distribution."""
    import torch

    logprobs = logits.float().log_softmax(1)
    chosen = logprobs.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    # A token that cannot come has p ln p = 0, not 0 times minus infinity.
    entropies = -(logprobs.exp() * logprobs.clamp(min=torch.finfo(torch.float32).min)).sum(1)
    return [(round(a, _DECIMALS), round(b, _DECIMALS)) for a, b in zip(chosen.tolist(), entropies.clamp(min=0).tolist())]
