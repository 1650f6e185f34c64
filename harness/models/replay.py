"""A model whose answers were stored before: in files of JSON lines, or in the folder of an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from harness.errors import BackendError, ConfigError
from harness.models.replaylines import JsonLines
from harness.models.replayrun import SAMPLES, StoredRun
from harness.protocols import Cacheable, Resources, TaskView
from harness.types import REQUEST_TYPES, Call, Output

_CALLS_PER_BATCH = 1024

_Source: TypeAlias = JsonLines | StoredRun


@dataclass
class Replay:
    """Gives back stored answers, whatever it is asked, by sample id and repeat.

    ``path`` is a file of JSON lines (gzip is recognised) or the folder of a finished run, one for all tasks or a mapping
    from task to path. ``model`` names which of a run's models answers, where it has several. A sample without a stored
    answer is a failed output, "no stored answer". A line may name its task; lines that do not are for every task.

    A line may hold several answers (a text and a label): the request's type decides (``stored.ANSWERS_TO``).

    Files may be large: lines stay on disk, and only where each begins is kept in memory (gzip is unpacked to a temporary
    file for that). Every line is read and checked when the first task starts that needs the file.
    """

    name: ClassVar[str] = "replay"
    summary: ClassVar[str] = "answers stored in a JSONL file or in an earlier run"
    provides: ClassVar[frozenset[type]] = frozenset(REQUEST_TYPES)
    cacheable: ClassVar[Cacheable] = "never"
    independent: ClassVar[bool] = True
    tuning: ClassVar[frozenset[str]] = frozenset()

    path: Path | Mapping[str, Path]
    model: str | None = None
    _sources: dict[Path, _Source] = field(default_factory=dict, init=False, repr=False, compare=False)
    _task: str | None = field(default=None, init=False, repr=False, compare=False)
    _shared_by: dict[Path, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _say: Callable[[str], None] = field(default=lambda message: None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.path, Path) and not self.path:
            raise ConfigError("replay: path must name a file, a run folder, or one of them for each task; got an empty mapping")
        for path in filter(_is_unfinished, self._paths()):
            raise ConfigError(f"replay: path {str(path)!r} is not the folder of a finished run: it has no {SAMPLES}")

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None:
        """Raises BackendError for a path that is neither a file nor the folder of a finished run."""
        self._say = resources.say
        for path in self._paths():
            if _is_unfinished(path):
                raise BackendError(f"replay: {path} is not the folder of a finished run: it has no {SAMPLES}")
            if not path.exists():
                raise BackendError(f"replay: {path} does not exist")

    def close(self) -> None:
        for source in self._sources.values():
            source.close()
        self._sources, self._shared_by, self._task = {}, {}, None

    def signature(self) -> Mapping[str, Any]:
        """The contents of what is replayed, by hash."""
        hashes = {path: _digest(path / SAMPLES if path.is_dir() else path) for path in self._paths()}
        content = hashes[self.path] if isinstance(self.path, Path) else {t: hashes[p] for t, p in self.path.items()}
        return {"backend": self.name, "content": content, "model": self.model}

    def start_task(self, task: TaskView) -> None:
        """Find the task's answers. Raises DataError for a bad line, BackendError where there is no choosing."""
        path = self._path_of(task.name)
        source = self._sources.get(path)
        if source is None:
            source = StoredRun(path, self.model) if path.is_dir() else JsonLines(path)
            self._sources[path] = source
        self._task = task.name
        if source.start_task(task.name) == "shared":
            before = self._shared_by.setdefault(path, task.name)
            if before != task.name:
                self._say(f"replay: tasks {before!r} and {task.name!r} both take the lines of {path} that name no task")

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        return [calls[start : start + _CALLS_PER_BATCH] for start in range(0, len(calls), _CALLS_PER_BATCH)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        if self._task is None:
            raise BackendError("replay: run before start_task")
        source = self._sources[self._path_of(self._task)]
        for call in calls:
            yield source.find(call) or Output(call.key, None, error="no stored answer")

    def _paths(self) -> list[Path]:
        return [self.path] if isinstance(self.path, Path) else list(dict.fromkeys(self.path.values()))

    def _path_of(self, task: str) -> Path:
        if isinstance(self.path, Path):
            return self.path
        if task not in self.path:
            raise BackendError(f"replay: path names no file for task {task!r}; it has {', '.join(self.path)}")
        return self.path[task]


def _is_unfinished(path: Path) -> bool:
    return path.is_dir() and not (path / SAMPLES).is_file()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
