"""What _hashes.c gives. Hashes are ``uint64``, bounds, rows and positions ``int64``; buffers are one-dimensional, contiguous."""

from typing import Any

def all_differ(hashes: Any, bounds: Any, /) -> bool:
    """Whether no two hashes of a stretch ``bounds[i]:bounds[i + 1]`` are equal."""

def members(
    hashes: Any, bounds: Any, rows: Any, asked: Any, asked_bounds: Any, positions: Any, places: Any, /
) -> int:
    """Write the positions of the hashes in stretch ``rows[i]`` that are in stretch i of ``asked``, and their places there.

    Returns how many there are; -1 if two of a stretch of ``asked`` are equal, or if there are more than there is room for.
    """
