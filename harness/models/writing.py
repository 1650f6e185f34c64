"""Answers Generate requests with an open causal language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from harness.models.constraints import Constraints
from harness.models.devices import free_memory, is_out_of_memory, pack
from harness.models.generation import Room, Rows, Spoiled, Task, Written, row_seed, stop_tokens, write_all
from harness.models.loaded import TOO_LITTLE_MEMORY, Loaded, failed, order
from harness.models.plainrows import PlainRows, RereadRows
from harness.models.plainrows import objection as cache_objection
from harness.models.prefixattention import Prefix, read_prefix
from harness.models.prefixes import PrefixCache, common
from harness.models.prompts import Unanswerable
from harness.models.sharedrows import SharedRows, fits, objection
from harness.protocols import Checkpoint, go_on
from harness.types import Call, Generate, Output, Text, Timing, Usage

_MOST_KEPT = 4
"""Tokens of rows under way for each token of the budget, at most: all but the last of a row are only kept, not computed."""

_ROUNDS = 4
"""How often the rows of a batch may be taken anew: the more, the fewer of them stand idle at its end."""

_FAMILY = 16
"""Prompts that begin with so many same tokens are written together, sharing what they have in common."""

_MEMBERS = 4
"""Smaller families are not worth a batch of their own."""


class Writer:
    """Batches calls and writes their texts; made once for an open model.

    ``say`` is told why rows cannot share the beginning of their prompts, where they cannot; ``checkpoint`` is called between
    the texts, and what it raises ends the writing.
    """

    def __init__(
        self, loaded: Loaded, say: Callable[[str], None] = lambda message: None, checkpoint: Checkpoint = go_on
    ) -> None:
        self.loaded, self.say, self.checkpoint = loaded, say, checkpoint
        self._prefixes = PrefixCache(loaded.model)
        config = loaded.model.config.get_text_config()
        self._constraints = Constraints(loaded.prompts.tokenizer, loaded.ends, config.vocab_size)
        self._kept = _kept(config)

    def batches(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Calls whose prompts begin alike together, longest first, by the model's budget of padded tokens."""
        chosen = sorted((call for call in calls if isinstance(call.request, Generate)), key=order)
        batches: list[list[Call]] = []
        for family in self._families(chosen):
            packed = pack([self._width(call) for call in family], [1] * len(family), self.loaded.batch_tokens)
            batches += [[family[index] for index in batch] for batch in packed]
        return batches

    def outputs(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of Generate calls, as their texts are finished."""
        asked: list[tuple[Call, Task, bool]] = []
        for call in calls:
            assert isinstance(call.request, Generate)
            try:
                prompt, truncated = self.loaded.inputs.prompt(call)
                constraint = self._constraints.of(call.request)
            except Unanswerable as error:
                yield failed(call, str(error))
                continue
            decoding = call.request.decoding
            ends = stop_tokens(self.loaded.prompts.tokenizer, decoding.stop)
            asked.append((call, Task(prompt, decoding, row_seed(call), constraint, ends), truncated))
        asked.sort(key=lambda one: (-len(one[1].prompt) - one[1].decoding.max_tokens, order(one[0])))
        for index, result in self._written([task for _, task, _ in asked]):
            call, task, truncated = asked[index]
            yield failed(call, result.reason) if isinstance(result, Spoiled) else _output(call, task, truncated, result)
            self.checkpoint()

    def _written(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Written | Spoiled]]:
        """Index and text of each task; where memory does not suffice, without a common prefix if that was what it did not
        suffice for, and with half as many rows at once."""
        left = dict(enumerate(tasks))
        limit = len(tasks)
        may_share = True
        while left:
            room = Room(limit, self._kept * self.loaded.batch_tokens, self.loaded.batch_tokens)
            try:
                yield from self._attempt(left, room, may_share)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if left:
                # Outside the handler: the traceback holds the tensors that have to go first.
                self._prefixes.clear()
                free_memory()
                if room.most == 0 and may_share:
                    may_share = False
                    continue
                if room.most <= 1:
                    index = next(iter(left))
                    del left[index]
                    yield index, Spoiled(TOO_LITTLE_MEMORY.format(device=self.loaded.device))
                limit = max(1, room.most // 2)

    def _attempt(self, left: dict[int, Task], room: Room, may_share: bool) -> Iterator[tuple[int, Written | Spoiled]]:
        """Index and text of each task that is left, which is taken out."""
        indices, tasks = list(left), list(left.values())
        rows = self._rows(tasks, room, may_share)
        for place, result in write_all(rows, self.loaded.prompts.tokenizer, tasks, self.loaded.ends, room):
            del left[indices[place]]
            yield indices[place], result

    def _rows(self, tasks: Sequence[Task], room: Room, may_share: bool) -> Rows:
        """Where these texts are written: behind what their prompts have in common, where that and the model let them."""
        prompts = [list(task.prompt) for task in tasks]
        longest = max(len(task.prompt) + task.decoding.max_tokens for task in tasks)
        # A token of each prompt must be left to read. What the two that are furthest apart share, all share.
        shared = min(common(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
        shared = shared if may_share and shared >= _FAMILY else 0
        if not self._shares or not fits(self.loaded.model, longest, max(map(len, prompts)) - shared):
            room.cells = room.budget  # they read all prompts at once
            return PlainRows(self.loaded.model) if self._caches else RereadRows(self.loaded.model)
        prefix = self._prefix_of(prompts[0][:shared])
        room.shared = len(prefix.tokens)
        return SharedRows(self.loaded.model, prefix)

    def _prefix_of(self, tokens: Sequence[int]) -> Prefix:
        """Keys and values of these tokens, or of nearly all of them if that is what the batch before had."""
        import torch

        there = self._prefixes.held(tokens)
        shared = tokens[:there] if _FAMILY <= there > len(tokens) - _FAMILY else tokens
        with torch.inference_mode():
            return read_prefix(self._prefixes, shared)

    @cached_property
    def _shares(self) -> bool:
        reason = objection(self.loaded.model)
        if reason is not None:
            self.say(f"each prompt is read in full, without sharing what it begins with: {reason}")
        return reason is None

    @cached_property
    def _caches(self) -> bool:
        reason = cache_objection(self.loaded.model)
        if reason is not None:
            self.say(f"a text is read anew from its beginning for each of its tokens, which is slow: {reason}")
        return reason is None

    def _families(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Calls by the first tokens of their prompts; those of small families together at the end."""
        by_start: dict[tuple[int, ...], list[Call]] = {}
        for call in calls:
            by_start.setdefault(tuple(self._prompt(call)[:_FAMILY]), []).append(call)
        large = [family for family in by_start.values() if len(family) >= _MEMBERS]
        small = [call for family in by_start.values() if len(family) < _MEMBERS for call in family]
        return [*large, sorted(small, key=order)]

    def _prompt(self, call: Call) -> list[int]:
        """The tokens of a prompt, none where it cannot be answered."""
        try:
            return self.loaded.inputs.prompt(call)[0]
        except Unanswerable:
            return []

    def _width(self, call: Call) -> int:
        """The share of the budget that a call takes."""
        assert isinstance(call.request, Generate)
        prompt = self._prompt(call)
        return -(-(len(prompt) + call.request.decoding.max_tokens) // (self._kept * _ROUNDS)) if prompt else 0


def _kept(config: Any) -> int:
    """How many tokens' keys and values take the memory that one token takes when it is computed, logits included."""
    hidden, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    layers, vocabulary = getattr(config, "num_hidden_layers", None), getattr(config, "vocab_size", None)
    if not (hidden and heads and layers and vocabulary):
        return 1
    groups = getattr(config, "num_key_value_heads", None) or heads
    size = 2 * layers * groups * (getattr(config, "head_dim", None) or hidden // heads)
    return int(max(1, min(_MOST_KEPT, 1 + (vocabulary + 16 * hidden) // size)))


def _output(call: Call, task: Task, truncated: bool, result: Written) -> Output:
    answer = Text(result.text, token_logprobs=result.token_logprobs, token_entropies=result.token_entropies)
    return Output(call.key, answer, finish_reason=result.finish_reason, truncated=truncated,
                  usage=Usage(len(task.prompt), result.n_tokens), timing=Timing(result.seconds, result.first_token_s))
