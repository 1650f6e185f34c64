"""What _hashes.c gives. Hashes are ``uint64``, offsets ``int32``, ids ``uint8``, all else ``int64``; buffers are contiguous."""

from typing import Any

def all_differ(hashes: Any, bounds: Any, /) -> bool:
    """Whether no two hashes of a stretch ``bounds[i]:bounds[i + 1]`` are equal."""

def judged(
    hashes: Any, bounds: Any, offsets: Any, ids: Any, rows: Any, qrels: list[Any], which: Any, lines: Any, grades: Any, /
) -> int:
    """Find the documents of stretch ``rows[i]`` in ``qrels[i]``, a dictionary of grades; line l's is
    ``ids[offsets[l]:offsets[l + 1]]``. Write i, the line and the grade of each.

    Returns how many there are; -1 if it is no such dictionary, if two documents have one hash, or without room for all.
    """
