"""What _trec.c gives. Buffers are one-dimensional and contiguous."""

from typing import Any

def read_lines(
    data: Any, codes: Any, offsets: Any, ids: Any, scores: Any, singles: Any, hashes: Any, /
) -> tuple[dict[str, int], int, int, bool, bool] | None:
    """Read the lines of a run into ``int32 codes[n]``, ``int32 offsets[n + 1]``, ``uint8 ids[m]``, ``float64 scores[n]``,
    ``float32 singles[n]`` and ``uint64 hashes[n]``, in the order of the file.

    Returns the number of every query; how many lines and bytes of ids were written; whether a query goes on after others, or
    a score rises inside one; whether all ids are ASCII (if not, they may be no UTF-8). None for lines, numbers and names that
    are at fault or out of the ordinary, and where there is no room for all.
    """
