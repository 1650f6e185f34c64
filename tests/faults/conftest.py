"""The command line in this process, and services that end with their test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from tests.faults.project import KEY, KEY_NAME, Ended, Project

Typed = Callable[..., Ended]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """``typed(project, …)``: what ``project.run(…)`` does, in this process, which is sooner begun."""
    monkeypatch.setenv(KEY_NAME, KEY)

    def run(project: Project, *more: str, results: str = "results") -> Ended:
        monkeypatch.chdir(project.root)
        capsys.readouterr()
        code = main(project.words(*more, results=results))
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a project may go."""
    return tmp_path / "project"
