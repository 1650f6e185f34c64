"""What is tried of a model at loading: that it is causal; whether it may share rows, and states that were computed before."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.errors import BackendError
from harness.models.packing import shortest_window
from harness.models.prefixes import PrefixCache
from harness.models.scoring import Scored, SequenceScorer
from harness.models.sharing import TokenPair

_STEM = 4
_CONTEXTS = (2, 5)
_CONTINUATIONS = (8, 8)
"""Tokens of what all sequences of the trial begin with, of the contexts after it and of the continuations after each: in rows
of unequal length."""

_WIDEST = 8192
"""Longer rows are not shared: their masks, of the square of the length, would take gigabytes."""

_TOLERANCE = 1e-3
_NOISE = 2.0
_LOUDEST = 1.0
"""What scores may differ by; in half precision also this many times what two plain batchings of the same sequences differ by,
which is the noise that every score has anyway, but never more than the last."""

_AHEAD, _AHEAD_IN_HALF = 1e-3, 0.05
"""How much of what the changed tokens' own logits move by those before them may move by: float noise, or what routing makes
of it; of models that look ahead it was half and more where their weights are not next to zero."""

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError, NotImplementedError)
"""What models raise that know nothing of 4-D masks, positions or states from outside."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a model may share.

    ``widest_row``: the most tokens of a row of several sequences, 0 where each must have a row of its own. ``stems``: whether
    it goes on from states that were computed before. ``difference``: the most that a log-probability of the trial moved when
    that was shared, or, where nothing may be, when rows were; None where it could not be tried. ``why_not``: what speaks
    against more; None where all may be shared.
    """

    widest_row: int
    stems: bool
    difference: float | None = field(default=None, compare=False)
    why_not: str | None = field(default=None, compare=False)


def sharing(model: Any, max_length: int, say: Callable[[str], None]) -> Sharing:
    """Try the model; ``say`` is told what it may not share, and why.

    The scores of a few short sequences must be those of plain batches within 1e-3, or in half precision within twice what two
    plain batchings differ by (at most 1), so that sharing is allowed where it is no noisier than batching. Models with a
    window of attention share rows no longer than that, and no stems.
    """
    window = shortest_window(model.config)
    widest = min(max_length, _WIDEST, window or max_length)
    trial = _Trial(model)
    no_stems = "its attention has a window" if window is not None else trial.objection(widest, _STEM)
    if no_stems is None:
        return Sharing(widest, stems=True, difference=trial.difference)
    # Rows after a stem show that rows without one are right; where they are wrong, the fault may be the stem's.
    no_rows = trial.objection(widest, 0)
    if no_rows is not None:
        say(f"each continuation is scored in a row of its own, without sharing its prompt's tokens: {no_rows}")
        return Sharing(0, stems=False, difference=trial.difference, why_not=no_rows)
    say(f"what all prompts begin with is read once a row, not once for all: {no_stems}")
    return Sharing(widest, stems=False, difference=trial.difference, why_not=no_stems)


def check_causal(model: Any, max_length: int) -> None:
    """Raises BackendError for a model whose tokens see those behind them: what it is scored by would be known to it."""
    import torch

    half = min(_STEM, max_length // 2)
    if not half:
        return
    rng = np.random.default_rng(1)
    rows = rng.integers(model.config.get_text_config().vocab_size, size=(2, 2 * half))
    rows[1, :half] = rows[0, :half]
    ids = torch.tensor(rows, device=model.device)
    try:
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits.float()
        moved = (logits[0] - logits[1]).abs().amax(-1).tolist()
    except _REFUSALS:
        return  # it will be told with the first request
    limit = _AHEAD if model.dtype == torch.float32 else _AHEAD_IN_HALF
    if max(moved[:half]) > limit * max(moved[half:]):
        raise BackendError(f"transformers backend: {type(model).__name__} is no causal language model: with other tokens after "
                           f"them, what it says after the first {half} of a probe changed (logits by {max(moved[:half]):.2g}); "
                           "a model that looks ahead can neither score nor write text from left to right")


class _Trial:
    """A few random sequences, whose scores in plain batches are what those of any other way are held against."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.pairs = _probe(model.config.get_text_config().vocab_size)
        # Rows of one context each; what is common to all of them is then in each row, or a stem.
        n = len(_CONTINUATIONS)
        self.rows = [range(first, first + n) for first in range(0, len(self.pairs), n)]
        self._plain: Any = None
        self.difference: float | None = None
        """The most that a score of the last way that was tried differed by."""

    def objection(self, widest: int, stem: int) -> str | None:
        """Why this model must not be given rows of several sequences after a stem of so many tokens; None if it may."""
        self.difference = None
        if "position_ids" not in inspect.signature(self.model.forward).parameters:
            return "it takes no positions"
        if widest < _STEM + max(_CONTEXTS) + sum(_CONTINUATIONS):
            return f"it looks back over {widest} tokens only"
        try:
            plain, shared = self._plain_scores(), self._scores(self.rows, stem)
        except _REFUSALS as error:
            what = "states that were computed before" if stem else "a 4-D attention mask"
            return f"it refuses {what} ({type(error).__name__}: {error})"
        tolerance = self._tolerance()
        self.difference = float(np.abs(shared - plain).max())
        # Written so that NaN objects.
        if self.difference <= tolerance:
            return None
        return f"on a probe its scores differed by {self.difference:.2g}, more than {tolerance:.2g}"

    def _tolerance(self) -> float:
        """What scores may differ by."""
        import torch

        if self.model.dtype == torch.float32:
            return _TOLERANCE
        alone = np.concatenate([self._scores([[number]]) for number in range(len(self.pairs))])
        return float(min(max(_TOLERANCE, _NOISE * np.abs(alone - self._plain_scores()).max()), _LOUDEST))

    def _plain_scores(self) -> Any:
        """Of all sequences in one plain batch."""
        if self._plain is None:
            self._plain = self._scores([[number] for number in range(len(self.pairs))])
        return self._plain

    def _scores(self, rows: Sequence[Sequence[int]], stem: int = 0) -> Any:
        """``float64[n]`` in the order of the rows; NaN where there was no memory."""
        scored = SequenceScorer(self.model, 10**6, PrefixCache(self.model)).score(self.pairs, rows, stem)
        return np.array([_logprob(scored[number]) for row in rows for number in row])


def _logprob(one: Scored | None) -> float:
    return np.nan if one is None else one.logprob


def _probe(vocabulary: int) -> list[TokenPair]:
    """Contexts that begin alike, each with continuations of unequal length, of tokens drawn from the whole vocabulary."""
    rng = np.random.default_rng(0)
    stem = rng.integers(vocabulary, size=_STEM).tolist()
    contexts = [[*stem, *rng.integers(vocabulary, size=length).tolist()] for length in _CONTEXTS]
    return [(context, rng.integers(vocabulary, size=length).tolist()) for context in contexts for length in _CONTINUATIONS]
