"""A disk that is full, a folder that must not be written, a file in the way: one line says so, and nothing answered is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.store import RECORD
from tests.faults.conftest import Typed
from tests.faults.project import (
    NULL,
    Ended,
    Project,
    assert_no_secret,
    assert_whole,
    largest_file,
    needs_posix,
    question,
    without_root_powers,
)
from tests.faults.server import FaultyServer
from tests.faults.test_service import openai

NO_ROOM = 4
"""The exit code where something cannot be written: infrastructure."""


def nothing(prompt: str) -> str:
    """What the null model says."""
    return "nothing"


def assert_told_in_a_line(said: Ended, *words: str, code: int = NO_ROOM) -> None:
    """No traceback, no defect: one line on stderr after the progress, with these words in it, and how to go on with a run."""
    assert said.code == code, said.err
    what, *further = said.told.splitlines()
    assert what.startswith("error: "), said.err
    if further:
        kept, again = further
        assert kept.startswith("stopped; everything answered so far is in "), said.err
        assert again.startswith("go on with: harness run "), said.err
    assert "Traceback" not in said.err
    assert "defect" not in said.err
    for word in words:
        assert word in said.told, said.told


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """In this process: a write beyond ``size`` bytes fails as on a full disk (Python ignores the signal that goes with it)."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ── a full disk ─────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_posix
def test_no_room_for_the_journal(root: Path, typed: Typed) -> None:
    project = Project.at(root, 500, NULL)
    with no_file_beyond(30_000):
        said = typed(project)
    assert_told_in_a_line(said, "journal.jsonl cannot be written: File too large; what was written before is safe")
    known = project.journaled()
    assert 150 < known.total() < 500
    said = typed(project)
    assert said.code == 0, said.err
    assert f"{known.total()} resumed" in said.err
    assert_whole(project, project.folder, says=nothing)


@needs_posix
def test_no_room_for_the_samples(root: Path, typed: Typed) -> None:
    """Everything is answered, and there is no room for what is made of it; nothing is asked again when there is."""
    project = Project.at(root, 60, NULL, padding=4000)
    with no_file_beyond(40_000):
        said = typed(project)
    assert_told_in_a_line(said, "results")
    assert not (project.folder / RECORD).exists()
    assert project.journaled().total() == 60
    said = typed(project)
    assert said.code == 0, said.err
    assert "60 resumed" in said.err
    assert_whole(project, project.folder, says=nothing)


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("name", ["log.jsonl", "run.json", "samples.parquet"])
def test_no_room_for_one_file(root: Path, typed: Typed, name: str) -> None:
    """One byte less than that file needs; those that are larger do not fit either."""
    unbroken = Project.at(root / "unbroken", 30, NULL, padding=2000)
    assert typed(unbroken).code == 0
    size = (unbroken.folder / name).stat().st_size
    project = Project.at(root / "full", 30, NULL, padding=2000)
    said = project.run(before=largest_file(size - 1))
    assert_told_in_a_line(said)
    assert not list((project.root / "results").glob(f"*/{RECORD}"))
    known = project.journaled().total()
    said = typed(project)
    assert said.code == 0, said.err
    assert f"{known} resumed" in said.err or not known
    assert_whole(project, project.folders()[-1], says=nothing)


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("size", [400, 12_000])
def test_no_room_while_a_service_answers(root: Path, typed: Typed, size: int) -> None:
    """Nothing more is asked once an answer could not be written, and what was written is not asked again."""
    with FaultyServer(latency_s=0.01) as server:
        project = Project.at(root, 200, openai(server))
        said = project.run(before=largest_file(size))
        assert_told_in_a_line(said)
        known, asked = project.journaled(), len(server.seen)
        assert known.total() < asked < 200
        said = typed(project)
        assert said.code == 0, said.err
        assert {seen.prompt for seen in server.seen[asked:]} == {question(i) for i in range(200) if f"s{i}" not in known}
    assert_whole(project, project.folders()[-1])
    assert_no_secret(project.root, said)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """``small_disk(kilobytes)``: a folder on a file system of that size. Skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def mount(kilobytes: int) -> Path:
        if sys.platform != "linux" or shutil.which("mount") is None:
            pytest.skip("a small file system can be mounted on Linux only")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [4, 64, 256])
def test_a_full_disk(root: Path, small_disk: Callable[[int], Path], typed: Typed, kilobytes: int) -> None:
    """Results on a disk that fills up; then room is made."""
    disk = small_disk(kilobytes)
    project = Project.at(root, 300, NULL, padding=3000)
    (root / "results").symlink_to(disk, target_is_directory=True)
    filler = disk / "filler"
    filler.write_bytes(b"x" * 4096)
    said = project.run()
    assert_told_in_a_line(said)
    assert not list(disk.glob(f"*/{RECORD}"))
    known = project.journaled()
    assert subprocess.run(["mount", "-o", "remount,size=8m", str(disk)]).returncode == 0
    filler.unlink()
    said = typed(project)
    assert said.code == 0, said.err
    assert f"{known.total()} resumed" in said.err or not known
    assert_whole(project, project.folders()[-1], says=nothing)


@pytest.mark.slow
def test_a_full_disk_for_the_cache(root: Path, small_disk: Callable[[int], Path], typed: Typed) -> None:
    """The cache is told of once, and the run goes on without it."""
    disk = small_disk(64)
    with FaultyServer() as server:
        project = Project.at(root, 400, openai(server), 'cache: {version: "1"}')
        (root / "cache").mkdir()
        (root / "cache" / "answers").symlink_to(disk, target_is_directory=True)
        said = project.run()
        assert said.code == 0, said.err
        assert said.err.count("going on without it") == 1
        assert len(server.seen) == 400
    assert_whole(project, project.folder)


def test_no_room_to_write_down_a_defect(root: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours exits with 70 even where its traceback cannot be kept: 1 would mean "regressed"."""
    project = Project.at(root, 5, NULL)
    monkeypatch.setattr("harness.cli._dispatch", lambda arguments: 1 / 0)
    with no_file_beyond(0):
        said = typed(project)
    assert said.code == 70
    assert "a defect of the harness: ZeroDivisionError" in said.err


# ── folders that must not be written ────────────────────────────────────────────────────────────────────────────────


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize("what", ["results", "an unfinished run's folder", "an unfinished run's journal"])
def test_read_only(root: Path, typed: Typed, what: str) -> None:
    project = Project.at(root, 300, NULL)
    if what == "results":
        locked, mode = root / "results", 0o555
        locked.mkdir()
    else:
        with no_file_beyond(15_000):
            assert typed(project).code == NO_ROOM
        locked, mode = (project.folder, 0o555) if "folder" in what else (project.folder / "journal.jsonl", 0o444)
    known, before = project.journaled(), locked.stat().st_mode
    locked.chmod(mode)
    said = project.run(before=without_root_powers)
    assert_told_in_a_line(said, "results", "Permission denied")
    assert project.journaled() == known
    locked.chmod(before)
    said = typed(project)
    assert said.code == 0, said.err
    assert f"{known.total()} resumed" in said.err or not known
    assert_whole(project, project.folder, says=nothing)


@pytest.mark.parametrize("results", ["results", "results/below"])
def test_a_file_where_results_should_be(root: Path, typed: Typed, results: str) -> None:
    project = Project.at(root, 5, NULL)
    (root / "results").write_text("mine", encoding="utf-8")
    said = typed(project, results=results)
    assert_told_in_a_line(said, "results", code=2)
    assert (root / "results").read_text(encoding="utf-8") == "mine"


def make_cache(root: Path, trouble: str) -> None:
    folder = root / "cache"
    if trouble == "a file":
        folder.write_text("mine", encoding="utf-8")
        return
    (folder / "answers").mkdir(parents=True)
    if trouble == "damaged":
        (folder / "answers" / "answers.sqlite").write_bytes(b"this is no database" * 1000)
    elif trouble == "read-only":
        (folder / "answers").chmod(0o555)
        folder.chmod(0o555)


@pytest.mark.parametrize("trouble", ["damaged", "a file", pytest.param("read-only", marks=[needs_posix, pytest.mark.slow])])
def test_a_cache_that_cannot_be_used(root: Path, typed: Typed, trouble: str) -> None:
    with FaultyServer() as server:
        project = Project.at(root, 20, openai(server), 'cache: {version: "1"}')
        make_cache(root, trouble)
        said = project.run(before=without_root_powers) if trouble == "read-only" else typed(project)
        assert said.code == 0, said.err
        assert said.err.count("going on without it") == 1
        assert len(server.seen) == 20
    assert_whole(project, project.folder)
    if trouble == "a file":
        assert (root / "cache").read_text(encoding="utf-8") == "mine"
    for path in (root / "cache", root / "cache" / "answers"):
        if path.is_dir():
            path.chmod(0o755)
    assert os.path.lexists(root / "cache")
