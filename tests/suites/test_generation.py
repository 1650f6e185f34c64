"""The suite ``generation``: one request, the text stripped or extracted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.suites.generation import Generation
from harness.templates import PromptTemplate
from harness.types import Answer, Ask, Decoding, Generate, Label, Likelihoods, Message, Number, Ranking, Sample, Text
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


def test_without_a_prompt_an_application_is_handed_the_input(tmp_path: Path) -> None:
    suite = ready(tmp_path, prompt=None)
    assert (suite.needs(), Generation(PromptTemplate(text="x")).needs()) == ({Ask}, {Generate})
    assert ask(suite, PERU) == Ask({"country": "Peru"})
    assert answer(suite, PERU, Text(" Lima\n", contexts=("a",))) == Text("Lima", contexts=("a",))


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


EXPRESSIONS = (r"a*", r"\d+", r"(?i)answer:\s*(\S+)", r"^(\w+)", r"(?m)^b?(a?)$", r"(a)|(b)", r"x??", r"(?<=a)b", r"[[a]+",
               r"\bab\b")


@settings(max_examples=200)
@given(st.sampled_from(EXPRESSIONS), st.text("ab1x []\n", max_size=12))
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_extract_matches_as_re_does(extract: str, text: str) -> None:
    wanted = list(re.finditer(extract, text))
    last = wanted[-1] if wanted else None
    expected = text if last is None else last.group(1) if last.re.groups and last.group(1) is not None else last.group(0)
    assert Generation(PromptTemplate(text="x"), extract=extract)._extracted(text) == expected.strip()


def test_an_expression_that_explodes_costs_its_sample(tmp_path: Path) -> None:
    suite = ready(tmp_path, extract=r"(a|aa)+$")
    with pytest.raises(ValueError, match=r"^extract: '\(a\|aa\)\+\$' takes more than 1 s for this text$"):
        answer(suite, PERU, Text("a" * 60 + "b"))
    assert answer(suite, PERU, Text("baa")) == Text("a")  # the group's last round


def test_an_expression_that_explodes_in_re_alone_is_no_matter(tmp_path: Path) -> None:
    assert answer(ready(tmp_path, extract=r"(a+)+$"), PERU, Text("a" * 60 + "b")) == Text("a" * 60 + "b")


# ── a form to hold the text to ──

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_a_schema_goes_with_the_request_and_the_answer_stays_text(tmp_path: Path) -> None:
    suite = ready(tmp_path, schema=PERSON)
    request = ask(suite, PERU)
    assert isinstance(request, Generate)
    assert request.schema == PERSON
    assert answer(suite, PERU, Text('{"name": "Lima"}')) == Text('{"name": "Lima"}')
    assert ask(ready(tmp_path), PERU).schema is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("schema", "message"), [
    ({"type": "strin"}, "type must be a JSON type, got 'strin'; did you mean 'string'?"),
    ({"type": ["string", 3]}, "type must be a JSON type, got 3"),
    ({"properties": {"a": {"items": {"type": "int"}}}}, "properties.a.items.type must be a JSON type, got 'int'; did you mean"),
    ({"properties": ["a"]}, "properties must be a mapping of names to schemas, got ['a']"),
    ({"properties": {"a": "string"}}, "properties.a must be a mapping, got 'string'"),
    ({"anyOf": [{"type": "null"}, {"enum": []}]}, "anyOf[1].enum must be a list of values, got []"),
    ({"anyOf": []}, "anyOf must be a list of schemas, got []"),
    ({"required": "name"}, "required must be a list of names, got 'name'"),
    ({"$defs": {"b": {}}, "items": {"$ref": "#/$defs/a"}}, "items.$ref names '#/$defs/a', which is not there"),
    ({"const": float("nan")}, "must hold nothing but JSON values: "),
    ({"const": {1}}, "must hold nothing but JSON values: "),
])
def test_a_schema_that_is_none_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="^schema: " + re.escape(message)):
        Generation(PromptTemplate(text="x"), schema=schema)


@pytest.mark.parametrize("schema", [
    {}, {"type": ["string", "null"]}, {"items": True}, {"$defs": {"a/b": {}}, "items": {"$ref": "#/$defs/a~1b"}},
    {"properties": {"type": {"type": "string"}, "required": {"type": "boolean"}}, "additionalProperties": False},
])
def test_schemas_that_are_taken(schema: dict[str, Any]) -> None:
    assert Generation(PromptTemplate(text="x"), schema=schema).schema == schema


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
