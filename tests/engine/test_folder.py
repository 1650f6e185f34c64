"""Run folders that killed processes left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.engine.folder import open_run
from harness.engine.run import run_plan
from harness.store import JOURNAL, RECORD
from tests.engine.test_run import nothing
from tests.engine.toys import Echo, options, plan


def opened(results: Path) -> Path:
    run = open_run(results, "toy", "hash", new=False, say=lambda message: None)
    run.release()
    return run.folder


def aged(folder: Path) -> Path:
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_a_folder_whose_journal_never_began_is_cleared_once_it_is_old(tmp_path: Path) -> None:
    fresh, old, torn = opened(tmp_path), opened(tmp_path), opened(tmp_path)
    (old / "log.jsonl").write_text("{}\n")
    (torn / JOURNAL).write_text('{"schema":1,"na')
    aged(old)
    aged(torn)
    notes = tmp_path / "20260101-notes"
    notes.mkdir()
    aged(notes)
    rescore = tmp_path / "20260101T000000.000Z-toy-abcd"
    rescore.mkdir()
    (rescore / ".samples.parquet.tmp").write_text("being written by a rescore")
    aged(rescore)
    newer = opened(tmp_path)
    (newer / JOURNAL).write_text('{"schema":2,"name":"toy"}\n')
    aged(newer)
    last = opened(tmp_path)
    kept = {path.name for path in (fresh, last, notes, rescore, newer)}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_what_is_left_beside_a_record_is_cleared_and_the_run_is_not_touched(tmp_path: Path) -> None:
    record = run_plan(plan(Echo()), options(tmp_path), nothing)
    assert record.path is not None
    before = (record.path / RECORD).read_bytes()
    (record.path / JOURNAL).write_text('{"schema":1}\n')
    opened(tmp_path / "results")
    assert {path.name for path in record.path.iterdir()} - {".lock"} == {"log.jsonl", "run.json", "samples.parquet"}
    assert (record.path / RECORD).read_bytes() == before


def test_a_folder_that_another_process_has_locked_is_left(tmp_path: Path) -> None:
    run = open_run(tmp_path, "toy", "hash", new=False, say=lambda message: None)
    aged(run.folder)
    other = opened(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {run.folder.name, other.name}
    run.release()
