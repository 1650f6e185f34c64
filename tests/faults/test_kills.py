"""The harness is killed or interrupted while a service answers; the same command goes on and asks nothing again."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.store import RECORD
from tests.faults.conftest import Typed
from tests.faults.project import (
    NULL,
    PATIENCE_S,
    Ended,
    Project,
    assert_goes_on,
    assert_no_secret,
    assert_whole,
    ended,
    estimates_of,
    killed,
    needs_posix,
    question,
    rows_of,
)
from tests.faults.server import FaultyServer
from tests.faults.test_service import openai

pytestmark = needs_posix

CONCURRENCY = 8
LATENCY_S = 0.02
TIMEOUT_S = 1.0
UNWRITTEN_S = 0.5
"""How long an answer may take on its way into the journal."""


def most_asked_twice() -> int:
    """What a kill may cost: what was under way, and what came since the journal was last written."""
    return CONCURRENCY + int(CONCURRENCY * UNWRITTEN_S / LATENCY_S)


def outcome(folder: Path) -> list[dict[str, Any]]:
    """The rows without what was measured."""
    measured = ("latency_s", "first_token_s")
    return [{name: value for name, value in row.items() if name not in measured} for row in rows_of(folder)]


# ── kill -9 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def killed_while_it_is_answered(root: Path, n: int, moments: list[float], typed: Typed) -> None:
    with FaultyServer(latency_s=LATENCY_S, jitter_s=LATENCY_S) as server:
        project = Project.at(root, n, openai(server, concurrency=CONCURRENCY))
        for wait_s in moments:
            before, asked = project.journaled() if (root / "results").exists() else Counter(), len(server.seen)
            process = project.start()
            server.wait_for(asked + 1)
            time.sleep(wait_s)
            killed(process)
            time.sleep(2 * LATENCY_S)  # what the server had in hand
            assert before <= project.journaled(), "an answer that was in the journal is gone"
            assert max(project.journaled().values(), default=1) == 1, "an answer is in the journal twice"
            again = {seen.prompt for seen in server.seen[asked:]} & {question(int(name[1:])) for name in before}
            assert not again, "what was in the journal was asked again"
        known, asked = project.journaled(), len(server.seen)
        said = typed(project)
        assert said.code == 0, said.err
        assert f"going on with {project.folder.name}" in said.err
        assert f"{known.total()} resumed" in said.err
        assert len(server.seen) - asked == n - known.total()
        assert set(server.counts) == {question(i) for i in range(n)}
        assert len(server.seen) <= n + len(moments) * most_asked_twice()
    rows = assert_whole(project, project.folder)
    assert {(row["input_tokens"], row["output_tokens"], row["cached"]) for row in rows} == {(6, 2, False)}
    assert_no_secret(project.root, said)


def test_killed_once(root: Path, typed: Typed) -> None:
    killed_while_it_is_answered(root, 250, [0.6], typed)


@pytest.mark.slow
def test_killed_while_requests_hang(root: Path) -> None:
    """What was answered a second ago is in the journal, though nothing has come since."""
    with FaultyServer(latency_s=LATENCY_S, outage="hang", outage_after=20) as server:
        project = Project.at(root, 100, openai(server, concurrency=CONCURRENCY, timeout_s=60, deadline_s=90))
        process = project.start()
        wait_until_all_hang(server)
        time.sleep(1)
        answered = {seen.prompt for seen in server.seen if not seen.fault}
        killed(process)
    assert {question(int(name[1:])) for name in project.journaled()} == answered


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments(root: Path, typed: Typed, seed: int) -> None:
    draw = random.Random(seed)
    killed_while_it_is_answered(root, 1000, [draw.uniform(0, 1.2) for _ in range(3)], typed)


@pytest.mark.slow
def test_killed_with_an_unbroken_twin(root: Path) -> None:
    """Everything that is stored is the same, the order of the rows and every number included."""
    with FaultyServer(latency_s=LATENCY_S) as server:
        one, other = (Project.at(root / name, 500, openai(server)) for name in ("unbroken", "killed"))
        assert one.run().code == 0
        for _ in range(2):
            asked = len(server.seen)
            process = other.start()
            server.wait_for(asked + 60)
            time.sleep(0.4)
            killed(process)
        assert 0 < other.journaled().total() < 500
        assert other.run().code == 0
    assert outcome(one.folder) == outcome(other.folder)
    assert estimates_of(one.folder) == estimates_of(other.folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_with_many_samples(root: Path, seed: int) -> None:
    """10,000 samples of a model that answers at once: in the middle of writing, of scoring, and of finishing."""
    draw = random.Random(seed)
    project = Project.at(root, 10_000, NULL)
    process = project.start()
    project.wait_for_answers(process, 0)
    time.sleep(draw.uniform(0, 1.5))
    if process.poll() is None:
        process.kill()
    process.communicate()
    was_finished = (project.folder / RECORD).is_file()
    known = project.journaled().total()
    said = project.run()
    assert said.code == 0, said.err
    folders = project.folders()
    assert len(folders) == 1 + was_finished
    assert was_finished or f"going on with {folders[0].name}" in said.err
    assert was_finished or known == 0 or f"{known} resumed" in said.err
    assert_whole(project, folders[-1], says=lambda prompt: "nothing")


@pytest.mark.slow
def test_killed_while_finishing(root: Path) -> None:
    """After the last answer: between the samples' file, the leaderboard, and the record."""
    project = Project.at(root, 500, NULL)
    stages = Counter[str]()
    for wait_for in (".samples.parquet.tmp", "samples.parquet", "leaderboard.md"):
        process = project.start("--new")
        known = set(project.folders()) if (root / "results").exists() else set()
        killed_at(process, project, known, wait_for)
        for folder in set(project.folders()) - known:
            stages["finished" if (folder / RECORD).is_file() else "unfinished"] += 1
        finished = [folder for folder in project.folders() if (folder / RECORD).is_file()]
        for folder in finished:
            assert_whole_but_for_leftovers(project, folder)
    assert stages["unfinished"] >= 1, stages
    while any(not (folder / RECORD).is_file() for folder in project.folders()):
        said = project.run()
        assert said.code == 0, said.err
        assert "going on with" in said.err
    for folder in project.folders():
        assert_whole_but_for_leftovers(project, folder)


def killed_at(process: subprocess.Popen[str], project: Project, known: set[Path], name: str) -> None:
    """Kill it as soon as its new folder has a file of that name, or it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        folders = set(project.folders()) - known if (project.root / "results").exists() else set()
        if any((folder / name).exists() for folder in folders):
            process.kill()
    process.communicate()


def assert_whole_but_for_leftovers(project: Project, folder: Path) -> None:
    for name in (".lock", "journal.jsonl"):
        (folder / name).unlink(missing_ok=True)
    assert_whole(project, folder, says=lambda prompt: "nothing")


# ── signals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_while_requests_hang(root: Path, typed: Typed, number: signal.Signals) -> None:
    """It ends once what is on its way has come or timed out, sends nothing more, and goes on where it was."""
    with FaultyServer(latency_s=0.005, outage="hang", outage_after=20) as server:
        project = Project.at(root, 200, openai(server, concurrency=CONCURRENCY, timeout_s=TIMEOUT_S, transport_retries=20))
        process = project.start()
        wait_until_all_hang(server)
        asked = len(server.seen)
        began = time.monotonic()
        process.send_signal(number)
        said = ended(process)
        assert time.monotonic() - began < TIMEOUT_S + 2
        assert said.code == 128 + number
        assert_resumable(project, said)
        assert len(server.seen) <= asked + CONCURRENCY, "it went on asking"
        assert_goes_on(server, project, typed)


@pytest.mark.slow
def test_interrupted_twice_ends_at_once(root: Path) -> None:
    with FaultyServer(latency_s=0.005, outage="hang", outage_after=20) as server:
        project = Project.at(root, 200, openai(server, concurrency=CONCURRENCY, timeout_s=40, deadline_s=50))
        process = project.start()
        wait_until_all_hang(server)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None, "requests are on their way"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = ended(process)
        assert time.monotonic() - began < 3
        assert said.code == 130
        assert "Traceback" not in said.err
        assert_goes_on(server, project, Project.run)


def wait_until_all_hang(server: FaultyServer) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while server.in_flight < CONCURRENCY or server.injected["outage"] < CONCURRENCY:
        assert time.monotonic() < deadline, "the requests do not hang"
        time.sleep(0.01)


def assert_resumable(project: Project, said: Ended) -> None:
    stopped, go_on = said.err.splitlines()[-2:]
    assert stopped == f"stopped; everything answered so far is in results/{project.folder.name}"
    assert go_on == "go on with: harness run run.yaml --cache-dir cache"
