"""Runs of a model of stored answers: which questions it gets right is the test's to say."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import api

TASK = """\
task: capitals
version: {version}
suite: generation
data: {{format: jsonl, path: questions.jsonl}}
sample: {{id: "{{{{ id }}}}", references: ["{{{{ answer }}}}"], slices: {{level: "{{{{ level }}}}"}}}}
prompt: {{text: "Q: {{{{ question }}}}"}}
metrics: [{metrics}]
"""


@dataclass(frozen=True)
class Nights:
    """A project at ``root`` whose task has ``n`` questions; odd ones are easy, even ones hard."""

    root: Path
    n: int = 400

    @property
    def results(self) -> Path:
        return self.root / "results"

    def write(self, *, version: int = 1, metrics: str = "exact_match", first: int = 0) -> None:
        """The task; its questions begin with number ``first``."""
        tasks = self.root / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": f"answer {i}", "level": "easy" if i % 2 else "hard"}
                for i in range(first, first + self.n)]  # fmt: skip
        write_lines(tasks / "questions.jsonl", rows)
        (tasks / "capitals.yaml").write_text(TASK.format(version=version, metrics=metrics))

    def config(
        self, wrong: Collection[int] = (), *, gate: str = "", name: str = "nightly", failed: Collection[int] = (),
        models: Sequence[str] = ("model",), first: int = 0, latency: Mapping[int, float] | None = None, extra: str = "",
    ) -> Path:
        """A config whose models answer all but the ``wrong`` questions right, and none of the ``failed`` ones."""
        folder = self.root / "configs"
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for i in range(first, first + self.n):
            row: dict[str, object] = {"id": f"q{i}", "text": "no idea" if i in wrong else f"answer {i}"}
            if i in failed:
                row = {"id": f"q{i}", "error": "out of memory"}
            if latency is not None:
                row["latency_s"] = latency[i]
            rows.append(row)
        write_lines(folder / f"{name}.jsonl", rows)
        entries = ", ".join(f"{model}: {{backend: replay, path: {name}.jsonl}}" for model in models)
        path = folder / f"{name}.yaml"
        path.write_text(f"name: {name}\nmodels: {{{entries}}}\ntasks: [../tasks/capitals.yaml]\n{extra}"
                        + (f"gate: {gate}\n" if gate else ""))
        return path

    def run(self, wrong: Collection[int] = (), **options: object) -> Path:
        """The folder of a finished run of :meth:`config`."""
        made = api.run(self.config(wrong, **options), results=self.results, new=True)  # type: ignore[arg-type]
        return made.path


def write_lines(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
