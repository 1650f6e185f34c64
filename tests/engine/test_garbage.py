"""While the engine works on a chunk nothing is searched for garbage, and nothing is lost for good by it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from harness.engine.garbage import no_collections


class Thing:
    """Can be in a cycle, and be seen to go."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that were searched."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def test_nothing_is_searched_inside_or_for_the_sake_of_what_was_made_inside(collections: list[int]) -> None:
    with no_collections():
        collections.clear()
        made = [[i] for i in range(20_000)]
        assert collections == []
    kept = [[i] for i in range(50)]
    assert collections == []
    assert gc.isenabled()
    assert len(made) + len(kept) == 20_050


def test_garbage_from_before_goes_first() -> None:
    thing = weakref.ref(Thing())
    with no_collections():
        assert thing() is None


def test_garbage_made_inside_is_found_later() -> None:
    with no_collections():
        thing = weakref.ref(Thing())
    gc.collect()
    assert thing() is None


def test_whoever_switched_the_search_off_finds_it_off_and_frozen_objects_stay_frozen() -> None:
    gc.disable()
    try:
        with no_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.freeze()
    try:
        with pytest.raises(KeyError), no_collections():
            raise KeyError
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
    finally:
        gc.unfreeze()
