"""What a file of predictions or references looks like: its form, and the kind of answers in it. Never by its name."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from harness.codec import loads
from harness.data.files import Source, numbered_lines
from harness.engine.wants import Family, Form, Reading, Wants
from harness.errors import UsageError

_LOOKED_AT = 5


def held(source: Any) -> Source:
    """A path; or a stream or a pipe read to its end, so that it can be looked at before it is read."""
    if not isinstance(source, str | Path):
        return cast("BinaryIO", _HeldStream(source))
    path = Path(source)
    if path.is_file() or path.is_dir() or not path.exists():
        return path
    with path.open("rb") as pipe:
        return cast("BinaryIO", _HeldStream(pipe))


class _HeldStream(io.BytesIO):
    def __init__(self, stream: Any) -> None:
        data = stream.read()
        self.name = str(getattr(stream, "name", "<stream>"))
        if not isinstance(data, bytes):
            raise UsageError(f"score: {self.name} must be opened in binary mode")
        super().__init__(data)


def form_of(wants: Wants, source: Source, reading: Reading, *, has_truth: bool) -> Form:
    """The form to read it in: the one that is given, or what it looks like."""
    if reading.input_format is not None:
        return cast("Form", reading.input_format)
    usual = wants.forms[0]
    if usual == "jsonl" or looks_like_objects(source, reading):
        return "jsonl"
    if usual == "npy" and not _is_array(source):
        return "jsonl"
    stands_alone = wants.family == "label" or (wants.family == "number" and bool(wants.truth))
    is_table = not has_truth and (reading.target is not None or stands_alone)
    if usual == "text" and (reading.names_columns or is_table):
        return "csv"
    return usual


def held_by(source: Source) -> Callable[[Sequence[Family]], Family]:
    """Which of several kinds of answers a file holds, by its first row; the first kind where that does not tell."""

    def held(families: Sequence[Family]) -> Family:
        if _is_array(source):
            return "vectors" if "vectors" in families else families[0]
        head = next((line for _, line in numbered_lines(from_start(source)) if not line.isspace()), b"")
        try:
            row = loads(head)
        except ValueError:
            return next((family for family in ("number", "label") if family in families), families[0])
        keys: set[str] = set(row) if isinstance(row, dict) else set()
        tag = str(row["answer"].get("type")) if "answer" in keys and isinstance(row["answer"], dict) else ""
        return next((family for family in families if tag == family or keys & _KEYS.get(family, frozenset())), families[0])

    return held


def looks_like_objects(source: Source, reading: Reading) -> bool:
    """Whether the first lines are JSON objects; where columns are named, whether the file begins like one."""
    head = list(islice((line for _, line in numbered_lines(from_start(source)) if not line.isspace()), _LOOKED_AT))
    if head and head[0].lstrip().startswith(b"["):
        return is_list(source)
    if not head or not head[0].lstrip().startswith(b"{"):
        return False
    return reading.names_columns or any(map(_is_object, head))


def is_list(source: Source) -> bool:
    """Whether the whole file is one JSON list of objects."""
    start = from_start(source)
    data = start.read_bytes() if isinstance(start, Path) else start.read()
    if not data.lstrip().startswith(b"[") or not data.rstrip().endswith(b"]"):
        return False
    try:
        values = loads(data)
    except ValueError:
        return False
    return isinstance(values, list) and bool(values) and all(isinstance(value, dict) for value in values)


def begins_like_an_object(source: Source) -> bool:
    """Whether the first line that is not blank does; true of a file that has none."""
    first = next((line for _, line in numbered_lines(from_start(source)) if not line.isspace()), b"{")
    return first.lstrip().startswith((b"{", b"["))


def from_start(source: Source) -> Source:
    """The source, to be read from its beginning."""
    if not isinstance(source, Path):
        source.seek(0)
    return source


_KEYS: Mapping[Family, frozenset[str]] = {
    "text": frozenset({"text"}), "label": frozenset({"label", "labels", "probabilities", "prediction"}),
    "number": frozenset({"value"}), "vectors": frozenset({"vectors", "vector"}), "tags": frozenset({"tags"}),
    "ratings": frozenset({"ratings"}), "ranking": frozenset({"ranking"}),
    "likelihoods": frozenset({"logprob", "token_logprobs"}),
}  # fmt: skip
_NPY = b"\x93NUMPY"


def _is_array(source: Source) -> bool:
    """Whether it is a numpy file."""
    start = from_start(source)
    if isinstance(start, Path):
        with start.open("rb") as stream:
            return stream.read(len(_NPY)) == _NPY
    return start.read(len(_NPY)) == _NPY


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False
