"""The log of gates: appended to, never rewritten, whole after a torn line, one decision a hypothesis."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.files import locked
from harness.store.gatelog import GATE_LOG, append_decision, decisions


def decision(run: str, verdict: str = "passed", stream: str = "s", baseline: str = "b") -> dict[str, str]:
    return {"stream": stream, "run": run, "baseline": baseline, "verdict": verdict}


def test_decisions_come_back_stream_by_stream_in_their_order(tmp_path: Path) -> None:
    assert decisions(tmp_path) == []
    for run, stream in (("r1", "s"), ("r2", "other"), ("r3", "s")):
        append_decision(tmp_path, decision(run, stream=stream))
    assert [line["run"] for line in decisions(tmp_path, "s")] == ["r1", "r3"]
    assert [line["run"] for line in decisions(tmp_path)] == ["r1", "r2", "r3"]
    assert decisions(tmp_path, "s")[0]["schema"] == 1
    assert decisions(tmp_path, "s")[0]["at"].endswith("Z")


def test_a_run_that_is_gated_again_is_one_hypothesis_in_its_old_place(tmp_path: Path) -> None:
    for run, verdict in (("r1", "regressed"), ("r2", "passed"), ("r1", "inconclusive")):
        append_decision(tmp_path, decision(run, verdict))
    append_decision(tmp_path, decision("r1", "passed", baseline="another"))
    assert [(line["run"], line["baseline"], line["verdict"]) for line in decisions(tmp_path, "s")] == [
        ("r1", "b", "inconclusive"), ("r2", "b", "passed"), ("r1", "another", "passed"),
    ]  # fmt: skip
    assert len((tmp_path / GATE_LOG).read_text().splitlines()) == 4


@pytest.mark.parametrize("torn", ['{"schema": 1, "stream": "s", "ru', "\x00\x00\x00"])
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path, torn: str) -> None:
    append_decision(tmp_path, decision("r1"))
    with (tmp_path / GATE_LOG).open("a") as stream:
        stream.write(torn)
    assert [line["run"] for line in decisions(tmp_path)] == ["r1"]
    append_decision(tmp_path, decision("r2"))
    assert [line["run"] for line in decisions(tmp_path)] == ["r1", "r2"]
    assert [json.loads(line)["run"] for line in (tmp_path / GATE_LOG).read_text().splitlines()] == ["r1", "r2"]


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    append_decision(tmp_path, decision("r1"))
    path = tmp_path / GATE_LOG
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    append_decision(tmp_path, decision("r2"))
    assert [line["run"] for line in decisions(tmp_path)] == ["r1", "r2"]


@pytest.mark.parametrize("line", ["garbage", "[]", '{"schema": 1, "stream": "s", "run": 3, "baseline": "b"}', "{}"])
def test_damage_before_the_end_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    append_decision(tmp_path, decision("r1"))
    with (tmp_path / GATE_LOG).open("a") as stream:
        stream.write(line + "\n")
    append_decision(tmp_path, decision("r2"))
    with pytest.raises(StoreError, match=r"gate\.jsonl:2 is damaged"):
        decisions(tmp_path, "s")


def test_a_newer_schema_is_told(tmp_path: Path) -> None:
    (tmp_path / GATE_LOG).write_text(json.dumps({**decision("r"), "schema": 2}) + "\n")
    with pytest.raises(StoreError, match="has schema 2, this harness reads up to 1"):
        decisions(tmp_path)


def test_a_decision_says_of_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"append_decision: baseline must be texts, got \[None\]"):
        append_decision(tmp_path, {"stream": "s", "run": "r", "baseline": None})
    assert not (tmp_path / GATE_LOG).exists()


def test_processes_at_once_lose_no_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.store.gatelog import append_decision\n"
        "for i in range(12): append_decision(Path(sys.argv[1]), {'stream': 's', 'run': f'{sys.argv[2]}{i}', 'baseline': 'b'})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who]) for who in "ab"]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    assert sorted(line["run"] for line in decisions(tmp_path)) == sorted(f"{who}{i}" for who in "ab" for i in range(12))


def test_nobody_writes_while_another_holds_the_log(tmp_path: Path) -> None:
    """What another process is in the middle of writing would look torn, and be cut off."""
    code = (
        "import sys; from pathlib import Path; from harness.store.gatelog import append_decision; print('ready', flush=True)\n"
        "append_decision(Path(sys.argv[1]), {'stream': 's', 'run': 'r', 'baseline': 'b'})\n"
    )
    with locked(tmp_path / GATE_LOG):
        worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=0.5)
        assert decisions(tmp_path) == []
    assert worker.wait(timeout=30) == 0
    assert [line["run"] for line in decisions(tmp_path)] == ["r"]


def test_a_log_that_is_never_let_go_of_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.store.files._PATIENCE_S", 0.1)
    code = (
        "import sys, time; from pathlib import Path; from harness.store.files import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(30)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / GATE_LOG)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(StoreError, match=r"another process has held .*\.gate\.jsonl\.lock for 0\.1 s: end it"):
            append_decision(tmp_path, decision("r"))
    finally:
        holder.kill()
        holder.wait()
