"""What a run would do, foretold: against what the run then does."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.config import Budget, ModelConfig
from harness.engine.forecast import Forecast, UnitForecast, forecast
from harness.engine.ledger import Stopped
from harness.engine.plan import Plan, make_plan
from harness.engine.run import run_plan
from harness.errors import BackendError, Interrupted
from harness.protocols import Resources, Size
from harness.store import is_finished
from harness.types import Generate, Request, RunRecord
from tests.engine.toys import Echo, TwoSteps, options, plan

WORDS = ("a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg")  # 28 letters


@dataclass(frozen=True)
class Letters:
    """Counts letters as tokens; a prompt of more than ``room`` would be cut."""

    told: Mapping[str, Any] | None
    exact: bool = True
    room: int = 9

    def signature(self) -> Mapping[str, Any] | None:
        return self.told

    def size(self, request: Request) -> Size:
        assert isinstance(request, Generate)
        n = len(request.prompt)
        return Size(min(n, self.room), request.decoding.max_tokens, self.exact, truncated=n > self.room, cost=n / 100)

    def render(self, request: Request) -> Mapping[str, Any]:
        return {}


@dataclass
class Told(Echo):
    """An echo that can say beforehand what it would do, and must never be opened for that."""

    may_open: bool = True
    exact: bool = True
    knows_itself: bool = True

    def open(self, resources: Resources) -> None:
        if not self.may_open:
            raise AssertionError("a forecast opened the model")

    def inspect(self, resources: Resources) -> Letters:
        return Letters(self.signature() if self.knows_itself else None, self.exact)


def look(made: Plan, folder: Path, **how: Any) -> tuple[Forecast, UnitForecast]:
    found = forecast(made, folder / "results", folder / "cache", **how)
    (unit,) = found.units
    return found, unit


def run(made: Plan, folder: Path, **changes: Any) -> RunRecord:
    return run_plan(made, options(folder, **changes), lambda path, record: None)


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_sizes_are_added_up_over_the_samples(tmp_path: Path) -> None:
    _, unit = look(plan(Told(may_open=False), WORDS), tmp_path)
    # "say " and the word: 5 6 7 8 9 10 11 letters, of which 9 can be read: 53; the last two are cut
    assert (unit.requests, unit.resumed, unit.cached, unit.to_ask) == (7, 0, 0, 7)
    assert (unit.input_tokens, unit.output_tokens, unit.truncated) == (5 + 6 + 7 + 8 + 9 + 9 + 9, 7 * 256, 2)
    assert unit.cost == pytest.approx(0.56)
    assert (unit.exact, unit.sized, unit.more_steps) == (True, 7, False)
    assert (unit.seconds, unit.pace) == (None, None)


def test_every_seed_is_asked(tmp_path: Path) -> None:
    _, unit = look(plan(Told(), WORDS, seeds=(0, 1, 2)), tmp_path)
    assert (unit.requests, unit.input_tokens, unit.truncated, unit.sized, unit.exact) == (21, 3 * 53, 6, 21, True)


def test_nothing_is_written(tmp_path: Path) -> None:
    made = plan(Told(), WORDS)
    run(made, tmp_path)
    before = files(tmp_path)
    look(made, tmp_path)
    assert files(tmp_path) == before


def test_an_empty_place_stays_empty(tmp_path: Path) -> None:
    look(plan(Told(), WORDS), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_the_cache_has_is_not_asked(tmp_path: Path) -> None:
    run(plan(Told(), WORDS[:3]), tmp_path)
    _, unit = look(plan(Told(may_open=False), WORDS), tmp_path)
    assert (unit.requests, unit.cached, unit.to_ask, unit.input_tokens) == (7, 3, 4, 8 + 9 + 9 + 9)
    record = run(plan(Told(), WORDS), tmp_path)
    assert record.counts["units"]["echo × words"]["cached"] == 3


def test_a_cache_that_is_being_written_is_read(tmp_path: Path) -> None:
    run(plan(Told(), WORDS), tmp_path)
    other = sqlite3.connect(tmp_path / "cache" / "answers" / "answers.sqlite")
    other.execute("DELETE FROM answers")
    other.commit()
    _, unit = look(plan(Told(), WORDS), tmp_path)
    assert unit.cached == 0, "what the other process did stands in the log beside the database"
    other.close()


@pytest.mark.parametrize("why", ["no cache", "never", "unknown", "versioned", "damaged"])
def test_no_answer_is_taken_from_the_cache_that_a_run_would_not_take(tmp_path: Path, why: str) -> None:
    run(plan(Told(), WORDS), tmp_path)
    backend = Told(knows_itself=why != "unknown", cacheable=why if why in ("never", "versioned") else "always")
    if why == "damaged":
        (tmp_path / "cache" / "answers" / "answers.sqlite").write_bytes(b"no database" * 100)
    _, unit = look(plan(backend, WORDS), tmp_path, use_cache=why != "no cache")
    assert unit.cached == 0


def test_a_versioned_model_is_known_by_its_version(tmp_path: Path) -> None:
    def made(version: str) -> Plan:
        bare = plan(Told(cacheable="versioned"), WORDS)
        return dataclasses.replace(bare, config=dataclasses.replace(bare.config, cache={"version": version}))

    run(made("1"), tmp_path)
    assert look(made("1"), tmp_path)[1].cached == 7
    assert look(made("2"), tmp_path)[1].cached == 0


def stop_in_the_middle(made: Plan, folder: Path) -> str:
    """A run that is stopped after its first batch of four; the name of its folder."""

    def stop(n: int) -> None:
        raise Stopped("enough", 4)

    made.units[0].model.backend.on_batch = stop  # type: ignore[attr-defined]
    with pytest.raises(Interrupted):
        run(made, folder)
    made.units[0].model.backend.on_batch = None  # type: ignore[attr-defined]
    (left,) = (path for path in (folder / "results").iterdir() if not is_finished(path))
    return left.name


def test_an_unfinished_run_is_gone_on_with(tmp_path: Path) -> None:
    made = plan(Told(cacheable="never"), WORDS)
    name = stop_in_the_middle(made, tmp_path)
    before = files(tmp_path)
    found, unit = look(made, tmp_path)
    assert files(tmp_path) == before
    assert found.resumes == name
    assert (unit.requests, unit.resumed, unit.to_ask, unit.input_tokens) == (7, 4, 3, 9 + 9 + 9)


def test_a_new_run_and_another_plan_go_on_with_nothing(tmp_path: Path) -> None:
    made = plan(Told(cacheable="never"), WORDS)
    stop_in_the_middle(made, tmp_path)
    found, unit = look(made, tmp_path, new=True)
    assert (found.resumes, unit.resumed) == (None, 0)
    found, unit = look(plan(Told(cacheable="never"), WORDS[::-1]), tmp_path)
    assert (found.resumes, unit.resumed) == (None, 0)


def test_a_torn_line_is_no_answer(tmp_path: Path) -> None:
    made = plan(Told(cacheable="never"), WORDS)
    journal = tmp_path / "results" / stop_in_the_middle(made, tmp_path) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    assert look(made, tmp_path)[1].resumed == 3


def test_an_answer_to_another_request_does_not_count(tmp_path: Path) -> None:
    made = plan(Told(cacheable="never"), WORDS)
    journal = tmp_path / "results" / stop_in_the_middle(made, tmp_path) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    changed = lines[-1].replace(b'"h":"', b'"h":"0')
    journal.write_bytes(b"".join([*lines[:-1], changed]))
    assert look(made, tmp_path)[1].resumed == 3


def test_later_steps_are_told_of(tmp_path: Path) -> None:
    _, unit = look(plan(Told(), WORDS, suite=TwoSteps()), tmp_path)
    assert (unit.more_steps, unit.requests) == (True, 7)


def test_a_model_that_says_nothing_beforehand(tmp_path: Path) -> None:
    _, unit = look(plan(Echo(), WORDS), tmp_path)
    assert (unit.requests, unit.input_tokens, unit.output_tokens, unit.truncated, unit.cost) == (7, None, None, None, None)
    assert not unit.exact


def test_estimates_are_labelled(tmp_path: Path) -> None:
    assert not look(plan(Told(exact=False), WORDS), tmp_path)[1].exact


def test_of_a_large_task_a_part_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.engine.forecast._SIZED_ALL", 100)
    monkeypatch.setattr("harness.engine.forecast._SIZED", 20)
    _, unit = look(plan(Told(), [f"{'x' * (1 + i % 3)}" for i in range(300)]), tmp_path)
    assert (unit.sized, unit.exact, unit.requests) == (20, False, 300)
    # every 15th sample, all of them of one letter: five letters each
    assert (unit.input_tokens, unit.output_tokens) == (300 * 5, 300 * 256)


def test_a_prompt_that_the_model_refuses_is_refused_as_in_a_run(tmp_path: Path) -> None:
    class Strict(Told):
        def inspect(self, resources: Resources) -> Letters:
            raise BackendError("no such weights")

    with pytest.raises(BackendError, match="no such weights"):
        look(plan(Strict(), WORDS), tmp_path)


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def timed(folder: Path, made: Plan, seconds: float) -> RunRecord:
    """A finished run of which the record says that it took so long."""
    from harness.store import write_record

    record = run(made, folder, use_cache=False)
    took = {**record.timings, "units": {"echo × words": seconds}}
    changed = dataclasses.replace(record, timings=took)
    write_record(folder / "results" / record.run_id, changed)
    return changed


def test_time_follows_the_tokens_of_an_earlier_run(tmp_path: Path) -> None:
    record = timed(tmp_path, plan(Told(), WORDS[:2]), 4.0)  # 2 requests, each 3 tokens read and 1 written: 8 tokens in 4 s
    _, unit = look(plan(Told(), WORDS), tmp_path, use_cache=False)
    assert unit.seconds == pytest.approx((53 + 7) * 0.5)
    assert unit.pace is not None
    assert (unit.pace.run_id, unit.pace.task) == (record.run_id, "words")


def test_time_of_a_service_follows_the_number_of_requests(tmp_path: Path) -> None:
    class Service(Told):
        independent = True

    timed(tmp_path, plan(Service(), WORDS[:2]), 4.0)
    assert look(plan(Service(), WORDS), tmp_path, use_cache=False)[1].seconds == pytest.approx(14.0)


def test_the_newest_run_of_the_same_model_counts(tmp_path: Path) -> None:
    class Other(Told):
        def signature(self) -> Mapping[str, Any]:
            return {"backend": "echo", "weights": "others"}

    made = plan(Told(), WORDS)
    timed(tmp_path, made, 5.0)
    newest = timed(tmp_path, made, 10.0)
    timed(tmp_path, plan(Other(), WORDS), 1.0)
    _, unit = look(made, tmp_path, use_cache=False)
    assert unit.pace is not None
    assert unit.pace.run_id == newest.run_id


def test_what_came_from_the_cache_says_nothing_of_time(tmp_path: Path) -> None:
    made = plan(Told(), WORDS)
    run(made, tmp_path)
    first = timed(tmp_path, made, 7.0)
    assert run(made, tmp_path).counts["units"]["echo × words"]["cached"] == 7
    _, unit = look(made, tmp_path, use_cache=False)
    assert unit.pace is not None
    assert unit.pace.run_id == first.run_id


def test_nothing_to_ask_takes_no_time(tmp_path: Path) -> None:
    made = plan(Told(), WORDS)
    run(made, tmp_path)
    _, unit = look(made, tmp_path)
    assert (unit.to_ask, unit.seconds, unit.pace, unit.input_tokens) == (0, 0.0, None, 0)


# ── budget ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_budget(made: Plan, **limits: float) -> Plan:
    return dataclasses.replace(made, config=dataclasses.replace(made.config, budget=Budget(**limits)))  # type: ignore[arg-type]


def test_a_budget_that_is_too_small_says_where_it_ends(tmp_path: Path) -> None:
    made = with_budget(plan(Told(), WORDS), max_cost=0.28, max_tokens=5000)
    cost, tokens = look(made, tmp_path)[0].budget
    assert (cost.key, cost.is_passed, tokens.key, tokens.is_passed) == ("max_cost", True, "max_tokens", False)
    assert cost.expected == pytest.approx(0.56)
    assert cost.share == pytest.approx(0.5)
    assert tokens.expected == 53 + 7 * 256


def test_what_the_unfinished_run_has_used_counts(tmp_path: Path) -> None:
    made = with_budget(plan(Told(cacheable="never"), WORDS), max_tokens=10_000)
    stop_in_the_middle(made, tmp_path)
    (tokens,) = look(made, tmp_path)[0].budget
    assert tokens.expected == 4 * (3 + 1) + 27 + 3 * 256


def test_what_came_from_the_cache_was_not_paid(tmp_path: Path) -> None:
    run(plan(Told(), WORDS[:2]), tmp_path)
    made = with_budget(plan(Told(), WORDS), max_tokens=10_000)
    stop_in_the_middle(made, tmp_path)  # two answers of the cache, and a batch of four
    (tokens,) = look(made, tmp_path, use_cache=False)[0].budget
    assert tokens.expected == 4 * (3 + 1) + 9 + 256


def test_what_cannot_be_known_is_not_guessed(tmp_path: Path) -> None:
    made = with_budget(plan(Echo(), WORDS), max_cost=1.0, max_seconds=10.0)
    cost, seconds = look(made, tmp_path)[0].budget
    assert (cost.expected, cost.is_passed, seconds.expected, seconds.is_passed) == (None, None, None, None)


# ── what the run itself puts into the cache ─────────────────────────────────────────────────────────────────────────


def cached(found: Forecast) -> list[tuple[int, int, int | None]]:
    return [(unit.cached, unit.to_ask, unit.input_tokens) for unit in found.units]


def cached_of(record: RunRecord) -> list[int]:
    return [unit["cached"] for unit in record.counts["units"].values()]


def test_equal_prompts_are_asked_once_a_chunk_and_then_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("forecast", "run"):
        monkeypatch.setattr(f"harness.engine.{module}.CHUNK", 2)
    words = ("a", "a", "bb", "a", "bb", "c")  # a chunk asks the cache before it asks the model: both a are asked
    found, _ = look(plan(Told(), words), tmp_path)
    assert cached(found) == [(2, 4, 5 + 5 + 6 + 5)]
    found, _ = look(plan(Told(), words), tmp_path, use_cache=False)
    assert cached(found) == [(0, 6, 32)]
    found, _ = look(plan(Told(cacheable="never"), words), tmp_path)
    assert cached(found) == [(0, 6, 32)]
    assert cached_of(run(plan(Told(), words), tmp_path)) == [2]


class Others(Told):
    def signature(self) -> Mapping[str, Any]:
        return {"backend": "echo", "weights": "others"}


def test_what_a_unit_asks_the_next_of_the_same_model_knows(tmp_path: Path) -> None:
    """As in a matrix over a key that changes how fast a model is and never what it says."""
    made = plan(Told(), WORDS[:3], seeds=(0, 1))
    (cell,) = made.config.cells
    models = [ModelConfig("echo", backend, "echo", {"n": n}) for n, backend in enumerate((Told(), Told(), Others()))]
    cells = tuple(dataclasses.replace(cell, axes={"n": str(n)}, models={"echo": model}) for n, model in enumerate(models))
    matrix = make_plan(dataclasses.replace(made.config, cells=cells))
    found = forecast(matrix, tmp_path / "results", tmp_path / "cache")
    assert cached(found) == [(0, 6, 36), (6, 0, 0), (0, 6, 36)]
    assert cached_of(run(matrix, tmp_path)) == [0, 6, 0]
