"""The suite ``generation``: one request, the text stripped or extracted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.suites.generation import Generation
from harness.templates import PromptTemplate
from harness.types import Answer, Decoding, Generate, Label, Likelihoods, Message, Number, Ranking, Sample, Text
from tests.suites.playing import answer, ask, data_set

CITIES = [{"id": "1", "country": "Peru", "city": "Lima"}]
PERU = Sample("1", {"country": "Peru"}, references=("Lima",))


def ready(tmp_path: Path, **keys: Any) -> Generation:
    keys.setdefault("prompt", PromptTemplate(text="{{ country }}:"))
    return Generation(**keys).prepare(data_set(tmp_path, CITIES, {"references": "{{ city }}"}))


def test_it_asks_once_with_its_decoding(tmp_path: Path) -> None:
    decoding = Decoding(max_tokens=8, temperature=0.5, stop=("\n",))
    assert ask(ready(tmp_path, decoding=decoding), PERU) == Generate("Peru:", decoding)
    assert ask(ready(tmp_path), PERU) == Generate("Peru:", Decoding(max_tokens=256, temperature=0.0))
    assert ask(ready(tmp_path, prompt=PromptTemplate(user="{{ country }}?")), PERU) == Generate((Message("user", "Peru?"),))


def test_white_space_is_stripped_and_the_rest_of_the_answer_kept(tmp_path: Path) -> None:
    given = Text("\n Lima  \n", token_logprobs=(-0.5, -0.25), contexts=("a",), citations=(0,))
    assert answer(ready(tmp_path), PERU, given) == Text("Lima", (-0.5, -0.25), ("a",), (0,))
    assert answer(ready(tmp_path), PERU, Text("")) == Text("")


@pytest.mark.parametrize(("extract", "text", "found"), [
    (r"answer is (\w+)", "The answer is Quito. No, the answer is Lima.", "Lima"),  # the last match, its first group
    (r"\d+", "12 and 13", "13"),  # no group: the whole match
    (r"(?i)answer:(.*)", "ANSWER:  Lima  ", "Lima"),
    (r"#(\w+)|\((\w+)\)", "(Lima)", "(Lima)"),  # the first group took no part: the whole match
    (r"answer is (\w+)", "  Lima, I think ", "Lima, I think"),  # no match: the text
])  # fmt: skip
def test_extract_takes_the_last_match(tmp_path: Path, extract: str, text: str, found: str) -> None:
    assert answer(ready(tmp_path, extract=extract), PERU, Text(text)) == Text(found)


def test_a_bad_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^extract must be a regular expression, got '\(': missing \)"):
        Generation(PromptTemplate(text="x"), extract="(")


@pytest.mark.parametrize(("given", "kind"), [
    (Label("Lima"), "label"), (Number(3.0), "number"), (Likelihoods((-1.0,), (1,)), "likelihoods"),
    (Ranking((), ()), "ranking"),
])  # fmt: skip
def test_anything_but_text_is_refused(tmp_path: Path, given: Answer, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^generation expects text, got {kind}$"):
        answer(ready(tmp_path), PERU, given)


def test_what_it_needs_and_gives() -> None:
    suite = Generation(PromptTemplate(text="x"))
    assert suite.needs() == {Generate}
    assert suite.gives() == {"text", "timing", "usage"}
