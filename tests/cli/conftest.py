"""A project to work in, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.projects import Harness, write_project


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str]) -> Harness:
    return Harness(capsys)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a project; returns its config, relative to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_project(tmp_path).relative_to(tmp_path)


@pytest.fixture
def finished(project: Path, harness: Harness) -> str:
    """The id of a finished run of the project."""
    said = harness("run", str(project), "--json", "--quiet")
    assert said.code == 0, said.err
    return str(said.json["run_id"])
