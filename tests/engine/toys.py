"""Small real parts for the engine's tests: an in-memory source, a counting backend, a two-step suite, plans without YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness.config import Budget, Cell, ModelConfig, RunConfig, TaskConfig
from harness.engine.plan import Plan, make_plan
from harness.engine.run import RunOptions
from harness.plugins import metric
from harness.protocols import Play, Resources, Suite, TaskData, TaskView
from harness.types import Call, Corpus, Generate, Output, Sample, Text, Timing, Usage


@dataclass(frozen=True)
class Rows:
    """A data format over rows in memory."""

    name: ClassVar[str] = "rows"
    summary: ClassVar[str] = "rows in memory"
    data: tuple[Mapping[str, Any], ...]

    def rows(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.data)

    def corpus(self) -> Corpus | None:
        return None

    def split(self, name: str) -> Rows:
        raise NotImplementedError


@dataclass
class Echo:
    """Answers a prompt with its last word in capitals, in batches of ``batch``; counts what it was asked.

    ``fail_on`` words give an error output; ``raise_on`` words make the whole batch raise; ``stop_after`` calls
    ``on_stop`` once that many batches have run.
    """

    name: ClassVar[str] = "echo"
    summary: ClassVar[str] = "last word in capitals"
    provides: ClassVar[frozenset[type]] = frozenset({Generate})
    independent: ClassVar[bool] = False
    tuning: ClassVar[frozenset[str]] = frozenset()
    cacheable: str = "always"
    batch: int = 4
    fail_on: str = "\0"
    raise_on: str = "\0"
    on_batch: Any = None
    asked: list[tuple[str, int, int, int]] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None: ...

    def close(self) -> None: ...

    def signature(self) -> Mapping[str, Any]:
        return {"backend": "echo"}

    def start_task(self, task: TaskView) -> None: ...

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        return [calls[i : i + self.batch] for i in range(0, len(calls), self.batch)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        self.batch_sizes.append(len(calls))
        if any(self.raise_on in prompt(call) for call in calls):
            raise RuntimeError("the batch blew up")
        for call in reversed(calls):
            self.asked.append((call.key.sample_id, call.key.repeat, call.key.step, call.seed))
            if self.fail_on in prompt(call):
                yield Output(call.key, None, error="refused", finish_reason="error")
            else:
                word = prompt(call).split()[-1].upper()
                yield Output(call.key, Text(word), finish_reason="stop", usage=Usage(3, 1), timing=Timing(0.5))
        if self.on_batch is not None:
            self.on_batch(len(self.batch_sizes))


def prompt(call: Call) -> str:
    assert isinstance(call.request, Generate)
    assert isinstance(call.request.prompt, str)
    return call.request.prompt


@dataclass(frozen=True)
class OneStep:
    name: ClassVar[str] = "one_step"
    summary: ClassVar[str] = "one request"

    def needs(self) -> frozenset[type]:
        return frozenset({Generate})

    def gives(self) -> frozenset[str]:
        return frozenset({"text", "timing", "usage"})

    def prepare(self, data: TaskData) -> Suite:
        return self

    def play(self, sample: Sample) -> Play:
        output = yield Generate(f"say {sample.input['word']}")
        assert output.answer is not None
        return output.answer


@dataclass(frozen=True)
class TwoSteps(OneStep):
    """Asks, then asks again with the answer; samples whose word begins with "x" need one step only."""

    name: ClassVar[str] = "two_steps"

    def play(self, sample: Sample) -> Play:
        first = yield Generate(f"say {sample.input['word']}")
        assert isinstance(first.answer, Text)
        if sample.input["word"].startswith("x"):
            return first.answer
        second = yield Generate(f"repeat {first.answer.text}!")
        assert isinstance(second.answer, Text)
        return Text(first.answer.text + second.answer.text)


def rows(*words: str) -> tuple[Mapping[str, Any], ...]:
    return tuple({"id": f"s{i}", "word": word, "answer": word.upper()} for i, word in enumerate(words))


def plan(
    backend: Any, words: Sequence[str] = ("a", "b", "c", "d", "e", "f", "g"), *, suite: Suite | None = None,
    seeds: tuple[int, ...] = (0,), name: str = "toy", sample: Mapping[str, Any] | None = None, data: Any = None,
    budget: Budget | None = None,
) -> Plan:  # fmt: skip
    """A plan of one model on one task."""
    suite = suite or OneStep()
    source = Rows(data or rows(*words))
    spec = "exact_match(normalize=none)"
    model = ModelConfig("echo", backend, "echo", {"backend": "echo"})
    mapping = sample or {"references": ["{{ answer }}"]}
    task = TaskConfig(
        name="words", slug="words", version=1, language="en", suite=suite, suite_name=suite.name, source=source, sample=mapping,
        metrics=(metric(spec),), metric_specs=(spec,), primary=metric(spec), limit=None, models=None, path=Path("words.yaml"),
        document={"suite": suite.name, "data": {"rows": len(source.data)}, "sample": mapping},
    )  # fmt: skip
    cell = Cell({}, {"echo": model}, (task,))
    return make_plan(RunConfig(name=name, path=Path("toy.yaml"), cells=(cell,), roles={}, seeds=seeds, budget=budget))


def options(tmp_path: Path, **changes: Any) -> RunOptions:
    return RunOptions(results=tmp_path / "results", cache_dir=tmp_path / "cache", **changes)
