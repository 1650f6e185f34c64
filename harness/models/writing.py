"""Answers Generate requests with an open causal language model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from harness.models.devices import halving, pack
from harness.models.generation import Task, Written, row_seed, write
from harness.models.loaded import TOO_LITTLE_MEMORY, Loaded, failed, order
from harness.models.prompts import Unanswerable
from harness.types import Call, Generate, Output, Text, Timing, Usage


class Writer:
    """Batches calls and writes their texts; made once for an open model."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def batches(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Longest first, under the model's budget of padded tokens; those that may be written count too."""
        chosen = sorted((call for call in calls if isinstance(call.request, Generate)), key=order)
        packed = pack([self._width(call) for call in chosen], [1] * len(chosen), self.loaded.batch_tokens)
        return [[chosen[index] for index in batch] for batch in packed]

    def outputs(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of Generate calls, all written side by side."""
        started = time.perf_counter()
        asked: list[tuple[Call, Task, bool]] = []
        for call in calls:
            assert isinstance(call.request, Generate)
            try:
                prompt, truncated = self._prompt(call.request)
            except Unanswerable as error:
                yield failed(call, str(error))
                continue
            asked.append((call, Task(prompt, call.request.decoding, row_seed(call)), truncated))
        tasks = [task for _, task, _ in asked]
        answer = partial(write, self.loaded.model, self.loaded.prompts.tokenizer, ends=self.loaded.ends)
        results = halving(tasks, answer) if tasks else []
        latency = time.perf_counter() - started
        for (call, task, truncated), result in zip(asked, results):
            if result is None:
                yield failed(call, TOO_LITTLE_MEMORY.format(device=self.loaded.device))
            else:
                yield _written(call, task, truncated, result, latency)

    def _prompt(self, request: Generate) -> tuple[list[int], bool]:
        """Token ids of a prompt, cut from the left so that ``max_tokens`` more fit, and whether they were cut."""
        wanted = request.decoding.max_tokens
        if not 1 <= wanted < self.loaded.max_length:
            most = self.loaded.max_length - 1
            raise Unanswerable(f"max_tokens must be from 1 to {most} (one less than the context), got {wanted}")
        tokens = self.loaded.prompts.encode(self.loaded.prompts.render(request.prompt)) or [self.loaded.prompts.prefix_token]
        room = self.loaded.max_length - wanted
        return tokens[-room:], len(tokens) > room

    def _width(self, call: Call) -> int:
        """The tokens that a call may come to take; 0 where it cannot be answered."""
        assert isinstance(call.request, Generate)
        try:
            prompt, _ = self._prompt(call.request)
        except Unanswerable:
            return 0
        return len(prompt) + call.request.decoding.max_tokens


def _written(call: Call, task: Task, truncated: bool, result: Written, latency: float) -> Output:
    return Output(call.key, Text(result.text), finish_reason=result.finish_reason, truncated=truncated,
                  usage=Usage(len(task.prompt), result.n_tokens), timing=Timing(latency, result.first_token_s))
