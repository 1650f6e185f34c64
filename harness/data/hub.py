"""Data format ``hub``: a data set of the Hugging Face hub at a pinned commit, read with the library ``datasets``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import DataError, MissingDependency

if TYPE_CHECKING:
    from collections.abc import Iterator

_PINNED = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)?)@(?P<revision>[0-9a-f]{40})")


@dataclass(frozen=True)
class Hub:
    """``hub: org/name@<commit>``, its ``config`` if it has several, and the ``split``. The commit is the 40-digit one.

    The files are fetched once into the cache of ``datasets`` and read from there row by row. Code of a repository is never run.
    """

    name: ClassVar[str] = "hub"
    summary: ClassVar[str] = "a data set of the Hugging Face hub, pinned to a commit"

    hub: str
    split_: str = "test"
    config: str | None = None

    def __post_init__(self) -> None:
        if not _PINNED.fullmatch(self.hub):
            name = self.hub.partition("@")[0]
            raise DataError(
                f"hub: {self.hub!r} is not pinned to a commit; write hub: {name}@<commit>, the 40 hexadecimal digits shown at "
                f"https://huggingface.co/datasets/{name}/commits/main (a branch or a tag can move)"
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as plain Python values. Raises DataError if it cannot be had, MissingDependency without ``datasets``."""
        yield from self._load()

    def corpus(self) -> None:
        """None: a table has no corpus."""

    def split(self, name: str) -> Hub:
        """The same commit at another split."""
        return dataclasses.replace(self, split_=name)

    def _load(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            raise MissingDependency("data format hub", ["datasets"], "models") from error

        name, _, revision = self.hub.partition("@")
        try:
            return datasets.load_dataset(name, name=self.config, split=self.split_, revision=revision)
        except (OSError, ValueError, RuntimeError, LookupError) as error:
            raise DataError(self._advice(error)) from error

    def _advice(self, error: Exception) -> str:
        tried = f"split {self.split_!r}" + (f" of config {self.config!r}" if self.config else "")
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return (
            f"hub: {self.hub}: {tried} cannot be had ({type(error).__name__}: {reason}). Without the hub: fetch the files on a "
            "machine that reaches it and write data: {format: parquet, path: …} (or jsonl, csv) instead"
        )
