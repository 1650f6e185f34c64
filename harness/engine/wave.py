"""One wave: calls that are answered together, each by the journal, the cache or the backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.engine.journal import Entry, request_hash
from harness.engine.ledger import Ledger
from harness.errors import BackendError
from harness.types import Call, Key


class Wave:
    """The calls of one wave with the hashes of their requests, and what is known of their answers, by position."""

    __slots__ = ("calls", "entries", "n_known", "position", "requests")

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.requests = [request_hash(call.request) for call in calls]
        self.position = {call.key: position for position, call in enumerate(calls)}
        self.entries: list[Entry | None] = [None] * len(calls)
        self.n_known = 0

    def note(self, entries: Mapping[int, Entry]) -> None:
        """These are answered and in the journal."""
        for position, entry in entries.items():
            self.entries[position] = entry
        self.n_known += len(entries)

    def take_journaled(self, journaled: Mapping[Key, Entry], ledger: Ledger) -> int:
        """Take what was answered before the run was stopped, if it was asked the same then; how many answers that are."""
        entries = {
            position: entry
            for position, call in enumerate(self.calls)
            if (entry := journaled.get(call.key)) is not None and entry.request == self.requests[position]
        }
        for entry in entries.values():
            if not entry.cached:
                ledger.add(entry.output)
        self.note(entries)
        return len(entries)

    def to_ask(self, independent: bool) -> Sequence[Call]:
        """What goes to the backend to be put into batches; where they matter, what was answered by it before too."""
        if not self.n_known:
            return self.calls
        if independent:
            return [call for call, entry in zip(self.calls, self.entries) if entry is None]
        return [call for call, entry in zip(self.calls, self.entries) if entry is None or not entry.cached]

    def knows_all(self, batch: Sequence[Call]) -> bool:
        """Whether every call of a batch is answered."""
        return bool(self.n_known) and all(self.entries[self.position[call.key]] is not None for call in batch)

    def answered(self, backend: str) -> Sequence[Entry]:
        """Every entry. Raises BackendError where some call never was in a batch."""
        entries = [entry for entry in self.entries if entry is not None]
        if len(entries) < len(self.calls):
            lost = len(self.calls) - len(entries)
            raise BackendError(f"backend {backend}: batches() left out {lost} of {len(self.calls)} calls")
        return entries
