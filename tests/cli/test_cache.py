"""``harness cache``: counts, clearing, and not clearing by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.cache import Cache
from tests.cli.projects import Harness


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A cache folder with two answers and one file of weights."""
    cache = Cache(tmp_path / "answers")
    cache.put([(b"one", b"1"), (b"two", b"22")])
    cache.close()
    (tmp_path / "weights.bin").write_bytes(b"w")
    return str(tmp_path)


def test_stats(harness: Harness, folder: str) -> None:
    document = harness("cache", "stats", "--cache-dir", folder, "--json").json
    assert (document["schema"], document["answers"]) == (1, 2)
    assert document["oldest"] == document["newest"] > 1.7e9
    said = harness("cache", "stats", "--cache-dir", folder)
    assert said.out.splitlines()[-1] == f"next: harness cache clear --cache-dir {folder}"


def test_clear_asks_first_and_refuses_where_nobody_answers(harness: Harness, folder: str) -> None:
    said = harness("cache", "clear", "--cache-dir", folder)
    assert (said.code, said.out, said.err) == (2, "", "error: harness cache clear: say --yes where nobody can be asked\n")
    assert harness("cache", "stats", "--cache-dir", folder, "--json").json["answers"] == 2


def test_clear_forgets_answers_and_nothing_else(harness: Harness, folder: str) -> None:
    assert harness("cache", "clear", "--yes", "--cache-dir", folder, "--json").json["cleared"] == 2
    assert harness("cache", "stats", "--cache-dir", folder, "--json").json["answers"] == 0
    assert (Path(folder) / "weights.bin").read_bytes() == b"w"


def test_an_empty_cache(harness: Harness, tmp_path: Path) -> None:
    assert harness("cache", "stats", "--cache-dir", str(tmp_path), "--json").json["answers"] == 0
    assert harness("cache", "clear", "--yes", "--cache-dir", str(tmp_path)).out.splitlines()[0] == "0 answers forgotten"


def test_a_damaged_cache_is_deleted_and_said_so(harness: Harness, folder: str) -> None:
    answers = Path(folder) / "answers" / "answers.sqlite"
    for ending in ("", "-wal", "-shm"):
        answers.with_name(answers.name + ending).write_bytes(b"not a database" * 100)
    stats = harness("cache", "stats", "--cache-dir", folder)
    assert (stats.code, stats.out) == (2, "")
    assert stats.err == (
        f"error: the answer cache {answers} is damaged: file is not a database\n"
        f"delete it with: harness cache clear --cache-dir {folder}\n"
    )
    said = harness("cache", "clear", "--yes", "--cache-dir", folder)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{answers} was damaged: deleted\nnext: harness run\n"
    assert list(answers.parent.iterdir()) == []
    assert (Path(folder) / "weights.bin").read_bytes() == b"w"


def test_a_damaged_cache_as_json(harness: Harness, folder: str) -> None:
    answers = Path(folder) / "answers" / "answers.sqlite"
    answers.write_bytes(b"not a database" * 100)
    document = harness("cache", "clear", "--yes", "--cache-dir", folder, "--json").json
    assert document == {"schema": 1, "path": str(answers), "cleared": 0, "deleted": True}
    document = harness("cache", "clear", "--yes", "--cache-dir", folder, "--json").json
    assert document == {"schema": 1, "path": str(answers), "cleared": 0, "deleted": False}


@pytest.mark.parametrize("words", [["stats"], ["stats", "--json"], ["clear", "--yes"]])
def test_a_file_is_no_cache_folder(harness: Harness, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    said = harness("cache", *words, "--cache-dir", str(file))
    assert said.refusal == [f"{file} is a file, not a cache folder"]
    assert file.read_text() == "mine"
