"""The journal by itself: segments, the last line of a key, headers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.engine.journal import Entry, Journal, entry_from_cache, entry_of, read_header
from harness.errors import StoreError
from harness.types import Key, Output, Text, Usage


def output(sample: str, text: str, *, cached: bool = False) -> Entry:
    return entry_of(Output(Key(sample), Text(text)), "0" * 16, cached=cached)


def found(journal: Journal, unit: int, chunk: int) -> dict[str, tuple[str, bool]]:
    outputs = journal.chunk(unit, chunk)
    answers = {key: entry.output.answer for key, entry in outputs.items()}
    return {key.sample_id: (answer.text, outputs[key].cached) for key, answer in answers.items() if isinstance(answer, Text)}


def test_chunks_come_back_from_all_their_segments(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, {"name": "x"})
    journal.write(0, 0, [output("a", "1", cached=True)])
    journal.write(0, 1, [output("b", "2")])
    journal.write(0, 0, [output("c", "3")])
    journal.close()
    journal = Journal(path)
    journal.write(1, 0, [output("a", "4")])
    journal.close()
    journal = Journal(path)
    assert found(journal, 0, 0) == {"a": ("1", True), "c": ("3", False)}
    assert found(journal, 0, 1) == {"b": ("2", False)}
    assert found(journal, 1, 0) == {"a": ("4", False)}
    assert found(journal, 2, 0) == {}
    journal.close()
    assert read_header(path) == {"schema": 1, "name": "x"}


def test_a_text_that_looks_like_a_marker_is_no_marker(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, {})
    journal.write(0, 0, [output("a", 'x\n{"c":[7,7]}\n'), output("b", "y")])
    journal.close()
    assert set(found(Journal(path), 0, 0)) == {"a", "b"}


def test_answers_of_another_model_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, {})
    journal.start_unit(0, "old")
    journal.write(0, 0, [output("a", "1")])
    journal.start_unit(1, "x")
    journal.write(1, 0, [output("b", "2")])
    journal.close()
    journal = Journal(path)
    journal.start_unit(0, "old")
    assert found(journal, 0, 0) == {"a": ("1", False)}
    with pytest.raises(StoreError, match=r"has answers of another model than this one.*--new"):
        journal.start_unit(1, "y")
    journal.close()


@pytest.mark.parametrize("content", [b"", b'{"schema":1', b"nonsense\n", b'{"schema":9}\n', b"[]\n"])
def test_no_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    assert read_header(path) is None
    assert read_header(tmp_path / "nothing") is None


def test_what_write_returned_for_survives_kill_9(tmp_path: Path) -> None:
    """A real process, really killed: every output that it said was written is there."""
    code = (
        "import sys; from pathlib import Path; from harness.engine.journal import Journal, entry_of\n"
        "from harness.types import Key, Output, Text\n"
        "journal = Journal(Path(sys.argv[1]), {})\n"
        "i = 0\n"
        "while True:\n"
        "    journal.write(0, 0, [entry_of(Output(Key(str(i)), Text('x' * 200)), 'h')])\n"
        "    print(i, flush=True); i += 1"
    )
    path = tmp_path / "j"
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.2)
    child.kill()
    said = [int(line) for line in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    kept = {int(name) for name in found(Journal(path), 0, 0)}
    assert set(said) <= kept
    assert len(kept) > 10


def test_what_is_written_after_a_torn_line_is_whole(tmp_path: Path) -> None:
    """Killed in the middle of a line, gone on with, killed again: the second process begins with a line of its own."""
    path = tmp_path / "j"
    journal = Journal(path, {})
    journal.write(0, 0, [output("a", "1"), output("b", "2")])
    journal.close()
    path.write_bytes(path.read_bytes()[:-9])
    journal = Journal(path)
    journal.write(0, 1, [output("c", "3")])
    journal.close()
    journal = Journal(path)
    assert found(journal, 0, 0) == {"a": ("1", False)}
    assert found(journal, 0, 1) == {"c": ("3", False)}
    journal.close()


def test_an_answer_of_the_cache_becomes_that_of_another_sample() -> None:
    kept = entry_of(Output(Key("a", 0, "", 1), Text("yes", contexts=("c",)), finish_reason="stop", usage=Usage(3, 1, 0.5)), "h")
    found = entry_from_cache(kept.line, Key("b", 2), "h2")
    assert found is not None
    assert found.output == Output(Key("b", 2), Text("yes", contexts=("c",)), finish_reason="stop", usage=Usage(3, 1, 0.5))
    answer = {"type": "text", "text": "yes", "contexts": ["c"]}
    about = {"finish": "stop", "usage": [3, 1, 0.5]}
    assert json.loads(found.line) == {"a": answer, "cached": True, "h": "h2", "k": ["b", 2, "", 0], **about}
    assert (found.cached, found.answer) == (True, b'{"contexts":["c"],"text":"yes","type":"text"}')
    assert entry_from_cache(b'{"a":1}', Key("b"), "h") is None


@pytest.mark.parametrize("row", [
    {"a": None}, {}, {"a": {"type": "text", "text": "x", "token_logprobs": [{}]}}, {"error": "refused"},
    {"a": {"type": "text", "text": "x", "token_logprobs": [None]}}, {"a": {"type": "number", "value": "x"}}, [],
    {"a": {"type": "text", "text": "x"}, "error": "refused"},
])  # fmt: skip
def test_a_row_of_the_cache_that_is_no_sound_answer_is_none(row: Any) -> None:
    sound = entry_of(Output(Key("a"), Text("x", token_logprobs=(-0.5,))), "h").line
    assert entry_from_cache(sound, Key("b"), "h") is not None
    assert json.loads(sound)["a"] == {"type": "text", "text": "x", "token_logprobs": [-0.5]}, "the form of the rows above"
    assert entry_from_cache(json.dumps(row).encode(), Key("b"), "h") is None
