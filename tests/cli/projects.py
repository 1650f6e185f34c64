"""Small projects on disk, with stored answers in place of a model, and the command line in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main

QUESTIONS = [("q1", "Capital of Peru?", "Lima", "easy"), ("q2", "Capital of Chad?", "N'Djamena", "hard"),
             ("q3", "Capital of Laos?", "Vientiane", "hard"), ("q4", "Capital of Cuba?", "Havana", "easy")]  # fmt: skip
TASK = """\
task: capitals
suite: generation
data: {format: jsonl, path: questions.jsonl}
sample: {id: "{{ id }}", references: ["{{ answer }}"], slices: {level: "{{ level }}"}}
prompt: {text: "Q: {{ question }}\\nA:"}
metrics: [exact_match, token_f1]
primary: exact_match
"""
CONFIG = """\
models:
  good: {backend: replay, path: good.jsonl}
  poor: {backend: replay, path: poor.jsonl}
tasks: [tasks/capitals.yaml]
max_missing: 0.3
"""
GOOD = {"q1": "Lima", "q2": "N'Djamena", "q3": "Vientiane", "q4": "Santiago"}  # exact_match 3/4
POOR = {"q1": "Lima", "q2": "Bangui", "q3": None, "q4": "Quito"}  # 1/3, one missing: 1/4 at worst, 2/4 at best
OUT_OF_MEMORY = "out of memory"


def write_project(root: Path) -> Path:
    """A project with one task and two stored models; returns its config."""
    (root / "tasks").mkdir()
    (root / "configs").mkdir()
    rows = [{"id": i, "question": question, "answer": answer, "level": level} for i, question, answer, level in QUESTIONS]
    write_lines(root / "tasks" / "questions.jsonl", rows)
    (root / "tasks" / "capitals.yaml").write_text(TASK)
    for name, answers in (("good", GOOD), ("poor", POOR)):
        lines = [{"id": i, "error": OUT_OF_MEMORY} if text is None else {"id": i, "text": text} for i, text in answers.items()]
        write_lines(root / "configs" / f"{name}.jsonl", lines)
    config = root / "configs" / "capitals.yaml"
    config.write_text(CONFIG)
    return config


def write_lines(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@dataclass(frozen=True)
class Said:
    """What a command line answered."""

    code: int
    out: str
    err: str
    words: tuple[str, ...] = ()

    @property
    def json(self) -> dict:  # type: ignore[type-arg]
        return json.loads(self.out)  # type: ignore[no-any-return]

    @property
    def refusal(self) -> list[str]:
        """What stderr says of an end with exit code 2, line by line; with ``--json`` stdout says the same, else nothing."""
        assert self.code == 2, self.err
        told = [line.removeprefix("error: ") for line in self.err.splitlines()]
        if "--json" in self.words:
            faults = told[:-1] if told[-1] == f"{len(told) - 1} problems" else told
            assert self.json == {"schema": 1, "exit_code": 2, "error": "\n".join(faults)}
        else:
            assert self.out == ""
        return told


class Harness:
    """``harness("run", "configs/a.yaml")`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = main(list(words))
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err, words)
