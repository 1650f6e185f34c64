"""Log-probabilities of token sequences under a causal language model, and the windows that a long text is scored in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from harness.models.devices import halving, pack, padded
from harness.models.heads import logits_at
from harness.models.packing import Row, model_inputs
from harness.models.prefixes import PrefixCache
from harness.models.sharing import TokenPair as TokenPair
from harness.models.sharing import arrange, read, width

_CPU_CELLS, _ACCELERATOR_CELLS = 2**19, 2**24
"""Logits that are gone through in float32 at a time: on a CPU so few that they stay in its cache."""

_DECIMALS = 6
"""Of the log-probabilities of single tokens."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Summed natural log-probability of a continuation, and whether each of its tokens was the likeliest one.

    ``token_logprobs`` and ``token_entropies`` (nats) of each of its tokens, where they were asked for.
    """

    logprob: float
    is_greedy: bool
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()


class SequenceScorer:
    """Scores continuations with an open model.

    Results depend neither on what is scored beside them nor on ``budget`` (padded tokens that are read at a time) beyond
    float noise. ``prefixes`` keeps the states of the last stem; None for a model that cannot go on from them.
    """

    def __init__(self, model: Any, budget: int, prefixes: PrefixCache | None) -> None:
        self.model, self.budget, self.prefixes = model, budget, prefixes

    def score(self, pairs: Sequence[TokenPair], rows: Sequence[Sequence[int]], stem: int = 0, *, by_token: bool = False
              ) -> dict[int, Scored | None]:
        """Score every continuation of some rows after its context; None where a sequence alone does not fit into memory.

        ``rows[i]``: the places in ``pairs`` of those that are in row i, which are the keys of what comes back. ``stem``: how
        many tokens all of them begin with that are read first. With ``by_token`` results list every token.
        """
        jobs = [_Job([pairs[number] for number in row], stem) for row in rows]
        results: dict[int, Scored | None] = {}
        # Rows of one sequence stay apart from the others: they need no 4-D mask, which would hide a model's attention window.
        for is_plain in (False, True):
            kind = [index for index, job in enumerate(jobs) if job.is_plain == is_plain]
            for batch in pack([width(len(jobs[i].row), stem) for i in kind], [1] * len(kind), self.budget):
                members = [kind[place] for place in batch]
                for index, scored in zip(members, halving([jobs[i] for i in members], partial(self._pass, by_token))):
                    if scored is not None:
                        results |= zip(rows[index], scored)
                    else:
                        results |= self._apart(pairs, rows[index], jobs[index], by_token)
        return results

    def _apart(self, pairs: Sequence[TokenPair], row: Sequence[int], job: _Job, by_token: bool) -> dict[int, Scored | None]:
        """A row that was too much for memory: once more with a row a pair and nothing kept, which is less at a time."""
        if job.is_plain:
            return dict.fromkeys(row)
        if self.prefixes is not None:
            self.prefixes.clear()
        return self.score(pairs, [[number] for number in row], by_token=by_token)

    def _pass(self, by_token: bool, jobs: Sequence[_Job]) -> list[list[Scored]]:
        import torch

        # The token at place i is predicted by the state before it; several may be predicted by one.
        cells: dict[tuple[int, int], int] = {}
        asked = [[cells.setdefault((index, place), len(cells)) for place in places]
                 for index, job in enumerate(jobs) for places in job.scored()]
        device = self.model.device
        states = torch.tensor([cell for sequence in asked for cell in sequence], device=device)
        wanted = [token for job in jobs for _, continuation in job.pairs for token in continuation]
        rows, columns = torch.tensor(list(cells)).T
        with torch.inference_mode():
            inputs = self._inputs(jobs)
            with logits_at(self.model, rows, columns):
                logits = self.model(**inputs).logits[0]
            logprobs, greedy = _gather(logits, states, torch.tensor(wanted, device=device))
            entropies = _entropies(logits)[states.cpu()] if by_token else logprobs
        lengths = [len(sequence) for sequence in asked]
        parts = zip(logprobs.split(lengths), greedy.split(lengths), entropies.split(lengths))
        scored = iter([Scored(float(part.sum(dtype=torch.float64)), bool(best.all()),
                              _listed(part) if by_token else (), _listed(entropy) if by_token else ())
                       for part, best, entropy in parts])
        return [list(islice(scored, len(job.pairs))) for job in jobs]

    def _inputs(self, jobs: Sequence[_Job]) -> dict[str, Any]:
        model, rows, stem = self.model, [job.row for job in jobs], jobs[0].stem
        if stem:
            assert self.prefixes is not None
            begun = self.prefixes.states(read(jobs[0].pairs[0])[:stem], len(rows))
            return {**model_inputs(rows, model.dtype, model.device, stem), "past_key_values": begun, "use_cache": True}
        if not jobs[0].is_plain:
            return {**model_inputs(rows, model.dtype, model.device), "use_cache": False}
        # Padding stands on the right, where causal attention never looks back at it and positions need no care.
        ids, mask = padded([row.tokens for row in rows], "right", model.device)
        return {"input_ids": ids, "attention_mask": mask, "use_cache": False}


def score_sequences(model: Any, pairs: Sequence[TokenPair], budget: int, widest: int, *, stems: bool = False,
                    by_token: bool = False) -> list[Scored | None]:
    """Scores of pairs, each a request of its own: see ``arrange`` and ``SequenceScorer.score``."""
    scorer = SequenceScorer(model, budget, PrefixCache(model) if stems else None)
    scores: list[Scored | None] = [None] * len(pairs)
    for batch in arrange([[pair] for pair in pairs], budget, widest, stems=stems):
        members = batch.groups
        for place, scored in scorer.score([pairs[i] for i in members], batch.rows, batch.stem, by_token=by_token).items():
            scores[members[place]] = scored
    return scores


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


class _Job:
    """A row and the pairs that it holds, in their order; each read from behind the stem on."""

    def __init__(self, pairs: Sequence[TokenPair], stem: int) -> None:
        self.pairs, self.stem = pairs, stem
        self.row = Row()
        for number, pair in enumerate(pairs):
            self.row.add(read(pair)[stem:], number)

    @property
    def is_plain(self) -> bool:
        """Whether it is read like any text, from its beginning on and without branches."""
        return len(self.pairs) == 1 and not self.stem

    def scored(self) -> list[list[int]]:
        """The places in the row after which a token of each pair's continuation stands."""
        return [places[len(context) - 1 - self.stem :] for (context, _), places in zip(self.pairs, self.row.places)]


def _gather(logits: Any, states: Any, targets: Any) -> tuple[Any, Any]:
    """Log-probability of ``targets[i]`` under ``logits[states[i]]`` and whether it was the likeliest token, on the CPU."""
    import torch

    n = _slice_rows(logits)
    highest = torch.cat([part.amax(1) for part in logits.split(n)])
    sums = torch.cat([(part.float() - top.float()[:, None]).exp_().sum(1)
                      for part, top in zip(logits.split(n), highest.split(n))])
    chosen = logits[states, targets]
    greedy = chosen == highest[states]
    # Several may be highest, of which the first is the likeliest; to look for that everywhere takes longer than all else.
    found = torch.full_like(highest, -1, dtype=torch.long)
    for rows in states[greedy].unique().split(n):
        found[rows] = logits[rows].argmax(1)
    greedy &= found[states] == targets
    return (chosen.float() - highest[states].float() - sums.log()[states]).cpu(), greedy.cpu()


def _entropies(logits: Any) -> Any:
    """The entropy in nats of the distribution of each row of logits, on the CPU."""
    import torch

    found = []
    for part in logits.split(_slice_rows(logits)):
        logprobs = part.float().log_softmax(1)
        # A token that cannot come has p ln p = 0, not 0 times minus infinity.
        found.append(-(logprobs.exp() * logprobs.clamp(min=torch.finfo(torch.float32).min)).sum(1))
    return torch.cat(found).clamp(min=0).cpu()


def _slice_rows(logits: Any) -> int:
    cells = _CPU_CELLS if logits.device.type == "cpu" else _ACCELERATOR_CELLS
    return max(1, cells // int(logits.shape[1]))


def _listed(values: Any) -> tuple[float, ...]:
    """As many decimals as float32 is good for: more would only swell the journal."""
    return tuple(round(value, _DECIMALS) for value in values.tolist())
