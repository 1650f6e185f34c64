import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.codec import dumps, encode_answer
from harness.errors import BackendError, ConfigError, DataError
from harness.models.replay import Replay
from harness.protocols import Resources, TaskView
from harness.store import SampleWriter
from harness.types import (
    REQUEST_TYPES,
    Answer,
    Ask,
    Call,
    Generate,
    Key,
    Label,
    Likelihoods,
    LogLikelihood,
    Number,
    Output,
    Perplexity,
    Rank,
    Ranking,
    Request,
    ScorePairs,
    Text,
    Timing,
    Usage,
)


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def opened(path: Path | Mapping[str, Path], task: str = "qa", said: list[str] | None = None, **options: Any) -> Replay:
    backend = Replay(path, **options)
    backend.open(Resources(Path("unused"), say=(said if said is not None else []).append))
    backend.start_task(TaskView(task))
    return backend


def ask(backend: Replay, *keys: Key | str) -> list[Output]:
    calls = [Call(key if isinstance(key, Key) else Key(key), Generate("")) for key in keys]
    return [output for batch in backend.batches(calls) for output in backend.run(batch)]


def answer(tmp_path: Path, **row: Any) -> Answer | None:
    (output,) = ask(opened(lines(tmp_path / "one.jsonl", {"id": "a", **row})), "a")
    assert output.error is None
    return output.answer


# ── the forms of a line ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "Grüße"}, Text("Grüße")),
        ({"text": "x", "contexts": ["c", "d"], "citations": [0, 1], "input": {"q": 1}}, Text("x", None, ("c", "d"), (0, 1))),
        ({"label": "b"}, Label("b")),
        ({"label": 3}, Label("3")),
        ({"label": "b", "probabilities": {"a": 0.7, "b": 0.3}}, Label("b", {"a": 0.7, "b": 0.3})),
        ({"probabilities": {"a": 0.3, "b": 0.35, "c": 0.35}}, Label("b", {"a": 0.3, "b": 0.35, "c": 0.35})),
        ({"value": 3}, Number(3.0)),
        ({"value": -0.5}, Number(-0.5)),
        ({"ranking": [["d1", 2], ["d3", 12.5], ["d2", 2]]}, Ranking(("d3", "d2", "d1"), (12.5, 2.0, 2.0))),
        ({"ranking": []}, Ranking((), ())),
        ({"answer": {"type": "likelihoods", "logprobs": [-1.5, -2], "n_tokens": [1, 2]}}, Likelihoods((-1.5, -2), (1, 2))),
    ],
)
def test_forms_of_an_answer(tmp_path: Path, row: dict[str, Any], expected: Answer) -> None:
    assert answer(tmp_path, **row) == expected


LIKELIHOODS = {"type": "likelihoods", "logprobs": [-3.5], "n_tokens": [2]}
EVERYTHING = {"text": "I say b", "label": "b", "value": 2, "ranking": [["d", 1]], "answer": LIKELIHOODS}
ASKED: Mapping[type, Request] = {
    type(request): request
    for request in (Generate(""), Ask({}), LogLikelihood("", ("a",)), Rank("q", 1, "c"), Perplexity("x"), ScorePairs(()))
}


@pytest.mark.parametrize(
    ("kind", "row", "expected"),
    [
        (Generate, EVERYTHING, Text("I say b")),
        (Ask, EVERYTHING, Label("b", text="I say b")),
        (LogLikelihood, EVERYTHING, Label("b", text="I say b")),
        (Rank, EVERYTHING, Ranking(("d",), (1.0,))),
        (Perplexity, EVERYTHING, Likelihoods((-3.5,), (2,))),
        (ScorePairs, EVERYTHING, Number(2.0)),
        (Generate, {"label": None, "text": "no idea"}, Text("no idea")),
        (Ask, {"label": None, "text": "no idea"}, Label(None, text="no idea")),
        (Ask, {"probabilities": {"a": 1}, "text": "x"}, Label("a", {"a": 1.0}, text="x")),
        (Ask, {"text": "x", "value": 3}, Number(3.0)),
        (Generate, {"text": None, "value": 3}, Number(3.0)),
        (Generate, {"label": "b", "value": 3}, Label("b")),
        (LogLikelihood, {"text": "x", "answer": LIKELIHOODS}, Likelihoods((-3.5,), (2,))),
        (Rank, {"text": "x", "answer": LIKELIHOODS}, Text("x")),
        (Generate, {"label": "b", "probabilities": {"a": 7}, "text": "x"}, Text("x")),
    ],
)
def test_of_several_answers_the_request_chooses(tmp_path: Path, kind: type, row: dict[str, Any], expected: Answer) -> None:
    backend = opened(lines(tmp_path / "one.jsonl", {"id": "a", **row}))
    [output] = backend.run([Call(Key("a"), ASKED[kind])])
    assert output == Output(Key("a"), expected)


def test_what_goes_with_an_answer(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "x", "latency_s": 0.25, "finish_reason": "length",
         "usage": {"input_tokens": 7, "output_tokens": 2}},
        {"id": "b", "text": "", "error": None, "truncated": True, "finish_reason": "content_filter"},
        {"id": "c", "error": "HTTP 500", "latency_s": 1},
    ]
    assert ask(opened(lines(tmp_path / "x.jsonl", *rows)), "a", "b", "c") == [
        Output(Key("a"), Text("x"), finish_reason="length", usage=Usage(7, 2), timing=Timing(0.25)),
        Output(Key("b"), Text(""), truncated=True),
        Output(Key("c"), None, error="HTTP 500", timing=Timing(1.0)),
    ]


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        ({"a": 0.5, "b": 0.4}, "probabilities sum to 0.9, not to 1"),
        ({"a": 1.2, "b": -0.2}, "probabilities: 'a' has 1.2, outside [0, 1]"),
        ({}, "probabilities sum to 0, not to 1"),
    ],
)
def test_bad_probabilities_fail_their_row_only(tmp_path: Path, probabilities: dict[str, float], says: str) -> None:
    path = lines(tmp_path / "x.jsonl", {"id": "a", "label": "a", "probabilities": probabilities},
                 {"id": "b", "label": "a", "probabilities": {"a": 0.9995, "b": 0.0}})
    bad, good = ask(opened(path), "a", "b")
    assert (bad.answer, bad.error) == (None, says)
    assert good.error is None


# ── looking up ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_id_and_repeat(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "0"}, "", {"id": "a", "repeat": 1, "text": "1"}, {"id": 7, "text": "7"}]
    path = lines(tmp_path / "x.jsonl", *rows)
    outputs = ask(opened(path), Key("a", 1), Key("a", 0), "7", Key("7", 1), "zz")
    assert [output.answer for output in outputs] == [Text("1"), Text("0"), Text("7"), None, None]
    assert [output.error for output in outputs] == [None, None, None, "no stored answer", "no stored answer"]


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl"])
def test_gzip_is_recognised_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress("".join(json.dumps({"id": i, "text": f"ä{i}"}) + "\n" for i in range(500)).encode()))
    assert [output.answer for output in ask(opened(path), "499", "0", "250")] == [Text("ä499"), Text("ä0"), Text("ä250")]


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "1"}\r\n{"id": "b", "text": "2"}')
    assert [output.answer for output in ask(opened(path), "b", "a")] == [Text("2"), Text("1")]


def test_lines_of_a_task(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"id": "a", "task": "qa", "text": "qa"}, {"id": "a", "task": "sum", "text": "sum"},
                 {"id": "b", "text": "any"}, {"id": "a", "text": "any"})
    backend = opened(path, "sum")
    assert [output.answer for output in ask(backend, "a", "b")] == [Text("sum"), Text("any")]
    backend.start_task(TaskView("qa"))
    assert [output.answer for output in ask(backend, "a", "b")] == [Text("qa"), Text("any")]
    backend.start_task(TaskView("third"))
    assert [output.answer for output in ask(backend, "a")] == [Text("any")]


def test_tells_when_tasks_share_lines(tmp_path: Path) -> None:
    said: list[str] = []
    path = lines(tmp_path / "x.jsonl", {"id": "a", "text": "any"})
    backend = opened(path, "one", said)
    backend.start_task(TaskView("one"))
    assert said == []
    backend.start_task(TaskView("two"))
    assert said == [f"replay: tasks 'one' and 'two' both take the lines of {path} that name no task"]


def test_a_path_for_each_task(tmp_path: Path) -> None:
    qa, summaries = lines(tmp_path / "a.jsonl", {"id": "a", "text": "1"}), lines(tmp_path / "b.jsonl", {"id": "a", "text": "2"})
    backend = opened({"qa": qa, "sum": summaries})
    assert ask(backend, "a")[0].answer == Text("1")
    backend.start_task(TaskView("sum"))
    assert ask(backend, "a")[0].answer == Text("2")
    with pytest.raises(BackendError, match="names no file for task 'other'; it has qa, sum"):
        backend.start_task(TaskView("other"))


def test_provides_everything_and_is_never_cached(tmp_path: Path) -> None:
    assert Replay.provides == set(REQUEST_TYPES)
    assert Replay.cacheable == "never"


def test_signature_follows_the_content(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", {"id": "a", "text": "1"})
    same, other = lines(tmp_path / "b.jsonl", {"id": "a", "text": "1"}), lines(tmp_path / "c.jsonl", {"id": "a", "text": "2"})
    assert opened(a).signature() == opened(same).signature() != opened(other).signature()


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD = {"id": "a", "text": "fine"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"id": "b", "text"', "not JSON"),
        ("[1]", "expected an object, got list"),
        ({"text": "x"}, "id must be a string or an integer; the row has text"),
        ({"id": 1.5, "text": "x"}, "id must be a string or an integer; got 1.5"),
        ({"id": "b", "lable": "x"},
         "needs one of text, label, probabilities, labels, value, ranking, tags, ratings, vectors, logprob, answer or error; "
         "the row has id, lable"),
        ({"id": "b", "text": None}, "text must be a string, got null"),
        ({"id": "b", "text": "x", "value": "1"}, "value must be a number, got '1'"),
        ({"id": "b", "label": "x", "answer": {"type": "poem"}}, "answer of unknown type 'poem'"),
        ({"id": "b", "value": "3"}, "value must be a number, got '3'"),
        ({"id": "b", "value": True}, "value must be a number, got True"),
        ({"id": "b", "label": ["x"]}, "label must be a string, an integer or null, got ['x']"),
        ({"id": "b", "probabilities": [0.5, 0.5]}, "probabilities must be an object, got [0.5, 0.5]"),
        ({"id": "b", "ranking": ["d1"]}, "ranking must hold pairs [document, score], got 'd1'"),
        ({"id": "b", "ranking": [["d1", 2], ["d1", 1]]}, "ranking names the document 'd1' twice"),
        ({"id": "b", "text": "x", "citations": [-1]}, "citations[] must be an integer >= 0, got -1"),
        ({"id": "b", "text": "x", "usage": {"input_tokens": 0.5}}, "usage.input_tokens must be an integer >= 0, got 0.5"),
        ({"id": "b", "text": "x", "latency_s": -1}, "latency_s must be 0 or more seconds, got -1"),
        ({"id": "b", "text": "x", "repeat": -1}, "repeat must be an integer >= 0, got -1"),
        ({"id": "b", "text": "x", "task": 5}, "task must be a string, got 5"),
        ({"id": "b", "answer": {"type": "poem"}}, "answer of unknown type 'poem'"),
    ],
)
def test_malformed_line(tmp_path: Path, row: Any, says: str) -> None:
    path = lines(tmp_path / "x.jsonl", GOOD, "", row)
    with pytest.raises(DataError, match=re.escape(f"{path}:3: {says}")):
        opened(path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([GOOD, {"id": "b", "text": ""}, "", GOOD], ":4: id 'a' stands already in line 1"),
        ([{"id": "b", "text": ""}, "", {"id": "a", "repeat": 2, "text": ""}, {"id": "a", "repeat": 2, "text": ""}],
         ":4: id 'a' (repeat 2) stands already in line 3"),
        ([{"id": 1, "text": ""}, {"id": "1", "text": ""}], ":2: id '1' stands already in line 1"),
    ],
)
def test_duplicates_name_both_lines(tmp_path: Path, rows: Sequence[Any], says: str) -> None:
    path = lines(tmp_path / "x.jsonl", *rows)
    with pytest.raises(DataError, match=re.escape(f"{path}{says}")):
        opened(path)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "text": "x"}\n' * 100)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        opened(path)


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"absent\.jsonl does not exist"):
        opened(tmp_path / "absent.jsonl")
    backend = Replay(tmp_path / "later")
    (tmp_path / "later").mkdir()
    with pytest.raises(BackendError, match=r"not the folder of a finished run: it has no samples\.parquet"):
        backend.open(Resources(Path("unused")))
    with pytest.raises(ConfigError, match="got an empty mapping"):
        Replay({})


def test_a_folder_without_a_finished_run_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    says = f"replay: path {str(tmp_path)!r} is not the folder of a finished run: it has no samples.parquet"
    for path in (tmp_path, {"qa": tmp_path / "absent.jsonl", "other": tmp_path}):
        with pytest.raises(ConfigError) as refused:
            Replay(path)
        assert str(refused.value) == says


# ── an earlier run ──────────────────────────────────────────────────────────────────────────────────────────────────


def stored_run(folder: Path, *rows: Mapping[str, Any]) -> Path:
    """A run folder as the store writes it; ``rows`` are its columns, ``answer`` not yet encoded."""
    folder.mkdir()
    writer = SampleWriter(folder, ["accuracy"])
    for row in rows:
        full = {"model": "m", "cell": "", "task": "qa", "arm": "", "repeat": 0, **row}
        full["answer"] = None if row.get("answer") is None else dumps(encode_answer(row["answer"])).decode()
        writer.write({name: [value] for name, value in full.items()}, {})
    writer.close()
    return folder


def test_answers_of_a_run(tmp_path: Path) -> None:
    folder = stored_run(
        tmp_path / "run",
        {"sample_id": "a", "answer": Label("x", {"x": 0.8, "y": 0.2}, (-0.2, -1.6)), "finish_reason": "stop",
         "truncated": True},
        {"sample_id": "b", "answer": Ranking(("d2", "d1"), (2.0, 1.0)), "latency_s": 0.5, "input_tokens": 5},
        {"sample_id": "c", "error": "timeout", "finish_reason": "error"},
        {"sample_id": "a", "repeat": 1, "answer": Text("second")},
        {"sample_id": "a", "task": "other", "answer": Text("elsewhere")},
    )
    backend = opened(folder)
    assert ask(backend, "c", "b", "a", Key("a", 1), Key("b", 1)) == [
        Output(Key("c"), None, error="timeout", finish_reason="error"),
        Output(Key("b"), Ranking(("d2", "d1"), (2.0, 1.0)), usage=Usage(5, 0), timing=Timing(0.5)),
        Output(Key("a"), Label("x", {"x": 0.8, "y": 0.2}, (-0.2, -1.6)), finish_reason="stop", truncated=True),
        Output(Key("a", 1), Text("second")),
        Output(Key("b", 1), None, error="no stored answer"),
    ]
    backend.start_task(TaskView("other"))
    assert [output.answer for output in ask(backend, "a")] == [Text("elsewhere")]
    with pytest.raises(BackendError, match="no task 'othr'; did you mean 'other'"):
        backend.start_task(TaskView("othr"))


def test_choosing_a_model_of_a_run(tmp_path: Path) -> None:
    folder = stored_run(
        tmp_path / "run",
        {"sample_id": "a", "model": "small", "answer": Text("small")},
        {"sample_id": "a", "model": "big", "cell": "t=0", "answer": Text("cold")},
        {"sample_id": "a", "model": "big", "cell": "t=1", "answer": Text("hot")},
    )
    assert ask(opened(folder, model="small"), "a")[0].answer == Text("small")
    assert ask(opened(folder, model="big [t=1]"), "a")[0].answer == Text("hot")
    for options, says in [
        ({}, r"several models on task 'qa'; choose with model: one of small, big \[t=0\], big \[t=1\]"),
        ({"model": "big"}, r"choose with model: one of big \[t=0\], big \[t=1\]"),
        ({"model": "huge"}, r"no model 'huge' on task 'qa'; it has small, big \[t=0\], big \[t=1\]"),
    ]:
        with pytest.raises(BackendError, match=says):
            opened(folder, **options)


def test_close_may_be_called_twice_and_open_again(tmp_path: Path) -> None:
    backend = opened(lines(tmp_path / "x.jsonl", GOOD))
    backend.close()
    backend.close()
    backend.open(Resources(tmp_path))
    backend.start_task(TaskView("qa"))
    assert ask(backend, "a")[0].answer == Text("fine")
