"""The engine end to end on small parts: waves, journal, resume, cache, failures, interruption."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.codec import loads
from harness.config import Budget, ModelConfig
from harness.engine.plan import make_plan
from harness.engine.run import exit_code, run_plan
from harness.errors import BackendError, Interrupted, ServiceDown
from harness.protocols import Resources
from harness.store import JOURNAL, RECORD, read_record, read_samples, run_folders
from harness.types import Call, Generate, Output, RunRecord, Usage
from tests.engine.toys import Echo, TwoSteps, options, plan


def nothing(folder: Path, record: RunRecord) -> None:
    """Publishes no leaderboard."""


def samples(record: RunRecord) -> list[dict[str, Any]]:
    assert record.path is not None
    rows = []
    for block in read_samples(record.path):
        rows += [dict(zip(block, values)) for values in zip(*block.values())]
    return rows


def texts(record: RunRecord) -> list[tuple[str, int, str | None, str | None]]:
    return [(row["sample_id"], row["repeat"], row["text"], row["error"]) for row in samples(record)]


def test_every_sample_is_answered_and_scored_once(tmp_path: Path) -> None:
    backend = Echo()
    record = run_plan(plan(backend), options(tmp_path), nothing)
    assert texts(record) == [(f"s{i}", 0, word, None) for i, word in enumerate("ABCDEFG")]
    assert len(backend.asked) == 7
    (estimate,) = record.estimates
    assert (estimate["value"], estimate["n"], estimate["n_missing"], estimate["method"]) == (1.0, 7, 0, "wilson")
    assert estimate["low"] == pytest.approx(0.6456696, abs=1e-6)  # Wilson, 7 of 7
    assert not (tmp_path / "results" / record.run_id / JOURNAL).exists()
    assert read_record(tmp_path / "results" / record.run_id) == record


def test_two_steps_make_waves(tmp_path: Path) -> None:
    backend = Echo(batch=100)
    record = run_plan(plan(backend, ["a", "xb", "c"], suite=TwoSteps()), options(tmp_path), nothing)
    assert [text for _, _, text, _ in texts(record)] == ["AA!", "XB", "CC!"]
    assert backend.batch_sizes == [3, 2]
    assert {(sample, step) for sample, _, step, _ in backend.asked} == {("s0", 0), ("s1", 0), ("s2", 0), ("s0", 1), ("s2", 1)}
    first = samples(record)[0]
    assert (first["input_tokens"], first["output_tokens"], first["latency_s"]) == (6, 2, 1.0)


def test_repeats_have_their_own_seed_and_share_one_vote(tmp_path: Path) -> None:
    backend = Echo()
    record = run_plan(plan(backend, ["a", "b"], seeds=(3, 5)), options(tmp_path), nothing)
    assert sorted(backend.asked) == [("s0", 0, 0, 3), ("s0", 1, 0, 5), ("s1", 0, 0, 3), ("s1", 1, 0, 5)]
    assert record.estimates[0]["n"] == 2
    assert [(s, r) for s, r, _, _ in texts(record)] == [("s0", 0), ("s0", 1), ("s1", 0), ("s1", 1)]


class Killed(BaseException):
    """Stands for the death of the process between two batches."""


@pytest.mark.parametrize("kill_after", [1, 2, 3, 4])
def test_a_killed_run_goes_on_and_ends_like_an_unbroken_one(tmp_path: Path, kill_after: int) -> None:
    unbroken = run_plan(plan(Echo(batch=2), suite=TwoSteps()), options(tmp_path / "a"), nothing)

    def die(batches: int) -> None:
        if batches == kill_after:
            raise Killed

    killed = Echo(batch=2, on_batch=die)
    with pytest.raises(Killed):
        run_plan(plan(killed, suite=TwoSteps()), options(tmp_path / "b"), nothing)
    (folder,) = run_folders(tmp_path / "b" / "results")
    assert (folder / JOURNAL).exists()
    assert not (folder / RECORD).exists()
    again = Echo(batch=2)
    resumed = run_plan(plan(again, suite=TwoSteps()), options(tmp_path / "b", use_cache=False), nothing)
    assert resumed.run_id == folder.name
    assert texts(resumed) == texts(unbroken)
    assert resumed.estimates == unbroken.estimates
    # the batch that died before it was written is asked again, nothing that was written is
    assert len(again.asked) == len(Echo_asked(unbroken)) - 2 * (kill_after - 1)


def Echo_asked(record: RunRecord) -> list[None]:
    return [None] * sum(unit["requests"] for unit in record.counts["units"].values())


def test_a_torn_last_line_is_dropped_and_its_batch_is_run_whole_again(tmp_path: Path) -> None:
    def die(batches: int) -> None:
        if batches == 3:
            raise Killed

    with pytest.raises(Killed):
        run_plan(plan(Echo(batch=2, on_batch=die)), options(tmp_path), nothing)
    (folder,) = run_folders(tmp_path / "results")
    journal = folder / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-10])  # the second line of the second batch
    notes: list[str] = []
    backend = Echo(batch=2)
    opts = options(tmp_path, use_cache=False, listener=lambda event: notes.append(getattr(event, "message", "")))
    record = run_plan(plan(backend), opts, nothing)
    assert [text for _, _, text, _ in texts(record)] == list("ABCDEFG")
    assert backend.batch_sizes == [2, 2, 1]
    assert any("torn last line" in note for note in notes)


def test_lines_that_cannot_be_read_are_dropped_and_made_again(tmp_path: Path) -> None:
    def die(batches: int) -> None:
        if batches == 3:
            raise Killed

    with pytest.raises(Killed):
        run_plan(plan(Echo(batch=2, on_batch=die)), options(tmp_path), nothing)
    (folder,) = run_folders(tmp_path / "results")
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    lines[3] = b'{"k":["s0",0,"",0],"a":{"type":"text","te\n'
    (folder / JOURNAL).write_bytes(b"".join(lines))
    record = run_plan(plan(Echo(batch=2)), options(tmp_path, use_cache=False), nothing)
    assert [text for _, _, text, _ in texts(record)] == list("ABCDEFG")


def test_new_starts_another_run_and_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    first = run_plan(plan(Echo()), options(tmp_path), nothing)
    second = run_plan(plan(Echo()), options(tmp_path), nothing)
    assert first.run_id != second.run_id
    assert first.plan_hash == second.plan_hash


def test_another_plan_or_name_is_not_resumed(tmp_path: Path) -> None:
    def die(batches: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        run_plan(plan(Echo(on_batch=die)), options(tmp_path), nothing)
    run_plan(plan(Echo(), ["a", "b"]), options(tmp_path), nothing)
    run_plan(plan(Echo(), name="other"), options(tmp_path), nothing)
    assert len(run_folders(tmp_path / "results")) == 3


def test_the_cache_answers_for_the_same_request_repeat_and_seed_only(tmp_path: Path) -> None:
    run_plan(plan(Echo()), options(tmp_path), nothing)
    again = Echo()
    record = run_plan(plan(again), options(tmp_path), nothing)
    assert again.asked == []
    assert record.counts["units"]["echo × words"]["cached"] == 7
    assert [text for _, _, text, _ in texts(record)] == list("ABCDEFG")
    other_seed = Echo()
    run_plan(plan(other_seed, seeds=(1,)), options(tmp_path), nothing)
    assert len(other_seed.asked) == 7
    uncached = Echo()
    run_plan(plan(uncached), options(tmp_path, use_cache=False), nothing)
    assert len(uncached.asked) == 7


def test_a_model_that_is_not_fixed_by_its_signature_is_not_cached(tmp_path: Path) -> None:
    run_plan(plan(Echo(cacheable="versioned")), options(tmp_path), nothing)
    again = Echo(cacheable="versioned")
    run_plan(plan(again), options(tmp_path), nothing)
    assert len(again.asked) == 7


@pytest.mark.parametrize(("cacheable", "asked"), [("versioned", 0), ("never", 7)])
def test_a_version_lets_answers_be_kept_but_not_those_that_depend_on_the_sample(
    tmp_path: Path, cacheable: str, asked: int
) -> None:
    for _ in range(2):
        backend = Echo(cacheable=cacheable)
        made = plan(backend)
        made = dataclasses.replace(made, config=dataclasses.replace(made.config, cache={"version": "1"}))
        run_plan(made, options(tmp_path), nothing)
    assert len(backend.asked) == asked


def test_a_run_killed_with_cache_hits_batches_the_rest_alike(tmp_path: Path) -> None:
    run_plan(plan(Echo(), ["a", "b", "c"]), options(tmp_path), nothing)

    def die(batches: int) -> None:
        if batches == 2:
            raise Killed

    killed = Echo(batch=2, on_batch=die)
    with pytest.raises(Killed):
        run_plan(plan(killed), options(tmp_path), nothing)
    assert killed.batch_sizes == [2, 2]  # d e | f g: a b c came from the cache
    resumed = Echo(batch=2)
    record = run_plan(plan(resumed), options(tmp_path), nothing)
    assert resumed.batch_sizes == [2]
    assert [text for _, _, text, _ in texts(record)] == list("ABCDEFG")


def test_a_failed_request_is_missing_and_never_an_answer(tmp_path: Path) -> None:
    record = run_plan(plan(Echo(fail_on="say c")), options(tmp_path), nothing)
    (estimate,) = record.estimates
    assert (estimate["value"], estimate["n"], estimate["n_missing"]) == (1.0, 6, 1)
    assert (estimate["worst_case"], estimate["best_case"]) == (pytest.approx(6 / 7), 1.0)
    assert texts(record)[2] == ("s2", 0, None, "refused")
    assert samples(record)[2]["metric.exact_match(normalize=none)"] == {"value": None, "missing": "refused", "stats": None}
    assert exit_code(record, 0.01) == 4
    assert exit_code(record, 0.2) == 0


def test_failures_are_not_cached(tmp_path: Path) -> None:
    run_plan(plan(Echo(fail_on="say c")), options(tmp_path), nothing)
    healed = Echo()
    record = run_plan(plan(healed), options(tmp_path), nothing)
    assert [sample for sample, *_ in healed.asked] == ["s2"]
    assert record.estimates[0]["n_missing"] == 0


def test_a_batch_that_raises_costs_only_the_sample_that_is_to_blame(tmp_path: Path) -> None:
    record = run_plan(plan(Echo(raise_on="say b")), options(tmp_path), nothing)
    assert [text for _, _, text, _ in texts(record)] == ["A", None, "C", "D", "E", "F", "G"]
    assert texts(record)[1][3] == "RuntimeError: the batch blew up"


class Forgetful(Echo):
    def batches(self, calls: Any) -> Any:
        return super().batches(calls[1:])


def test_a_backend_that_leaves_calls_out_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"batches\(\) left out 1 of 7 calls"):
        run_plan(plan(Forgetful()), options(tmp_path), nothing)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently on Windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_batch_in_hand_and_says_how_to_go_on(tmp_path: Path, number: int, code: int) -> None:
    def interrupt(batches: int) -> None:
        if batches == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stopped:
        run_plan(plan(Echo(batch=2, on_batch=interrupt)), options(tmp_path, command="harness run toy.yaml"), nothing)
    assert stopped.value.exit_code == code
    assert str(stopped.value).endswith("go on with: harness run toy.yaml")
    (folder,) = run_folders(tmp_path / "results")
    assert len((folder / JOURNAL).read_text().splitlines()) == 3 + 4  # header, signature, marker, two whole batches
    resumed = Echo(batch=2)
    record = run_plan(plan(resumed), options(tmp_path, use_cache=False), nothing)
    assert record.run_id == folder.name
    assert len(resumed.asked) == 3


def test_a_run_that_another_process_works_on_is_left_alone(tmp_path: Path) -> None:
    from filelock import FileLock

    def die(batches: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        run_plan(plan(Echo(on_batch=die)), options(tmp_path), nothing)
    (folder,) = run_folders(tmp_path / "results")
    with FileLock(folder / ".lock"):
        record = run_plan(plan(Echo()), options(tmp_path), nothing)
    assert record.run_id != folder.name


def test_slices_and_groups(tmp_path: Path) -> None:
    table = [("a", "A", "1", "x"), ("b", "?", "1", "x"), ("c", "C", "2", "y"), ("d", "D", "2", "y")]
    data = tuple({"id": f"s{i}", "word": w, "answer": a, "doc": d, "kind": k} for i, (w, a, d, k) in enumerate(table))
    mapping = {"references": ["{{ answer }}"], "group": "{{ doc }}", "slices": {"kind": "{{ kind }}"}}
    record = run_plan(plan(Echo(), data=data, sample=mapping), options(tmp_path), nothing)
    (estimate,) = record.estimates
    assert (estimate["value"], estimate["n"], estimate["n_groups"]) == (0.75, 4, 2)
    (slices,) = [found for found in record.tables if found["table"] == "slices"]
    assert [(row[0], row[1], row[3], row[6]) for row in slices["rows"]] == [("kind", "x", 0.5, 2), ("kind", "y", 1.0, 2)]


def test_the_folder_says_what_was_run(tmp_path: Path) -> None:
    record = run_plan(plan(Echo()), options(tmp_path), nothing)
    written = json.loads((tmp_path / "results" / record.run_id / RECORD).read_text())
    assert written["schema"] == 1
    assert written["metric_signatures"]["exact_match(normalize=none)"]["signatures"] == {
        "words": "exact_match(extract=none,normalize=none)#v1"
    }
    assert written["data_fingerprints"]["words"]["n"] == 7
    assert record.run_id.split("-")[1] == "toy"


@dataclass
class Telling(Echo):
    """One that tells of what it found when it was opened."""

    def facts(self) -> Mapping[str, Any]:
        return {"context": 64, "sharing": {"stems": False, "why_not": "its attention has a window"}}


def test_what_a_model_tells_of_itself_is_logged_and_recorded(tmp_path: Path) -> None:
    record = run_plan(plan(Telling()), options(tmp_path), nothing)
    told = {"context": 64, "sharing": {"stems": False, "why_not": "its attention has a window"}}
    lines = [loads(line) for line in (tmp_path / "results" / record.run_id / "log.jsonl").read_bytes().splitlines()]
    assert [line["kind"] for line in lines] == ["start", "model", "unit", "finish"]
    assert (lines[1]["model"], lines[1]["facts"]) == ("echo", told)
    assert record.environment["models"] == {"echo": told}


# ── stopping for another reason than a signal ──


def test_a_budget_that_is_spent_stops_the_run_and_more_of_it_goes_on(tmp_path: Path) -> None:
    # four tokens an output: after the first batch of two 8 are used
    stopped = Echo(batch=2)
    with pytest.raises(Interrupted, match=r"budget\.max_tokens is 8 and 8 are used") as error:
        run_plan(plan(stopped, budget=Budget(max_tokens=8)), options(tmp_path), nothing)
    assert error.value.exit_code == 4
    assert stopped.batch_sizes == [2]
    again = Echo(batch=2)
    with pytest.raises(Interrupted, match="16 are used"):
        run_plan(plan(again, budget=Budget(max_tokens=12)), options(tmp_path, use_cache=False), nothing)
    assert again.batch_sizes == [2], "what was answered before it was stopped is used already"
    last = Echo(batch=2)
    record = run_plan(plan(last), options(tmp_path, use_cache=False), nothing)
    assert len(last.asked) == 7 - 4
    assert texts(record) == texts(run_plan(plan(Echo(batch=2)), options(tmp_path / "unbroken"), nothing))


def test_a_service_that_is_down_leaves_a_run_that_can_go_on(tmp_path: Path) -> None:
    def down(batches: int) -> None:
        if batches == 2:
            raise ServiceDown("echo: nobody answers")

    with pytest.raises(ServiceDown, match="echo: nobody answers\nstopped; everything answered so far is in") as error:
        run_plan(plan(Echo(batch=2, on_batch=down)), options(tmp_path), nothing)
    assert error.value.exit_code == 4
    again = Echo(batch=2)
    run_plan(plan(again), options(tmp_path, use_cache=False), nothing)
    assert len(again.asked) == 7 - 4, "what came before the end of the service counts"


@dataclass
class Service(Echo):
    """Answers that need no batch; it goes down after ``answers`` of them."""

    independent: ClassVar[bool] = True
    answers: int = 1000

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        for number, output in enumerate(super().run(calls)):
            if number == self.answers:
                raise ServiceDown("gone")
            yield output


@pytest.mark.parametrize("use_cache", [True, False])
def test_of_independent_answers_only_the_lost_ones_are_asked_again(tmp_path: Path, use_cache: bool) -> None:
    with pytest.raises(ServiceDown):
        run_plan(plan(Service(batch=100, answers=3)), options(tmp_path, use_cache=use_cache), nothing)
    again = Service(batch=100)
    record = run_plan(plan(again), options(tmp_path, use_cache=use_cache), nothing)
    assert [sample for sample, *_ in again.asked] == ["s3", "s2", "s1", "s0"]
    assert texts(record) == [(f"s{i}", 0, word, None) for i, word in enumerate("ABCDEFG")]
    (unit,) = record.counts["units"].values()
    assert (unit["resumed"], unit["cached"], unit["requests"]) == (3, 0, 7)


def test_a_damaged_answer_in_the_cache_is_asked_again(tmp_path: Path) -> None:
    run_plan(plan(Echo(), "abc"), options(tmp_path), lambda path, record: None)
    with sqlite3.connect(tmp_path / "cache" / "answers" / "answers.sqlite") as connection:
        (damaged,) = connection.execute("SELECT MIN(key) FROM answers").fetchone()
        connection.execute("UPDATE answers SET value = ? WHERE key = ?", (b'{"a":{"type":"no such"},"h":"x"}', damaged))
    connection.close()
    again = Echo()
    record = run_plan(plan(again, "abc"), options(tmp_path), lambda path, record: None)
    assert len(again.asked) == 1
    assert record.counts["units"]["echo × words"]["cached"] == 2
    assert record.estimates[0]["value"] == 1.0


def test_what_the_steps_of_a_play_cost_is_added_up(tmp_path: Path) -> None:
    class Priced(Echo):
        def run(self, calls: Sequence[Call]) -> Iterator[Output]:
            for output in super().run(calls):
                first = output.key.step == 0
                yield dataclasses.replace(output, usage=Usage(3, 1, 0.25 if first else 0.5))

    record = run_plan(plan(Priced(), ("a", "xb", "c"), suite=TwoSteps()), options(tmp_path), lambda path, record: None)
    counts = record.counts["units"]["echo × words"]
    assert counts["cost"] == 0.75 + 0.25 + 0.75
    assert counts["tokens"] == {"input": 15, "output": 5}


def test_the_answer_that_is_stored_is_that_of_the_suite(tmp_path: Path) -> None:
    record = run_plan(plan(Echo(), ("a", "xb"), suite=TwoSteps()), options(tmp_path), lambda path, record: None)
    (block,) = read_samples(tmp_path / "results" / record.run_id, ("text", "answer"))
    assert block["text"] == ["AA!", "XB"]
    assert [json.loads(answer) for answer in block["answer"]] == [{"type": "text", "text": text} for text in block["text"]]


@dataclass
class HalfOpen(Echo):
    """Takes something, and then cannot be opened."""

    taken: int = 0

    def open(self, resources: Resources) -> None:
        self.taken += 1
        raise BackendError("no room for the weights")

    def close(self) -> None:
        self.taken -= 1


def test_what_a_model_took_before_it_failed_to_open_is_given_back(tmp_path: Path) -> None:
    backend = HalfOpen(taken=1)
    with pytest.raises(BackendError, match="no room for the weights"):
        run_plan(plan(backend), options(tmp_path), nothing)
    assert backend.taken == 1


def test_what_a_role_took_before_it_failed_to_open_is_given_back(tmp_path: Path) -> None:
    class Served(Echo):
        def needs_roles(self) -> Mapping[str, type]:
            return {"helper": Generate}

    helper, config = HalfOpen(taken=1), plan(Echo()).config
    cell = dataclasses.replace(config.cells[0], models={"echo": ModelConfig("echo", Served(), "echo", {})})
    roles = {"helper": ModelConfig("helper", helper, "echo", {})}
    made = make_plan(dataclasses.replace(config, cells=(cell,), roles=roles))
    with pytest.raises(BackendError, match="no room for the weights"):
        run_plan(made, options(tmp_path), nothing)
    assert helper.taken == 1


def test_a_run_that_ends_before_its_first_answer_leaves_nothing(tmp_path: Path) -> None:
    class Absent(Echo):
        def open(self, resources: Resources) -> None:
            raise BackendError("no such model")

    with pytest.raises(BackendError, match=r"^no such model$"):
        run_plan(plan(Absent()), options(tmp_path), nothing)
    assert list((tmp_path / "results").iterdir()) == []


def test_a_model_that_is_lost_midway_says_how_to_go_on(tmp_path: Path) -> None:
    def lost(batches: int) -> None:
        raise BackendError("the key is no longer valid")

    told = r"^the key is no longer valid\nstopped; everything answered so far is in .*\ngo on with: "
    with pytest.raises(BackendError, match=told):
        run_plan(plan(Echo(batch=2, on_batch=lost)), options(tmp_path), nothing)
    again = Echo(batch=2)
    run_plan(plan(again), options(tmp_path, use_cache=False), nothing)
    assert len(again.asked) == 7 - 2
