"""The answer cache: keys, several processes at once, damage."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.cache import Cache, cache_keys, cache_stats, clear_cache
from harness.engine.journal import request_hash
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
    assert clear_cache(tmp_path) == 1200
    assert cache_stats(tmp_path)["answers"] == 0
    assert clear_cache(tmp_path / "nowhere") == 0


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
