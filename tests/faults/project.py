"""A project on disk whose model is in trouble, ``harness run`` on it as a user types it, and what must hold afterwards."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.store import JOURNAL, RECORD, read_record, samples_table
from tests.e2e import real
from tests.faults.server import FaultyServer, said

ROOT = Path(__file__).resolve().parents[2]
KEY_NAME, KEY = "FAULTY_API_KEY", "sk-planted-7Qx0aVt3Zk9LmB2cW8"
PATIENCE_S = 60.0
NOTHING_LEFT_OUT = ("leaderboard.json", "leaderboard.md", "log.jsonl", "run.json", "samples.parquet")
TASK = """\
task: words
suite: generation
data: {format: jsonl, path: rows.jsonl}
sample: {id: "{{ id }}", references: ["{{ answer }}"]}
prompt: {user: "{{ question }}"}
metrics: ["exact_match(normalize=none)", token_f1]
"""
NULL = '{backend: "null", text: "nothing"}'

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and limits")


def question(number: int) -> str:
    return f"Sample {number}: what comes after word{number}?"


class Ended(real.Ended):
    """How a command ended."""

    @property
    def told(self) -> str:
        """What stderr says beside the progress."""
        lines = self.err.splitlines()
        return "\n".join(lines[next((i for i, line in enumerate(lines) if line.startswith("error:")), 0) :])


@dataclass(frozen=True)
class Project:
    """``n`` questions whose references are what the service says, asked of one model."""

    root: Path
    n: int

    @classmethod
    def at(cls, root: Path, n: int, model: str, more: str = "", *, padding: int = 0) -> Project:
        """Write it; ``model`` is the YAML of the model's entry, ``more`` further lines of the config, ``padding`` the bytes
        that each row has beside what is asked."""
        root.mkdir(parents=True, exist_ok=True)
        draw = random.Random(n)
        rows = [
            {"id": f"s{i}", "question": question(i), "answer": said(question(i)), "padding": draw.randbytes(padding // 2).hex()}
            for i in range(n)
        ]
        (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (root / "words.yaml").write_text(TASK, encoding="utf-8")
        project = cls(root, n)
        project.configure(model, more)
        return project

    def configure(self, model: str, more: str = "") -> None:
        """Write the config anew."""
        text = f"models:\n  m: {model}\ntasks: [words.yaml]\nn_bootstrap: 50\n{more}\n"
        (self.root / "run.yaml").write_text(text, encoding="utf-8")

    # ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def words(self, *more: str, results: str = "results") -> list[str]:
        return ["run", "run.yaml", "--cache-dir", "cache", "--results", results, *more]

    def start(
        self, *more: str, results: str = "results", environment: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> subprocess.Popen[str]:  # fmt: skip
        """``harness run …`` in the background; ``before`` is called in the child before it begins."""
        paths = os.pathsep.join((str(self.root), str(ROOT)))
        return subprocess.Popen(
            [sys.executable, "-m", "harness.cli", *self.words(*more, results=results)], cwd=self.root, text=True,
            encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before,
            env={**os.environ, "PYTHONPATH": paths, KEY_NAME: KEY, **(environment or {})},
        )  # fmt: skip

    def run(self, *more: str, **how: Any) -> Ended:
        """``harness run …``, waited for."""
        return ended(self.start(*more, **how))

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def folders(self, results: str = "results") -> list[Path]:
        return sorted(path for path in (self.root / results).iterdir() if path.is_dir())

    @property
    def folder(self) -> Path:
        (folder,) = self.folders()
        return folder

    def journaled(self) -> Counter[str]:
        """The samples that have a whole line in the journals; empty while there are none."""
        journals = list((self.root / "results").glob(f"*/{JOURNAL}"))
        lines = [line for path in journals for line in path.read_bytes().split(b"\n")[:-1] if b'"k":' in line]
        return Counter(str(json.loads(line)["k"][0]) for line in lines)

    def wait_for_answers(self, process: subprocess.Popen[str], n: int) -> None:
        """Until the journal has ``n`` outputs (0: until it is there)."""
        deadline = time.monotonic() + PATIENCE_S
        while not list((self.root / "results").glob(f"*/{JOURNAL}")) or self.journaled().total() < n:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"{self.journaled().total()} answers, waited for {n}: {process.communicate()}")
            time.sleep(0.005)


def ended(process: subprocess.Popen[str], timeout_s: float = PATIENCE_S) -> Ended:
    """Wait for a process; one that does not end is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it did not end within {timeout_s} s: {process.communicate()}")
    return Ended(process.returncode, out, err)


def killed(process: subprocess.Popen[str]) -> None:
    """``kill -9``; the test fails where it ended before."""
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it ended by itself: {process.returncode}\n{out}\n{err}"


# ── what holds after every run ──────────────────────────────────────────────────────────────────────────────────────


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = samples_table(folder).to_pylist()
    return rows


def assert_whole(
    project: Project, folder: Path, *, missing: int | None = 0, says: Callable[[str], str] = said
) -> list[dict[str, Any]]:
    """A finished folder: every sample once and in order, answered with what the model ``says`` or missing with its reason.

    ``missing``: how many may be so; None: any number. Returns the rows.
    """
    assert sorted(path.name for path in folder.iterdir()) == list(NOTHING_LEFT_OUT)
    rows, record = rows_of(folder), read_record(folder)
    assert [row["sample_id"] for row in rows] == [f"s{i}" for i in range(project.n)]
    for number, row in enumerate(rows):
        if row["error"] is None:
            assert row["text"] == says(question(number))
        else:
            assert row["error"].strip()
            assert row["answer"] is row["text"] is None
            assert row["metric.exact_match(normalize=none)"]["missing"] == row["error"]
    lost = sum(row["error"] is not None for row in rows)
    assert missing is None or lost == missing, Counter(row["error"] for row in rows)
    (estimate,) = (e for e in record.estimates if e["metric"].startswith("exact_match"))
    assert (estimate["n"], estimate["n_missing"]) == (project.n - lost, lost)
    assert estimate["value"] == (None if lost == project.n else 1.0 if says is said else 0.0)
    return rows


def assert_goes_on(server: FaultyServer, project: Project, type_again: Callable[[Project], Ended]) -> int:
    """After an outage: what was answered is in the journal, and once it is over the same command asks only for the rest.

    Returns how many were answered before.
    """
    answered = {seen.prompt for seen in server.seen if not seen.fault}
    assert set(project.journaled()) == {f"s{i}" for i in range(project.n) if question(i) in answered}
    server.outage = None
    said = type_again(project)
    assert said.code == 0, said.err
    assert f"{len(answered)} resumed" in said.err
    assert Counter(seen.prompt for seen in server.seen if not seen.fault).most_common(1)[0][1] == 1
    assert_whole(project, project.folder)
    return len(answered)


def assert_within_budget(server: FaultyServer, project: Project, most: int) -> None:
    """Every sample was asked for, none more often than ``most`` times."""
    counts = server.counts
    assert set(counts) <= {question(i) for i in range(project.n)}
    assert max(counts.values()) <= most, counts.most_common(3)
    assert all(seen.key for seen in server.seen), "a request came without the key"


def assert_no_secret(root: Path, *said_by: Ended) -> None:
    """The planted key is in no file below ``root``, not inside compressed ones either, and in nothing that was said."""
    secret = KEY.removeprefix("sk-planted-")
    for ending in said_by:
        assert secret not in ending.out + ending.err
    for path in root.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), f"the key is in {path}"
    for folder in root.glob("*/*"):
        if (folder / RECORD).is_file():
            assert secret not in json.dumps(rows_of(folder)), f"the key is in the samples of {folder}"


# ── trouble with the machine ────────────────────────────────────────────────────────────────────────────────────────


def without_root_powers() -> None:
    """In a child before it begins: from then on modes of files hold for root too."""
    if os.geteuid() != 0:
        return
    drop, libc = 24, ctypes.CDLL(None, use_errno=True)  # PR_CAPBSET_DROP
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if libc.prctl(drop, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the capability cannot be dropped")


def largest_file(size: int) -> Callable[[], None]:
    """In a child before it begins: no file may grow beyond ``size`` bytes; a write that would fails as on a full disk."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def estimates_of(folder: Path) -> Sequence[Mapping[str, Any]]:
    return read_record(folder).estimates
