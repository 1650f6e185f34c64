"""Log-probabilities of token sequences under a causal language model, and the windows that a long text is scored in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from harness.models.devices import halving, pack, padded
from harness.models.prompts import Unanswerable

TokenPair: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Context ids (at least one) and the ids that are scored after it (at least one)."""

_SLICE = 256
"""Positions whose logits are held in float32 at a time."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Summed natural log-probability of a continuation, and whether each of its tokens was the likeliest one."""

    logprob: float
    is_greedy: bool


def score_sequences(model: Any, pairs: Sequence[TokenPair], batch_tokens: int) -> list[Scored | None]:
    """Score every continuation after its context; None where a sequence alone does not fit into memory.

    Batches are formed by length under ``batch_tokens`` padded tokens; results do not depend on them beyond float32 noise.
    """
    widths = [len(context) + len(continuation) - 1 for context, continuation in pairs]
    results: list[Scored | None] = [None] * len(pairs)
    for batch in pack(widths, [1] * len(pairs), batch_tokens):
        for index, scored in zip(batch, halving([pairs[i] for i in batch], partial(_score_batch, model))):
            results[index] = scored
    return results


def fit(pair: TokenPair, max_length: int) -> tuple[TokenPair, bool]:
    """The pair cut to what the model can read, from the left of the context, and whether anything was cut.

    Raises Unanswerable for a continuation that is longer than the model's context by itself.
    """
    context, continuation = pair
    if len(continuation) > max_length:
        raise Unanswerable(f"a continuation of {len(continuation)} tokens is longer than the model's context of {max_length}")
    # The last token is only predicted, never read: a sequence may be one token longer than the context.
    room = max_length + 1 - len(continuation)
    return (context[-room:], continuation), len(context) > room


def rolling_windows(tokens: Sequence[int], prefix_token: int, max_length: int) -> list[TokenPair]:
    """Windows that score every token of a text once, as lm-evaluation-harness rolls them with a context of one token.

    The first window is read after ``prefix_token`` (bos, or eos in models without one); each later one after the token before
    it; the last one, which may be short, after as much of the text before it as the model can read.
    """
    windows: list[TokenPair] = [([prefix_token], tokens[:max_length])] if tokens else []
    for start in range(max_length, len(tokens), max_length):
        end = min(start + max_length, len(tokens))
        windows.append((tokens[end - max_length - 1 : start], tokens[start:end]))
    return windows


def _score_batch(model: Any, pairs: Sequence[TokenPair]) -> list[Scored]:
    import torch

    # Padding stands on the right, where causal attention never looks back at it and positions need no care.
    ids, mask = padded([[*context, *continuation][:-1] for context, continuation in pairs], "right", model.device)
    lengths = [len(continuation) for _, continuation in pairs]
    rows = torch.repeat_interleave(torch.arange(len(pairs)), torch.tensor(lengths))
    # The token at place i is predicted by the state before it.
    starts = [len(context) - 1 for context, _ in pairs]
    columns = torch.cat([torch.arange(start, start + length) for start, length in zip(starts, lengths)])
    targets = torch.tensor([token for _, continuation in pairs for token in continuation], device=model.device)
    with torch.inference_mode(), logits_at(model, rows, columns):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0]
        logprobs, greedy = _gather(logits, targets)
    return [Scored(float(part.sum(dtype=torch.float64)), bool(best.all()))
            for part, best in zip(logprobs.split(lengths), greedy.split(lengths))]


@contextmanager
def logits_at(model: Any, rows: Any, columns: Any) -> Iterator[None]:
    """Within, the model's logits are ``[1, n, vocabulary]``: those at ``(rows[i], columns[i])`` alone.

    The states are picked on their way into the output layer, so that neither its product nor its result is ever made for
    positions that nobody asked for, while all that a model does after it (caps, scales) still happens.
    """

    def pick(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][rows, columns].unsqueeze(0), *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def _gather(logits: Any, targets: Any) -> tuple[Any, Any]:
    """Log-probability of each target and whether it was the likeliest, on the CPU; in slices, to bound float32 copies."""
    import torch

    logprobs, greedy = [], []
    for part, wanted in zip(logits.split(_SLICE), targets.split(_SLICE)):
        values = part.float()
        chosen = values.gather(1, wanted[:, None])[:, 0]
        logprobs.append((chosen - values.logsumexp(1)).cpu())
        greedy.append((values.argmax(1) == wanted).cpu())
    return torch.cat(logprobs), torch.cat(greedy)
