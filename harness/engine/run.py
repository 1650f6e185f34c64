"""A whole run: open or resume its folder, play every unit, score as the answers come, and close it with its record."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.codec import digest, dumps
from harness.config import Budget, ModelConfig
from harness.engine.beside import TIMEOUT_S, Beside, Rules, make_workers
from harness.engine.cache import Cache
from harness.engine.environment import environment
from harness.engine.events import Event, Listener, Note, RunStarted, UnitFinished, UnitProgress, UnitStarted
from harness.engine.folder import OpenRun, open_run
from harness.engine.garbage import no_collections
from harness.engine.interrupt import StopSignal
from harness.engine.journal import Journal
from harness.engine.ledger import Ledger, Stopped
from harness.engine.plan import LoadedData, Plan, Unit
from harness.engine.rankings import RankingsFile
from harness.engine.record import UnitResult, build_record, row_columns
from harness.engine.roles import encoder_at, is_source, wanted_roles
from harness.engine.scoring import Scorer, make_settings
from harness.engine.waves import Player, Tally
from harness.errors import BackendError, DataError, Interrupted, MetricError, MissingDependency, Unwritable
from harness.metrics.systemcost import flops_per_token, peak_memory
from harness.protocols import Backend, Resources, TaskView
from harness.store import SampleWriter, write_record
from harness.types import RunRecord, Sample

CHUNK = 4096
"""Samples that are played together. A constant, not a setting: batches follow from it, and so must not change in a run."""

Publish = Callable[[Path, RunRecord], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run lives and who watches it; nothing here changes an answer."""

    results: Path
    cache_dir: Path
    use_cache: bool = True
    new: bool = False
    listener: Listener = lambda event: None
    command: str = "harness run"


def run_plan(plan: Plan, options: RunOptions, publish: Publish) -> RunRecord:
    """Do what the plan says. ``publish`` writes what belongs beside the record (leaderboards) just before the folder is closed.

    Raises Interrupted on Ctrl-C or SIGTERM, or when a budget is spent, and ServiceDown when a service answers nobody any more:
    after everything that was answered is on disk. A run that ends before its first answer leaves nothing behind.
    """
    config = plan.config
    notes: list[str] = []

    def say(message: str) -> None:
        notes.append(message)
        options.listener(Note(message))

    for note in plan.notes:
        say(note)
    stopping = f"stopping after the batch in hand (once more: at once); go on with: {options.command}"
    with StopSignal(lambda: say(stopping)) as stop:
        opened = open_run(options.results, config.name, plan.plan_hash, new=options.new, say=say)
        running = _Run(plan, options, opened, stop, say)
        try:
            options.listener(RunStarted(opened.folder.name, opened.folder, opened.resumed, len(plan.units)))
            opened.log("start", resumed=opened.resumed, plan_hash=plan.plan_hash)
            record = running.execute(notes)
            publish(opened.folder, record)
            opened.log("finish")
            write_record(opened.folder, record)
            opened.finish()
        except (BackendError, DataError, MetricError, MissingDependency, Unwritable) as error:
            if opened.resumed or running.ledger.outputs:
                error.args = (f"{error}\n{_how_to_go_on(opened, options)}",)
            else:
                opened.discard()
            raise
        finally:
            opened.release()
    return record


class _Run:
    """The state of one run while it goes."""

    def __init__(self, plan: Plan, options: RunOptions, opened: OpenRun, stop: StopSignal, say: Callable[[str], None]) -> None:
        self.plan, self.config, self.options, self.opened, self.stop, self.say = plan, plan.config, options, opened, stop, say
        config = self.config
        self.ledger = Ledger(config.budget or Budget(), lambda: stop.received)
        self.workers = make_workers(config.scoring)
        self.settings = make_settings(config.seeds[0], config.level, config.n_bootstrap, config.max_missing)
        self.roles: dict[str, Backend] = {}
        self.role_signatures: dict[str, Mapping[str, Any]] = {}
        self.model_facts: dict[str, Mapping[str, Any]] = {}

    def execute(self, notes: Sequence[str]) -> RunRecord:
        started, clock = time.time(), time.monotonic()
        header = {"name": self.config.name, "plan_hash": self.plan.plan_hash, "run_id": self.opened.folder.name}
        with contextlib.ExitStack() as stack:
            cache = self._cache(stack)
            journal = self.opened.journal(header, self.say)
            stack.callback(journal.close)
            writer = SampleWriter(self.opened.folder, self._metric_names())
            stack.enter_context(self.workers)
            stack.callback(self._close_roles)
            results: list[UnitResult] = []
            try:
                for model, units in itertools.groupby(self.plan.units, key=lambda unit: unit.model):
                    results += self._model(model, list(units), journal, cache, writer)
            except Stopped as stopped:
                writer.abort()
                spent = "" if stopped.limit is None else self.ledger.words(stopped.limit)
                told = _how_to_go_on(self.opened, self.options, spent)
                raise Interrupted(told, stopped.exit_code or self.stop.exit_code) from None
            except BaseException:
                writer.abort()
                raise
            writer.close()
        times = {"started": started, "finished": time.time(), "seconds": time.monotonic() - clock}
        made_with = {**environment(), "models": self.model_facts, "peak_memory_bytes": dict(peak_memory())}
        about = {"times": times, "notes": list(notes), "made_with": made_with, "roles": self.role_signatures}
        return build_record(self.plan, self.opened.folder, results, self.settings, about)

    def _model(
        self, model: ModelConfig, units: Sequence[Unit], journal: Journal, cache: Cache | None, writer: SampleWriter
    ) -> Iterator[UnitResult]:
        """Load one model, take all its units, free it."""
        self.ledger.checkpoint()
        backend, resources = model.backend, self._resources(model)
        try:
            backend.open(resources)
            self.model_facts[model.name] = _facts(backend)
            self.opened.log("model", model=model.name, facts=self.model_facts[model.name])
            signature = dict(backend.signature())
            for unit in units:
                journal.start_unit(unit.index, digest(dumps(signature)))
                yield self._unit(unit, signature, journal, self._cache_for(backend, cache), writer)
        finally:
            backend.close()

    def _unit(
        self, unit: Unit, signature: dict[str, Any], journal: Journal, cache: Cache | None, writer: SampleWriter
    ) -> UnitResult:
        data = self.plan.task_data(unit.task)
        total = data.facts.n * len(self.config.seeds)
        unit.model.backend.start_task(TaskView(unit.task.name, data.corpus()))
        clock = time.monotonic()
        self.options.listener(UnitStarted(unit.entry, unit.task.name, total))
        scorer = Scorer(dict(zip(unit.task.metric_specs, unit.task.metrics)), data, self._metric_roles(unit))
        for warning in scorer.warnings:
            self.say(f"{unit.task.name}: {warning}")
        player = Player(
            suite=unit.task.suite.prepare(data), backend=unit.model.backend, journal=journal, unit=unit.index,
            seeds=self.config.seeds, cache=cache, model_hash=self._model_hash(signature),
            ledger=self.ledger,
            progress=lambda tally: self.options.listener(_progress(unit, total, tally)),
        )  # fmt: skip
        result = UnitResult(unit, scorer, signature, player.tally)
        self._play(data, player, result, self._rules(unit, total), writer)
        scorer.score_held()
        for warning in scorer.late_warnings():
            self.say(f"{unit.task.name}: {warning}")
        result.seconds = time.monotonic() - clock
        if result.fingerprint() != data.facts.fingerprint:
            raise DataError(f"{unit.task.where('data')}: the data changed while the run was going; start it again")
        tally, where = player.tally, (unit.entry, unit.task.name)
        self.options.listener(UnitFinished(*where, tally.done, tally.missing, tally.cached, result.seconds))
        self.opened.log("unit", entry=where[0], task=where[1], rows=tally.done, missing=tally.missing, seconds=result.seconds)
        return result

    def _play(
        self, data: LoadedData, player: Player, result: UnitResult, rules: Rules, writer: SampleWriter
    ) -> None:  # fmt: skip
        """Play the samples chunk by chunk; those that were played are scored meanwhile, and written in their order."""
        beside = Beside[dict[str, list[Any]]](result.scorer, self.workers, rules)
        with contextlib.ExitStack() as stack:
            rankings = self._rankings_file(result.unit, stack)
            for number, samples in enumerate(_chunks(data)):
                rows = player.play(number, samples)
                columns = row_columns(result.unit, rows)
                result.count(rows)
                result.note_hashes(columns["sample_hash"][:: len(self.config.seeds)])
                if rankings is not None:
                    rankings.write(rows)
                for done in beside.add([row.sample for row in rows], [row.output for row in rows], columns):
                    writer.write(*done)
            for done in beside.rest():
                writer.write(*done)

    def _rules(self, unit: Unit, n_rows: int) -> Rules:
        timeout_s = self.config.scoring.get("timeout_s") or TIMEOUT_S
        task, workers = unit.task.name, self.config.scoring.get("workers")
        return Rules(
            None if workers is None else int(workers), timeout_s, n_rows, lambda message: self.say(f"{task}: {message}"),
            self._unless_stopped,
        )  # fmt: skip

    def _unless_stopped(self) -> None:
        """Answers wait to be scored: a budget that is spent by now is no reason to leave them, a signal is."""
        if self.stop.received is not None:
            raise Stopped

    def _cache_for(self, backend: Backend, cache: Cache | None) -> Cache | None:
        """Across runs only what is fixed by the signature is kept, or what the config gives a version to."""
        versioned = backend.cacheable == "versioned" and self.config.cache is not None
        return cache if versioned or backend.cacheable == "always" else None

    def _model_hash(self, signature: Mapping[str, Any]) -> str:
        return digest(dumps([signature, self.config.cache]))

    def _metric_roles(self, unit: Unit) -> Mapping[str, Backend]:
        return {name: self._role(name) for name in wanted_roles(unit.task.metrics)}

    def _role(self, name: str) -> Backend:
        """The model of a role, opened when it is first asked for."""
        if name not in self.roles:
            role = encoder_at(name) if is_source(name) and name not in self.config.roles else self.config.roles[name].backend
            self.roles[name] = role  # before it is open: what it has of its model by then is to be freed too
            role.open(Resources(self.options.cache_dir, {}, self.say, self.ledger.checkpoint))
            self.role_signatures[f"role {name}"] = dict(role.signature())
        return self.roles[name]

    def _resources(self, model: ModelConfig) -> Resources:
        for name in model.backend.needs_roles():
            self._role(name)
        return Resources(self.options.cache_dir, dict(self.roles), self.say, self.ledger.checkpoint)

    def _close_roles(self) -> None:
        for role in self.roles.values():
            role.close()

    def _cache(self, stack: contextlib.ExitStack) -> Cache | None:
        if not self.options.use_cache:
            return None
        cache = Cache(self.options.cache_dir / "answers", self.say)
        stack.callback(cache.close)
        return cache

    def _metric_names(self) -> list[str]:
        return list(dict.fromkeys(name for unit in self.plan.units for name in unit.task.metric_specs))

    def _rankings_file(self, unit: Unit, stack: contextlib.ExitStack) -> RankingsFile | None:
        if "ranking" not in unit.task.suite.gives():
            return None
        return stack.enter_context(RankingsFile(self.opened.folder / "runs", unit, self.say))


def _how_to_go_on(opened: OpenRun, options: RunOptions, reason: str = "") -> str:
    kept = f"everything answered so far is in {opened.folder}"
    if not reason:
        return f"stopped; {kept}\ngo on with: {options.command}"
    return f"stopped: {reason}; {kept}\ngo on, with more under budget: in the config, with: {options.command}"


def _facts(backend: Backend) -> dict[str, Any]:
    """What a backend can tell of its open model (how big it is, say), and an estimate of what a token costs it."""
    told = getattr(backend, "facts", None)
    found = dict(told()) if callable(told) else {}
    if "parameters_in_products" in found:
        found["flops_per_token_estimate"] = flops_per_token(
            found["parameters_in_products"], layers=found.get("layers", 0), width=found.get("attention_width", 0),
            context=found.get("context", 0),
        )  # fmt: skip
    return found


def _chunks(samples: Iterator[Sample] | Any) -> Iterator[list[Sample]]:
    iterator = iter(samples)
    while True:
        with no_collections():
            chunk = list(itertools.islice(iterator, CHUNK))
        if not chunk:
            return
        yield chunk


def _progress(unit: Unit, total: int, tally: Tally) -> Event:
    done = tally.done + tally.under_way
    return UnitProgress(unit.entry, unit.task.name, done, total, tally.missing, tally.cached, tally.resumed)


def exit_code(record: RunRecord, max_missing: float) -> int:
    """4 where some unit lacks more than the allowed share of its outputs, else 0."""
    shares: Mapping[str, Any] = record.counts["units"]
    return 4 if any(unit["missing"] > max_missing * unit["rows"] for unit in shares.values()) else 0
