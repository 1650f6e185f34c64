"""Rankings as TREC run files beside the record, for any other evaluation tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from harness.codec import digest
from harness.data.trec import run_lines
from harness.engine.plan import Unit
from harness.engine.waves import Row
from harness.errors import DataError
from harness.store import slug, writing
from harness.types import Ranking


class RankingsFile:
    """``runs/<task>.<entry>.trec`` of one unit; dropped with a note where the form cannot hold an id (the record can)."""

    def __init__(self, folder: Path, unit: Unit, say: Callable[[str], None]) -> None:
        with writing(folder):
            folder.mkdir(exist_ok=True)
        self._tag, self._say = slug(unit.entry), say
        self._path = folder / f"{_stem(unit.task.name)}.{_stem(unit.entry)}.trec"
        with writing(self._path):
            self._stream = self._path.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: Sequence[Row]) -> None:
        """Append the rankings of the first repeat."""
        if self._stream.closed:
            return
        try:
            with writing(self._path):
                for row in rows:
                    if isinstance(row.output.answer, Ranking) and row.repeat == 0:
                        self._stream.writelines(run_lines(row.sample.id, row.output.answer, self._tag))
        except DataError as error:
            self._say(f"{self._path.name} is not written: {error}")
            self._stream.close()
            self._path.unlink()

    def __enter__(self) -> RankingsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with writing(self._path):
            self._stream.close()


def _stem(name: str) -> str:
    """A name as part of a file's name: short, and with a hash where letters were lost, so that no two names are one file."""
    short = slug(name)[:60]
    return short if short == name else f"{short}-{digest(name.encode())[:6]}"
