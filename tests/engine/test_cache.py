"""The answer cache: keys, several processes at once, damage."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engine.cache import Cache, Cleared, DamagedCache, cache_keys, cache_stats, clear_cache
from harness.engine.journal import request_hash
from harness.errors import StoreError
from harness.types import Call, Decoding, Generate, Key

CALL = Call(Key("s"), Generate("p"), 0)


def keys(model: str, *calls: Call) -> list[bytes]:
    return cache_keys(model, [(call, request_hash(call.request)) for call in calls])


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(CALL, seed=1),
        dataclasses.replace(CALL, key=Key("s", repeat=1)),
        dataclasses.replace(CALL, request=Generate("q")),
        dataclasses.replace(CALL, request=Generate("p", Decoding(temperature=0.1))),
    ],
)
def test_whatever_changes_the_answer_changes_the_key(other: Call) -> None:
    one, two = keys("a", CALL, other)
    assert one != two


def test_the_model_changes_the_key_and_the_sample_id_does_not() -> None:
    assert keys("a", CALL) != keys("b", CALL)
    assert keys("a", CALL) == keys("a", dataclasses.replace(CALL, key=Key("t", step=2)))


def test_what_is_drawn_at_random_belongs_to_its_sample_and_step() -> None:
    drawn = dataclasses.replace(CALL, request=Generate("p", Decoding(temperature=0.7)))
    others = [dataclasses.replace(drawn, key=key) for key in (Key("t"), Key("s", step=1), Key("s", arm="oracle"))]
    assert len(set(keys("a", drawn, *others))) == 4


def test_put_get_stats_clear(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put([(b"%05d" % i, b"v%d" % i) for i in range(1200)])
    assert cache.get([b"00000", b"01199", b"nope!"]) == {b"00000": b"v0", b"01199": b"v1199"}
    assert len(cache.get([b"%05d" % i for i in range(1200)])) == 1200
    cache.close()
    assert cache_stats(tmp_path)["answers"] == 1200
    assert clear_cache(tmp_path) == Cleared(tmp_path / "answers.sqlite", 1200, was_damaged=False)
    assert cache_stats(tmp_path)["answers"] == 0
    assert clear_cache(tmp_path / "nowhere").answers == 0


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.engine.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for batch in range(20): cache.put([(b'%s-%d-%d' % (sys.argv[2].encode(), batch, i), b'v') for i in range(50)])\n"
        "assert cache.broken is None, cache.broken"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(4)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0, 0]
    assert cache_stats(tmp_path)["answers"] == 4 * 20 * 50


def test_a_damaged_cache_is_told_once_and_then_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"this is not a database, it is a text that is long enough to be one" * 20)
    told: list[str] = []
    cache = Cache(tmp_path, told.append)
    cache.put([(b"k", b"v")])
    assert cache.get([b"k"]) == {}
    assert len(told) == 1
    assert "going on without it" in told[0]


def not_a_database(path: Path) -> None:
    path.write_bytes(b"this is not a database, it is a text that is long enough to be one" * 20)


def pages_overwritten(path: Path) -> None:
    cache = Cache(path.parent)
    cache.put([(b"%05d" % i, b"v" * 100) for i in range(1000)])
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"x" * len(data[4096:])
    path.write_bytes(data)


def without_our_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.close()


@pytest.mark.parametrize("damage", [not_a_database, pages_overwritten, without_our_table])
def test_clearing_deletes_a_damaged_cache_which_then_works_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "answers.sqlite"
    damage(path)
    with pytest.raises(DamagedCache, match="is damaged: "):
        cache_stats(tmp_path)
    assert clear_cache(tmp_path) == Cleared(path, 0, was_damaged=True)
    assert list(tmp_path.iterdir()) == []
    cache = Cache(tmp_path)
    cache.put([(b"k", b"v")])
    cache.close()
    assert cache_stats(tmp_path)["answers"] == 1


def test_a_cache_that_another_process_is_writing_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    cache.put([(b"k", b"v")])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: connect(path, **{**options, "timeout": 0}))
    writer = connect(tmp_path / "answers.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="cannot be cleared: database is locked") as told:
        clear_cache(tmp_path)
    assert not isinstance(told.value, DamagedCache)
    writer.execute("ROLLBACK")
    writer.close()
    assert cache.get([b"k"]) == {b"k": b"v"}
    cache.close()


@pytest.mark.parametrize("below", [".", "answers", "a/b"])
def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for act in (cache_stats, clear_cache):
        with pytest.raises(StoreError, match="is a file, not a cache folder") as told:
            act(file / below)
        assert str(file) + " is" in str(told.value)
