"""Writes text with a causal language model: one decoding loop for rows of different prompts, settings and seeds."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from harness.models.constraints import Constraint
from harness.models.drawing import Drawn, draw
from harness.types import Call, Decoding

_SPARE = 8
"""Tokens beyond a stop string's bytes that are looked through for it: some may bring no text at all."""


@dataclass(frozen=True, slots=True)
class Task:
    """One text to write: the prompt's token ids, how to sample, the seed of this row's own random numbers, what makes the
    constraint that the text is held to, and tokens that end this text beside those that end all."""

    prompt: Sequence[int]
    decoding: Decoding
    seed: int
    constraint: Callable[[], Constraint] | None = None
    ends: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. ``n_tokens`` counts every token drawn, the end token and those behind a stop string's cut too.

    ``first_token_s`` and ``seconds`` run from when the row's prompt began to be read. ``token_logprobs`` and
    ``token_entropies`` are there where the task's decoding asks for them: of the tokens that hold any of ``text``, so neither
    of the end token nor of those that lie wholly behind a stop string's beginning.
    """

    text: str
    n_tokens: int
    finish_reason: Literal["stop", "length"]
    first_token_s: float
    seconds: float
    token_logprobs: tuple[float, ...] | None = None
    token_entropies: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A text that cannot be written any further, and why."""

    reason: str


class Rows(Protocol):
    """The model's side of the loop. Rows are named by their index; those that are admitted come last."""

    @property
    def refills(self) -> bool:
        """Whether rows may be admitted while there are others."""
        ...

    def admit(self, prompts: Sequence[Sequence[int]], budget: int) -> Any: ...

    def advance(self, tokens: Sequence[int]) -> Any: ...

    def retire(self, finished: Sequence[int]) -> list[int]: ...


@dataclass(slots=True)
class Room:
    """How many rows there may be at once: at most ``rows`` of them, whose widest times their number is at most ``cells``; a row
    is as wide as its prompt without the first ``shared`` tokens and all that may be written. Prompts are read under ``budget``
    padded tokens at a time. ``most`` is how many rows there have been."""

    rows: int
    cells: int
    budget: int
    shared: int = 0
    most: int = 0

    def width(self, task: Task) -> int:
        return len(task.prompt) - self.shared + task.decoding.max_tokens


def row_seed(call: Call) -> int:
    """A seed that belongs to the call and not to its place in a batch."""
    key = call.key
    name = json.dumps([call.seed, key.sample_id, key.repeat, key.arm, key.step])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1


def write_all(
    rows: Rows, tokenizer: Any, tasks: Sequence[Task], ends: frozenset[int], room: Room
) -> Iterator[tuple[int, Written | Spoiled]]:
    """Index and text of each task, as they are finished.

    Tasks wait in their order. Finished rows leave at once, and as soon as a good part of the room is free the next tasks take
    it. Which rows stand together follows from the tasks alone. Each row draws from its own random numbers, so that what is
    sampled for it does not depend on the rows beside it.
    """
    import torch

    waiting = deque(enumerate(tasks))
    live: list[_Row] = []
    while waiting or live:
        n_new = _admissible(waiting, live, room, rows.refills)
        with torch.inference_mode():
            if n_new:
                asked = [_Row(*waiting.popleft(), time.perf_counter()) for _ in range(n_new)]
                live += asked
                room.most = max(room.most, len(live))
                logits = rows.admit([row.task.prompt for row in asked], room.budget)
            else:
                asked = live
                logits = rows.advance([row.tokens[-1] for row in live])
            for row, drawn in zip(asked, draw(logits, asked)):
                row.take(drawn, ends, tokenizer)
            finished = [index for index, row in enumerate(live) if row.result is not None]
            done = [live[index] for index in finished]
            if done:
                live = [live[index] for index in rows.retire(finished)]
        for row in done:
            assert row.result is not None
            yield row.index, row.result


def _admissible(waiting: deque[tuple[int, Task]], live: Sequence[_Row], room: Room, refills: bool) -> int:
    """How many of the waiting tasks begin now: none before what is free is worth the reading of prompts beside the others."""
    if live and not refills:
        return 0
    widest = max((room.width(row.task) for row in live), default=0)
    fitting = 0
    for _, task in waiting:
        widest = max(widest, room.width(task))
        n = len(live) + fitting + 1
        if n > room.rows or n * widest > room.cells:
            break
        fitting += 1
    if not live and waiting:
        return max(1, fitting)
    return fitting if fitting >= min(len(waiting), max(1, len(live) // 3)) else 0


@dataclass(slots=True)
class _Row:
    """The state of one text that is being written."""

    index: int
    task: Task
    started: float
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    n_drawn: int = 0
    first_token_s: float = 0.0
    result: Written | Spoiled | None = None
    constraint: Constraint | None = None
    generator: Any = None

    def __post_init__(self) -> None:
        if self.task.constraint is not None:
            self.constraint = self.task.constraint()

    @property
    def decoding(self) -> Decoding:
        return self.task.decoding

    def uniform(self) -> float:
        """The row's next number in [0, 1)."""
        import torch

        if self.generator is None:
            self.generator = torch.Generator().manual_seed(self.task.seed)
        return float(torch.rand(1, generator=self.generator, dtype=torch.float64).item())

    def take(self, drawn: Drawn, ends: frozenset[int], tokenizer: Any) -> None:
        """Append a token and see whether it ends the text."""
        if not self.n_drawn:
            self.first_token_s = time.perf_counter() - self.started
        self.n_drawn += 1
        if not drawn.is_sound:
            self.result = Spoiled(f"the model's logits are not finite, at token {self.n_drawn} of the text")
            return
        is_end = drawn.token in ends or drawn.token in self.task.ends
        if not is_end:
            self.tokens.append(drawn.token)
            if drawn.logprob is not None and drawn.entropy is not None:
                self.logprobs.append(drawn.logprob)
                self.entropies.append(drawn.entropy)
            if self.constraint is not None:
                self.constraint.take(drawn.token)
        if self.constraint is not None and self.constraint.error:
            self.result = Spoiled(self.constraint.error)
            return
        is_complete = is_end or (self.constraint is not None and self.constraint.is_complete)
        if is_complete or self.n_drawn >= self.decoding.max_tokens or self._may_stop(tokenizer):
            self._end(is_complete, tokenizer)

    def _may_stop(self, tokenizer: Any) -> bool:
        """Whether the last tokens hold a stop string; those further back were looked through before."""
        if not self.decoding.stop:
            return False
        recent = self.tokens[-max(len(stop.encode()) for stop in self.decoding.stop) - _SPARE :]
        return any(stop in _decode(tokenizer, recent) for stop in self.decoding.stop)

    def _end(self, is_complete: bool, tokenizer: Any) -> None:
        """Finish the text, unless its last tokens looked like a stop string only by themselves."""
        text = _decode(tokenizer, self.tokens)
        n_kept = len(self.tokens)
        cut = min((at for at in map(text.find, self.decoding.stop) if at >= 0), default=None)
        if cut is not None:
            text = text[:cut]
            n_kept = _tokens_of(tokenizer, self.tokens, text, cut) if self.decoding.logprobs else 0
        elif not is_complete and self.n_drawn < self.decoding.max_tokens:
            return
        self.result = Written(
            text, self.n_drawn, "stop" if is_complete or cut is not None else "length", self.first_token_s,
            time.perf_counter() - self.started,
            tuple(self.logprobs[:n_kept]) if self.decoding.logprobs else None,
            tuple(self.entropies[:n_kept]) if self.decoding.logprobs else None)


def stop_tokens(tokenizer: Any, stops: Sequence[str]) -> frozenset[int]:
    """Tokens that end a text since they are stop strings themselves: special ones, which never show in a decoded text."""
    ids = {stop: tokenizer.convert_tokens_to_ids(stop) for stop in stops}
    # A stop string that is no token has the id of the unknown one.
    whole = [stop for stop, token in ids.items() if token is not None and tokenizer.convert_ids_to_tokens(token) == stop]
    return frozenset(ids[stop] for stop in whole if not _decode(tokenizer, [ids[stop]])
                     and tokenizer.decode([ids[stop]], clean_up_tokenization_spaces=False) == stop)


def _decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _tokens_of(tokenizer: Any, tokens: Sequence[int], text: str, cut: int) -> int:
    """The fewest first tokens that hold all of ``text[:cut]``, of the text of all tokens."""
    wanted = text[:cut]
    # The text of the first n does not grow steadily with n: half a character shows as one or more of U+FFFD, in tokenizers that
    # fall back to bytes in the place of whole ones before it too. So all n are tried for which the others, of a byte or more
    # but for a few, could hold what is behind the cut.
    least = max(0, len(tokens) - len(text[cut:].encode()) - _SPARE)
    n = next(n for n in range(least, len(tokens) + 1) if _decode(tokenizer, tokens[:n]).startswith(wanted))
    # Bytes that are no character: the first of them show as all of them do.
    while wanted.endswith("\N{REPLACEMENT CHARACTER}") and n < len(tokens) and _decode(tokenizer, tokens[: n + 1]) == wanted:
        n += 1
    return n
