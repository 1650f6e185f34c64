"""Whatever a backend or a suite does, a row is an answer or says why it is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.engine.journal import entry_of
from harness.engine.run import exit_code, run_plan
from harness.engine.sound import sound_outputs
from harness.errors import BackendError, DataError
from harness.protocols import Play, TaskView
from harness.store import run_folders
from harness.types import Call, Generate, Key, Label, Likelihoods, Number, Output, Ranking, Sample, Text, Vectors
from tests.engine.test_run import Killed, nothing, texts
from tests.engine.toys import Echo, OneStep, options, plan, rows

NAN = float("nan")


class Scripted(Echo):
    """Gives the outputs that it was made with."""

    def __init__(self, *outputs: Output) -> None:
        super().__init__()
        self.outputs = outputs

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        wanted = {call.key for call in calls}
        return (output for output in self.outputs if output.key in wanted or output.key.sample_id == "stranger")


def errors(*outputs: Output, asked: Sequence[str] = ("a",)) -> dict[str, str | None]:
    calls = [Call(Key(name), Generate("p")) for name in asked]
    return {output.key.sample_id: output.error for output in sound_outputs(Scripted(*outputs), calls)}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, "the backend gave neither an answer nor an error"),
        (Likelihoods((-1.0, NAN), (1, 1)), "the model gave log-probabilities that are not finite"),
        (Text("x", token_logprobs=(float("-inf"),)), "the model gave log-probabilities that are not finite"),
        (Ranking(("d",), (NAN,)), "the ranking has scores that are not finite"),
        (Ranking(("d", "e"), (1.0,)), "the ranking has 2 documents and 1 scores"),
        (Number(float("inf")), "the answer is not a finite number"),
        (Number("x"), "the number that the backend gave has values of the wrong type"),  # type: ignore[arg-type]
        (Vectors(((0.1, NAN),)), "the model gave vectors that are not finite"),
        (Label("a", {"a": NAN, "b": 0.5}), "the model gave probabilities that are not finite"),
        (Label("a", {"a": 0.5, "b": 0.5}), None),
    ],
)
def test_answers_whose_numbers_are_none(answer: Any, error: str | None) -> None:
    assert errors(Output(Key("a"), answer)) == {"a": error}


def test_strangers_doubles_and_gaps() -> None:
    outputs = [Output(Key("stranger"), Text("x")), Output(Key("a"), Text("1")), Output(Key("a"), Text("2"))]
    assert errors(*outputs, asked=["a", "b"]) == {"a": None, "b": "the backend gave no output"}


def test_an_error_never_comes_with_an_answer() -> None:
    (output,) = sound_outputs(Scripted(Output(Key("a"), Text("x"), error="late")), [Call(Key("a"), Generate("p"))])
    assert (output.answer, output.error) == (None, "late")


def test_what_cannot_be_stored_is_an_error_and_not_a_crash() -> None:
    entry = entry_of(Output(Key("a"), Text("\ud800")), "h")
    assert entry.output.answer is None
    assert entry.output.error is not None
    assert entry.output.error.startswith("the answer cannot be stored: ")


class Silent(OneStep):
    def play(self, sample: Sample) -> Play:
        yield Generate("say x")
        return None  # type: ignore[return-value]


def test_a_suite_that_gives_no_answer_leaves_its_rows_missing(tmp_path: Path) -> None:
    record = run_plan(plan(Echo(), ["a"], suite=Silent()), options(tmp_path), nothing)
    assert texts(record) == [("s0", 0, None, "the suite gave no answer but NoneType")]
    assert exit_code(record, 0.5) == 4


class Shouting(OneStep):
    """The same plan as OneStep, as after an upgrade that renders prompts in another way."""

    def play(self, sample: Sample) -> Play:
        output = yield Generate(f"SAY {sample.input['word']}!")
        assert output.answer is not None
        return output.answer


def test_an_answer_in_the_journal_counts_for_the_request_that_it_answered_only(tmp_path: Path) -> None:
    def die(batches: int) -> None:
        if batches == 2:
            raise Killed

    with pytest.raises(Killed):
        run_plan(plan(Echo(batch=2, on_batch=die)), options(tmp_path), nothing)
    (folder,) = run_folders(tmp_path / "results")
    backend = Echo(batch=2)
    record = run_plan(plan(backend, suite=Shouting()), options(tmp_path, use_cache=False), nothing)
    assert record.run_id == folder.name
    assert [text for _, _, text, _ in texts(record)] == [f"{word}!" for word in "ABCDEFG"]
    assert len(backend.asked) == 7


class Meddler(Echo):
    """Changes the data between their being hashed and their being played."""

    source: Any = None

    def start_task(self, task: TaskView) -> None:
        object.__setattr__(self.source, "data", rows("z"))


def test_data_that_change_under_the_run_are_told(tmp_path: Path) -> None:
    backend = Meddler()
    made = plan(backend)
    backend.source = made.units[0].task.source
    with pytest.raises(DataError, match="the data changed while the run was going"):
        run_plan(made, options(tmp_path), nothing)


class Broken(Echo):
    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        raise BackendError("the server is gone")


def test_an_error_of_the_model_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="the server is gone"):
        run_plan(plan(Broken()), options(tmp_path), nothing)
