"""``harness init``: what it says; what it writes is run in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.projects import Harness

RETRIEVAL = ["configs/retrieval.yaml", "tasks/data/retrieval.corpus.jsonl", "tasks/data/retrieval.qrels.tsv",
             "tasks/data/retrieval.queries.jsonl", "tasks/retrieval.yaml"]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_json(harness: Harness) -> None:
    said = harness("init", "retrieval", "--json")
    assert said.json == {
        "schema": 1, "kind": "retrieval", "files": RETRIEVAL, "next": "harness run configs/retrieval.yaml",
    }  # fmt: skip
    assert all(Path(file).is_file() for file in RETRIEVAL)


def test_json_of_another_folder(harness: Harness) -> None:
    document = harness("init", "retrieval", "--dir", "my app", "--json").json
    assert document["files"] == [f"my app/{file}" for file in RETRIEVAL]
    assert document["next"] == "cd 'my app' && harness run configs/retrieval.yaml"


def test_people_are_told_the_same(harness: Harness) -> None:
    lines = [f"wrote {file}" for file in RETRIEVAL]
    assert harness("init", "retrieval").out.splitlines() == [*lines, "next: harness run configs/retrieval.yaml"]


def test_one_file_in_the_way(harness: Harness) -> None:
    Path("tasks").mkdir()
    Path("tasks/retrieval.yaml").write_text("mine")
    said = harness("init", "retrieval", "--json")
    assert said.refusal == [
        "init: tasks/retrieval.yaml is there already; nothing was written (remove it or use another folder)"
    ]


def test_several_files_in_the_way(harness: Harness) -> None:
    harness("init", "retrieval")
    said = harness("init", "retrieval")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: init: {', '.join(RETRIEVAL)} are there already; nothing was written (remove them or use another folder)\n"
    )
