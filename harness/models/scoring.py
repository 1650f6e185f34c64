"""Log-probabilities of token sequences under a causal language model, and the windows that a long text is scored in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from harness.models.devices import halving, pack, padded
from harness.models.packing import Row, model_inputs, rows_of, shortest_window
from harness.models.prompts import Unanswerable

TokenPair: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Context ids (at least one) and the ids that are scored after it (at least one)."""

_SLICE = 256
"""Positions whose logits are held in float32 at a time."""

_DECIMALS = 6
"""Of the log-probabilities of single tokens."""

_PROBE = ((5, 9, 14), (1, 2, 4))
"""Tokens of the contexts and of the continuations after each that a model is tried with: in two rows of unequal length, since
no row is given more than the sum."""

_WIDEST = 8192
"""Longer rows are not shared: their masks, of the square of the length, would take gigabytes."""

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)
"""What models raise that know nothing of 4-D masks or positions."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Summed natural log-probability of a continuation, and whether each of its tokens was the likeliest one.

    ``token_logprobs`` and ``token_entropies`` (nats) of each of its tokens, where they were asked for.
    """

    logprob: float
    is_greedy: bool
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()


def score_sequences(
    model: Any, pairs: Sequence[TokenPair], budget: int, widest: int, *, by_token: bool = False
) -> list[Scored | None]:
    """Score every continuation after its context; None where a sequence alone does not fit into memory.

    Neighbours that begin alike share rows of at most ``widest`` tokens (0: a row each), which hold and compute common tokens
    once. Batches are formed by length under ``budget`` padded tokens. Results depend on neither beyond float32 noise. With
    ``by_token`` they list every token.
    """
    jobs = _jobs(pairs, budget, widest)
    results: list[Sequence[Scored | None]] = [()] * len(jobs)
    # Rows of one sequence stay apart from the others: they need no 4-D mask, which would hide a model's attention window.
    for shared in (True, False):
        kind = [index for index, job in enumerate(jobs) if (len(job.pairs) > 1) == shared]
        for batch in pack([len(jobs[index].row) for index in kind], [1] * len(kind), budget):
            members = [kind[place] for place in batch]
            chosen = [jobs[index] for index in members]
            for index, scored in zip(members, halving(chosen, partial(_score_batch, model, by_token))):
                results[index] = scored if scored is not None else _apart(model, jobs[index], budget, by_token)
    return [one for result in results for one in result]


def layout(pairs: Sequence[TokenPair], budget: int, widest: int) -> tuple[int, int]:
    """The widest row that ``score_sequences`` makes of these pairs, in tokens, and the number of its rows."""
    rows = rows_of([_read(pair) for pair in pairs], budget, widest)
    return max(map(len, rows), default=0), len(rows)


def widest_row(model: Any, max_length: int, say: Callable[[str], None]) -> int:
    """How many tokens a row of several sequences may have in this model; 0 where each sequence must have its own.

    The model is tried: scores of a few short sequences in shared rows must be within 1e-4 of those in rows of their own (1e-3
    in half precision). ``say`` is told why where they are not.
    """
    window = min(max_length, _WIDEST, shortest_window(model.config) or max_length)
    objection = _objection(model, window)
    if objection is not None:
        say(f"each continuation is scored in a row of its own, without sharing its prompt's tokens: {objection}")
        return 0
    return window


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


def rolling_windows(
    tokens: Sequence[int], prefix_token: int | None, max_length: int, stride: int | None = None
) -> list[TokenPair]:
    """Windows that score every token of a text once; a window reads at most ``max_length`` tokens.

    The first window is read after ``prefix_token`` (bos, or eos in models without one); where that is None, the first token is
    only read and not scored. The last token of a window is only predicted, never read.

    Without ``stride``, as lm-evaluation-harness rolls with a context of one token: each window is read after the last token of
    the one before, and the last window, which may score few, after as much of the text as the model can read. With ``stride``,
    from 1 to ``max_length``, as the recipe of the transformers documentation does with its ``max_length`` at one more: each
    window begins ``stride`` tokens after the one before and scores what that did not.
    """
    read = tokens if prefix_token is None else [prefix_token, *tokens]
    windows: list[TokenPair] = []
    begin, scored = 0, min(1, len(read))
    while scored < len(read):
        end = min((scored if stride is None else begin + 1) + max_length, len(read))
        windows.append((read[max(0, end - max_length - 1) if stride is None else begin : scored], read[scored:end]))
        begin, scored = begin + (stride or 0), end
    return windows


@dataclass(frozen=True, slots=True)
class _Job:
    """A row and the pairs that it holds, in their order."""

    row: Row
    pairs: Sequence[TokenPair]


def _jobs(pairs: Sequence[TokenPair], budget: int, widest: int) -> list[_Job]:
    rest = iter(pairs)
    return [_Job(row, list(islice(rest, len(row.places)))) for row in rows_of([_read(pair) for pair in pairs], budget, widest)]


def _read(pair: TokenPair) -> list[int]:
    """What the model reads of a pair: the last token is only predicted."""
    return [*pair[0], *pair[1]][:-1]


def _apart(model: Any, job: _Job, budget: int, by_token: bool) -> Sequence[Scored | None]:
    """A job that was too much for memory: once more with a row a pair, which is less at a time."""
    return score_sequences(model, job.pairs, budget, 0, by_token=by_token) if len(job.pairs) > 1 else [None]


def _score_batch(model: Any, by_token: bool, jobs: Sequence[_Job]) -> list[list[Scored]]:
    import torch

    # The token at place i is predicted by the state before it; several may be predicted by one.
    cells: dict[tuple[int, int], int] = {}
    asked = [[cells.setdefault((index, place), len(cells)) for place in places[len(context) - 1 :]]
             for index, job in enumerate(jobs) for (context, _), places in zip(job.pairs, job.row.places)]
    states = torch.tensor([cell for sequence in asked for cell in sequence], device=model.device)
    wanted = [token for job in jobs for _, continuation in job.pairs for token in continuation]
    targets = torch.tensor(wanted, device=model.device)
    rows, columns = torch.tensor(list(cells)).T
    with torch.inference_mode(), logits_at(model, rows, columns):
        logits = model(**_inputs(model, [job.row for job in jobs]), use_cache=False).logits[0]
        logprobs, greedy = _gather(logits, states, targets)
        entropies = _entropies(logits)[states.cpu()] if by_token else logprobs
    lengths = [len(sequence) for sequence in asked]
    parts = zip(logprobs.split(lengths), greedy.split(lengths), entropies.split(lengths))
    scored = iter([Scored(float(part.sum(dtype=torch.float64)), bool(best.all()),
                          _listed(part) if by_token else (), _listed(entropy) if by_token else ())
                   for part, best, entropy in parts])
    return [list(islice(scored, len(job.pairs))) for job in jobs]


def _inputs(model: Any, rows: Sequence[Row]) -> dict[str, Any]:
    if any(len(row.places) > 1 for row in rows):
        return model_inputs(rows, model.dtype, model.device)
    # Padding stands on the right, where causal attention never looks back at it and positions need no care.
    ids, mask = padded([row.tokens for row in rows], "right", model.device)
    return {"input_ids": ids, "attention_mask": mask}


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


def _gather(logits: Any, states: Any, targets: Any) -> tuple[Any, Any]:
    """Log-probability of ``targets[i]`` under ``logits[states[i]]`` and whether it was the likeliest token, on the CPU.

    The logits are gone through in slices, to bound float32 copies.
    """
    import torch

    parts = logits.split(_SLICE)
    normalisers = torch.cat([part.float().logsumexp(1) for part in parts])
    likeliest = torch.cat([part.argmax(1) for part in parts])
    return (logits[states, targets].float() - normalisers[states]).cpu(), (likeliest[states] == targets).cpu()


def _entropies(logits: Any) -> Any:
    """The entropy in nats of the distribution of each row of logits, on the CPU."""
    import torch

    found = []
    for part in logits.split(_SLICE):
        logprobs = part.float().log_softmax(1)
        # A token that cannot come has p ln p = 0, not 0 times minus infinity.
        found.append(-(logprobs.exp() * logprobs.clamp(min=torch.finfo(torch.float32).min)).sum(1))
    return torch.cat(found).clamp(min=0).cpu()


def _listed(values: Any) -> tuple[float, ...]:
    """As many decimals as float32 is good for: more would only swell the journal."""
    return tuple(round(value, _DECIMALS) for value in values.tolist())


# ── whether a model can share rows ──


def _objection(model: Any, window: int) -> str | None:
    """Why this model must not be given rows of several sequences; None if it may."""
    import torch

    if "position_ids" not in inspect.signature(model.forward).parameters:
        return "it takes no positions"
    pairs = _probe(model.config.get_text_config().vocab_size)
    widest = sum(_PROBE[0]) + sum(_PROBE[1])
    if window < widest:
        return f"it looks back over {window} tokens only"
    try:
        apart, together = (_logprobs(score_sequences(model, pairs, len(pairs) * widest, limit)) for limit in (0, widest))
    except _REFUSALS as error:
        return f"it refuses a 4-D attention mask ({type(error).__name__}: {error})"
    tolerance = 1e-4 if model.dtype == torch.float32 else 1e-3
    difference = float(np.abs(together - apart).max())
    # Written so that NaN objects.
    return None if difference <= tolerance else f"on a probe its scores differed by {difference:.2g}, more than {tolerance:g}"


def _probe(vocabulary: int) -> list[TokenPair]:
    """Contexts, each with continuations of unequal length, of tokens drawn from the whole vocabulary."""
    rng = np.random.default_rng(0)
    contexts = [rng.integers(vocabulary, size=length).tolist() for length in _PROBE[0]]
    return [(context, rng.integers(vocabulary, size=length).tolist()) for context in contexts for length in _PROBE[1]]


def _logprobs(results: Sequence[Scored | None]) -> Any:
    """``float64[n]``; NaN where there was no memory."""
    return np.array([np.nan if one is None else one.logprob for one in results])
