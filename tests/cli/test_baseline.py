"""``harness baseline``: set, moved, shown, listed, removed; and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.projects import Harness


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "LOGNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "ada")


def test_a_name_is_set_and_stands_for_the_run(harness: Harness, finished: str) -> None:
    said = harness("baseline", "set", "main", "--note", "first")
    assert said.code == 0
    assert said.out.splitlines() == [f"main is {finished}", "next: harness gate latest --baseline main   or: harness history"]
    assert harness("show", "baseline:main", "--json").json["run_id"] == finished


def test_as_json(harness: Harness, project: Path, finished: str) -> None:
    first = harness("baseline", "set", "main", finished, "--json").json
    assert (first["schema"], first["run_id"], first["previous"], first["by"], first["note"]) == (1, finished, None, "ada", None)
    second = harness("run", str(project), "--new", "--json", "--quiet").json["run_id"]
    moved = harness("baseline", "set", "main", "--note", "better", "--json").json
    assert (moved["run_id"], moved["previous"]) == (second, finished)
    shown = harness("baseline", "show", "main", "--json").json
    assert (shown["run_id"], shown["exists"], [line["run_id"] for line in shown["log"]]) == (second, True, [finished, second])
    (listed,) = harness("baseline", "list", "--json").json["baselines"]
    assert (listed["name"], listed["run_id"], listed["by"], listed["note"]) == ("main", second, "ada", "better")
    removed = harness("baseline", "remove", "main", "--json").json
    assert (removed["run_id"], removed["previous"]) == (None, second)
    assert harness("baseline", "list", "--json").json == {"schema": 1, "baselines": []}


def test_an_actor_of_a_job_goes_before_the_user(harness: Harness, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    assert harness("baseline", "set", "main", "--json").json["by"] == "octocat"


def test_it_warns_of_a_run_that_lacks_too_much(harness: Harness, project: Path) -> None:
    """The project allows 30 % and lacks 25 %; at 10 % it is too much."""
    harness("run", str(project), "--quiet")
    assert harness("baseline", "set", "good", "--json").json["warnings"] == []
    harness("run", str(project), "--set", "max_missing=0.1", "--new", "--quiet")
    said = harness("baseline", "set", "main")
    assert said.code == 0
    assert said.err == "warning: poor × capitals: 1 of 4 outputs are missing, more than max_missing 0.1\n"


def test_a_baseline_whose_run_is_gone_is_listed_as_such(harness: Harness, finished: str) -> None:
    harness("baseline", "set", "main")
    shutil.rmtree(Path("results") / finished)
    assert f"{finished} (not in the results folder any more)" in harness("baseline", "list").out
    assert harness("baseline", "show", "main").out.splitlines()[-1] == "next: harness baseline set main"
    said = harness("show", "baseline:main")
    assert said.code == 2
    assert f"baseline 'main' is run '{finished}'" in said.err


@pytest.mark.parametrize("file", ["run.json", "samples.parquet"])
def test_a_baseline_whose_run_cannot_be_read_is_marked(harness: Harness, finished: str, file: str) -> None:
    harness("baseline", "set", "main")
    assert harness("baseline", "list", "--json").json["baselines"][0]["fault"] is None
    (Path("results") / finished / file).write_bytes(b"garbage")
    assert f"{finished} ({file} is damaged)" in " ".join(harness("baseline", "list").out.split())
    (row,) = harness("baseline", "list", "--json").json["baselines"]
    assert (row["exists"], f"{file} is damaged" in row["fault"]) == (True, True)
    shown = harness("baseline", "show", "main").out.splitlines()
    assert shown[0] == f"main is {finished} ({file} is damaged)"
    assert shown[-1] == "next: harness baseline set main RUN"


@pytest.mark.parametrize(("words", "message"), [
    (["shw", "main"], "harness baseline: unknown action 'shw'; did you mean 'show'?"),
    (["set"], "harness baseline set: which one? Give its name, as in harness baseline set main"),
    (["show", "mian"], "no baseline 'mian' in results; did you mean 'main'?"),
    (["remove", "mian"], "no baseline 'mian' in results; did you mean 'main'?"),
    (["list", "main"], "harness baseline list: takes no name, got 'main'"),
    (["show", "main", "latest"], "harness baseline show: takes no run, got 'latest'"),
    (["set", "a:b"], "baseline: a name must be printable, without ':', '#' and '~' and spaces around it, got 'a:b'"),
    (["set", "main", "1999"], "no run '1999' in results"),
])  # fmt: skip
def test_what_is_refused(harness: Harness, finished: str, words: list[str], message: str) -> None:
    harness("baseline", "set", "main")
    said = harness("baseline", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {message}")


def test_a_run_of_another_folder_is_refused(harness: Harness, finished: str) -> None:
    said = harness("baseline", "set", "main", str(Path("results") / finished), "--results", "elsewhere")
    assert said.code == 2
    assert "is not in the results folder elsewhere: give that with --results" in said.err


def test_an_unfinished_run_is_refused(harness: Harness, finished: str) -> None:
    folder = Path("results") / "20300101T000000.000Z-capitals-aaaa"
    folder.mkdir()
    (folder / "journal.jsonl").write_text("{}\n")
    said = harness("baseline", "set", "main", folder.name)
    assert (said.code, said.err) == (2, f"error: run '{folder.name}' is not finished: start it again with harness run\n")


def test_no_baselines(harness: Harness, project: Path) -> None:
    said = harness("baseline", "list")
    assert said.out.splitlines() == ["no baselines in results", "next: harness baseline set main"]
