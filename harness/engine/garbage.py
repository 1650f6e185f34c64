"""Python's search for garbage in cycles, put off while the engine works on a chunk."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """For the engine's own work on one chunk: what it makes lives to the chunk's end, and to look for garbage among it again
    and again was a fifth of all time. Never while a model runs, which may hold much memory in cycles.

    What is young garbage before goes first. What was made inside is moved to the oldest generation in one step, without being
    looked at: to freeze and to unfreeze does just that, and resets the counts that call for a collection.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # somebody's own frozen objects stay frozen
            gc.freeze()
            gc.unfreeze()
        gc.enable()
