"""``configs/nightly.sh``: what cron gets to see of a first night, a second one, a broken one, and one that never began."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.init import write_starter
from tests.e2e.real import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script is for a POSIX shell")


def test_the_starter_has_the_same_script() -> None:
    starter = ROOT / "harness" / "cli" / "starters" / "nightly" / "configs" / "nightly.sh"
    assert starter.read_text() == (ROOT / "configs" / "nightly.sh").read_text()


def test_four_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_starter("nightly", tmp_path)
    shim = tmp_path / "bin" / "harness"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness.cli "$@"\n')
    shim.chmod(0o755)
    reports = [Path("results/gate.xml"), Path("results/gate.md")]

    def night() -> tuple[int, str]:
        environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        environment.pop("GITHUB_STEP_SUMMARY", None)
        done = subprocess.run(["sh", "configs/nightly.sh"], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = night()
    assert (code, "is baseline 'main' from now on" in said) == (0, True), said
    code, said = night()
    assert (code, "inconclusive: 5 of 5 checks" in said) == (3, True), said  # six samples decide nothing
    assert [report.is_file() for report in reports] == [True, True]
    answers = Path("tasks/data/nightly.answers.jsonl")
    answers.write_text(answers.read_text().replace('"text": "Nairobi"', '"error": "down"'))
    code, said = night()
    assert (code, "1 of 6 outputs are missing" in said) == (4, True), said
    assert "infrastructure" in reports[1].read_text()
    config = Path("configs/nightly.yaml")
    config.write_text(config.read_text().replace("backend: replay", "backend: replya"))
    code, said = night()
    assert (code, "did you mean 'replay'?" in said) == (2, True), said
    assert [report.exists() for report in reports] == [False, False]  # not the verdict of the night before
