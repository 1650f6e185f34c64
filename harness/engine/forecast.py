"""What a run would ask, read, write, cost and take: from its plan, the caches and earlier runs. No model is loaded or asked."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.codec import digest, dumps
from harness.config import Budget
from harness.engine.cache import cache_keys, known_keys
from harness.engine.journal import Answered, read_answered, read_header, request_hash
from harness.engine.pace import Pace, Paces
from harness.engine.plan import Plan, Unit
from harness.engine.run import CHUNK
from harness.errors import HarnessError
from harness.models.null import Null
from harness.protocols import Inspectable, Inspector, Resources, Suite
from harness.store import JOURNAL, is_finished, run_folders
from harness.types import Call, Key, Request, Sample, Usage

_SIZED_ALL = 20_000
_SIZED = 2_000
_PROBED = 8
_FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What a suite may raise on a sample: in a run it is missing then, with the reason."""


@dataclass(frozen=True, slots=True)
class UnitForecast:
    """One model on one task. Tokens and cost are of what is still to be asked; None: not known beforehand.

    ``requests``: the first of every sample × repeat; ``more_steps``: others follow that depend on the answers, so that all
    figures are least ones. ``resumed`` of them are answered in the unfinished run, ``cached`` in the answer cache.
    ``output_tokens`` and ``cost`` are what they can be at most. ``exact``: counted with the model's tokenizer; ``sized``: so
    many requests were counted, the rest follows from them.
    """

    entry: str
    task: str
    requests: int
    more_steps: bool
    resumed: int
    cached: int
    input_tokens: int | None
    output_tokens: int | None
    exact: bool
    sized: int
    truncated: int | None
    cost: float | None
    seconds: float | None
    pace: Pace | None

    @property
    def to_ask(self) -> int:
        return self.requests - self.resumed - self.cached


@dataclass(frozen=True, slots=True)
class BudgetForecast:
    """What of a limit under ``budget:`` a run would use at most, with what the unfinished run has used; None: not known."""

    key: str
    limit: float
    expected: float | None

    @property
    def share(self) -> float | None:
        """The part of the run after which the limit is reached; 1 and above: it is not."""
        if self.expected is None:
            return None
        return self.limit / self.expected if self.expected > 0 else math.inf

    @property
    def is_passed(self) -> bool | None:
        return None if self.share is None else self.share < 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run before it is run. ``resumes``: the name of the unfinished run that it would go on with."""

    units: tuple[UnitForecast, ...]
    budget: tuple[BudgetForecast, ...]
    resumes: str | None
    notes: tuple[str, ...]

    def total(self, name: str) -> float | None:
        """The sum over the units that know it; None where none does."""
        known = [value for unit in self.units if (value := getattr(unit, name)) is not None]
        return sum(known) if known else None


def forecast(plan: Plan, results: Path, cache_dir: Path, *, use_cache: bool = True, new: bool = False) -> Forecast:
    """Reads data, tokenizers, the answer cache and earlier runs; writes nothing.

    Raises what a run would raise before it asks its first request: BackendError, MissingDependency, DataError.
    """
    notes = list(plan.notes)
    folder = None if new else _unfinished(plan, results)
    answered = {} if folder is None else _by_unit(read_answered(folder / JOURNAL))
    resources = Resources(cache_dir, {}, notes.append)
    inspectors: dict[int, Inspector | None] = {}
    cache = _Cached(cache_dir / "answers") if use_cache else None
    paces = Paces(results)
    units = []
    for unit in plan.units:
        backend = unit.model.backend
        if id(backend) not in inspectors:
            inspectors[id(backend)] = backend.inspect(resources) if isinstance(backend, Inspectable) else None
        looker = _Looker(plan, unit, inspectors[id(backend)], cache)
        units.append(looker.look(answered.get(unit.index, {}), paces))
    spent = [record.usage for unit in answered.values() for record in unit.values() if record.usage is not None]
    budget = tuple(_budget(plan.config.budget or Budget(), units, spent))
    return Forecast(tuple(units), budget, None if folder is None else folder.name, tuple(dict.fromkeys(notes)))


def _unfinished(plan: Plan, results: Path) -> Path | None:
    """The folder that a run would go on with."""
    for folder in reversed(run_folders(results)):
        header = None if is_finished(folder) else read_header(folder / JOURNAL)
        if header is not None and (header.get("plan_hash"), header.get("name")) == (plan.plan_hash, plan.config.name):
            return folder
    return None


def _by_unit(records: Iterator[Answered]) -> dict[int, dict[Key, Answered]]:
    found: dict[int, dict[Key, Answered]] = {}
    for record in records:
        found.setdefault(record.unit, {})[record.key] = record
    return found


@dataclass(slots=True)
class _Sums:
    """What has been added up of the sizes of one unit's requests."""

    sized: int = 0
    read: int = 0
    written: int = 0
    truncated: int = 0
    cost: float | None = None
    exact: bool = True

    def add(self, inspector: Inspector, request: Request, times: int) -> None:
        size = inspector.size(request)
        self.sized += times
        self.read += size.input_tokens * times
        self.written += size.output_tokens * times
        self.truncated += size.truncated * times
        self.exact = self.exact and size.exact
        if size.cost is not None:
            self.cost = (self.cost or 0.0) + size.cost * times


@dataclass(frozen=True, slots=True)
class _Cached:
    """What the answer cache will have by the time that it is asked: what it has now, and what the run itself puts there."""

    folder: Path
    coming: set[bytes] = field(default_factory=set)

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        return known_keys(self.folder, keys) | self.coming.intersection(keys)


@dataclass(slots=True)
class _Looker:
    """Looks at the requests of one unit."""

    plan: Plan
    unit: Unit
    inspector: Inspector | None
    cache: _Cached | None
    requests: int = 0
    resumed: int = 0
    cached: int = 0
    samples_to_ask: int = 0
    sums: _Sums = field(default_factory=_Sums)

    def look(self, answered: Mapping[Key, Answered], paces: Paces) -> UnitForecast:
        data = self.plan.task_data(self.unit.task)
        suite = self.unit.task.suite.prepare(data)
        signature = self._signature(wanted=bool(paces))
        rows = data.facts.n * len(self.plan.config.seeds)
        stride = 1 if rows <= _SIZED_ALL else math.ceil(data.facts.n / _SIZED)
        samples = iter(data)
        while chunk := list(itertools.islice(samples, CHUNK)):
            asked = [(sample, request) for sample in chunk if (request := _first(suite, sample)) is not None]
            self._chunk(asked, answered, signature, stride)
        return self._found(_has_more_steps(suite, itertools.islice(data, _PROBED)), paces.find(self.unit, signature))

    def _signature(self, *, wanted: bool) -> Mapping[str, Any] | None:
        """The model's, where there is a use for it: it can take seconds."""
        if self.inspector is None or not (wanted or self._is_kept()):
            return None
        return self.inspector.signature()

    def _is_kept(self) -> bool:
        kept = self.unit.model.backend.cacheable
        return self.cache is not None and (kept == "always" or (kept == "versioned" and self.plan.config.cache is not None))

    def _chunk(
        self, asked: Sequence[tuple[Sample, Request]], answered: Mapping[Key, Answered],
        signature: Mapping[str, Any] | None, stride: int,
    ) -> None:  # fmt: skip
        seeds = self.plan.config.seeds
        hashes = [request_hash(request) for _, request in asked]
        left = [list(range(len(seeds))) for _ in asked]
        if answered:
            left = [[repeat for repeat in range(len(seeds)) if not _is_answered(answered, sample, repeat, asked_hash)]
                    for (sample, _), asked_hash in zip(asked, hashes)]  # fmt: skip
        rows, waiting = len(asked) * len(seeds), sum(map(len, left))
        self.requests += rows
        self.resumed += rows - waiting
        known = set[tuple[int, int]]()
        if self.cache is not None and self._is_kept() and signature is not None:
            keys = self._keys(asked, hashes, left, signature)
            if waiting == rows or self.unit.model.backend.independent:
                there = self.cache.known(list(keys.values()))
                known = {place for place, key in keys.items() if key in there}
            self.cache.coming.update(keys.values())
        self.cached += len(known)
        for place, (_, request) in enumerate(asked):
            times = sum((place, repeat) not in known for repeat in left[place])
            if self.inspector is not None and times and self.samples_to_ask % stride == 0:
                self.sums.add(self.inspector, request, times)
            self.samples_to_ask += bool(times)

    def _keys(
        self, asked: Sequence[tuple[Sample, Request]], hashes: Sequence[str],
        left: Sequence[Sequence[int]], signature: Mapping[str, Any],
    ) -> dict[tuple[int, int], bytes]:  # fmt: skip
        """The cache's key of every (place, repeat) of ``left``."""
        config = self.plan.config
        places = [(place, repeat) for place, repeats in enumerate(left) for repeat in repeats]
        calls = [(Call(Key(asked[place][0].id, repeat), asked[place][1], config.seeds[repeat]), hashes[place])
                 for place, repeat in places]
        return dict(zip(places, cache_keys(digest(dumps([dict(signature), config.cache])), calls)))

    def _found(self, more_steps: bool, pace: Pace | None) -> UnitForecast:
        sums, asked = self.sums, self.requests - self.resumed - self.cached
        factor = asked / sums.sized if sums.sized else 1.0
        knows = self.inspector is not None
        read = round(sums.read * factor) if knows else None
        by_tokens = not self.unit.model.backend.independent
        return UnitForecast(
            self.unit.entry, self.unit.task.name, self.requests, more_steps, self.resumed, self.cached,
            input_tokens=read,
            output_tokens=round(sums.written * factor) if knows else None,
            exact=sums.exact and sums.sized == asked,
            sized=sums.sized,
            truncated=round(sums.truncated * factor) if knows else None,
            cost=None if sums.cost is None else sums.cost * factor,
            seconds=0.0 if not asked else None if pace is None else pace.expected(asked, read, by_tokens=by_tokens),
            pace=pace if asked else None,
        )


def _first(suite: Suite, sample: Sample) -> Request | None:
    with contextlib.suppress(*_FAILURES):
        return next(suite.play(sample), None)
    return None


def _is_answered(answered: Mapping[Key, Answered], sample: Sample, repeat: int, request: str) -> bool:
    record = answered.get(Key(sample.id, repeat))
    return record is not None and record.request == request


def _has_more_steps(suite: Suite, samples: Iterator[Sample]) -> bool:
    """Whether some play asks again after an answer of the null model."""
    for sample in samples:
        play = suite.play(sample)
        with contextlib.suppress(StopIteration, HarnessError, *_FAILURES):
            request = next(play)
            for output in Null().run([Call(Key(sample.id), request)]):
                play.send(output)
                return True
    return False


def _budget(budget: Budget, units: Sequence[UnitForecast], spent: Sequence[Usage]) -> Iterator[BudgetForecast]:
    costs = [unit.cost for unit in units if unit.cost is not None]
    if budget.max_cost is not None:
        before = sum(usage.cost or 0.0 for usage in spent)
        yield BudgetForecast("max_cost", budget.max_cost, before + sum(costs) if costs or not _asks(units) else None)
    if budget.max_tokens is not None:
        known = [unit.input_tokens + (unit.output_tokens or 0) for unit in units if unit.input_tokens is not None]
        used = sum(usage.input_tokens + usage.output_tokens for usage in spent)
        yield BudgetForecast("max_tokens", budget.max_tokens, used + sum(known) if known or not _asks(units) else None)
    if budget.max_seconds is not None:
        unknown = any(unit.seconds is None for unit in units)
        yield BudgetForecast("max_seconds", budget.max_seconds, None if unknown else sum(unit.seconds or 0.0 for unit in units))


def _asks(units: Sequence[UnitForecast]) -> bool:
    return any(unit.to_ask for unit in units)
