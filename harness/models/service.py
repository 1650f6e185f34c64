"""What the backends that put calls to a service have in common: it answers each call by itself, and an asker asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.errors import BackendError
from harness.models.asking import Asker
from harness.protocols import Cacheable, TaskView
from harness.types import Call, Output


@dataclass
class Service:
    """Base of such a backend. It opens its asker in its own ``open`` and keeps it in ``_asker``."""

    _asker: Asker | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str]
    cacheable: ClassVar[Cacheable] = "versioned"
    independent: ClassVar[bool] = True

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def start_task(self, task: TaskView) -> None:
        """Nothing of a task is needed."""

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        """All at once: how many are under way is the asker's to say."""
        return [calls] if calls else []

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Raises BackendError before ``open``, and what :meth:`Asker.outputs` does."""
        if self._asker is None:
            raise BackendError(f"{self.name} backend: open() it before asking it")
        yield from self._asker.outputs(calls)

    def close(self) -> None:
        """Close the connections. May be called twice."""
        if self._asker is not None:
            self._asker.close()
            self._asker = None
