"""Templates: the fast paths against Jinja itself, objects kept, missing fields named, nothing unsafe."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from types import MappingProxyType

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.templates import (
    MessageTemplate,
    MissingField,
    PromptTemplate,
    Shots,
    TemplateError,
    compile_template,
    compile_tree,
)

ROW = {
    "id": 7, "article": "Rain.", "answers": ["a", "b"], "none": None, "result": "kept",
    "doc": {"choices": ["x", "y"], "gold": 1, "items": [3], "day": datetime.date(2024, 5, 17)},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ answers }}", ["a", "b"]),
        ("{{answers}}", ["a", "b"]),
        ("{{ doc.choices }}", ["x", "y"]),
        ("{{ doc.items }}", [3]),
        ("{{ doc.day.year }}", 2024),
        ("{{ doc.choices[doc.gold] }}", "y"),
        ("{{ doc.items | sum }}", 3),
        ("{{ id + 1 }}", 8),
        ("{{ id == 7 }}", True),
        ("{{ true }}", True),
        ("{{ [id, doc.gold] }}", [7, 1]),
        ("{{ {'n': id} }}", {"n": 7}),
        ("{{ {'n': id}}}", {"n": 7}),
        ("{{ answers | map('upper') }}", ["A", "B"]),
        ("{{ doc.keys() }}", ["choices", "gold", "items", "day"]),
        ("{{ nothing | default('d') }}", "d"),
        ("{{ result | upper }}", "KEPT"),
        (" {{ id }}", " 7"),
        ("{{ id }}\n", "7\n"),
        ("{{ id }}{{ id }}", "77"),
        ("100% of {{ id }}%s", "100% of 7%s"),
        ("{{ id }} {{ doc.gold + 1 }}\n", "7 2\n"),
        ("{% for a in answers %}{{ a }};{% endfor %}", "a;b;"),
        ("{# a note #}{{ id }}", "7"),
        ("no field: { } %}", "no field: { } %}"),
        ("", ""),
    ],
)
def test_value(text, value):
    got = compile_template(text)(ROW)
    assert got == value
    assert type(got) is type(value)


def test_a_single_expression_gives_the_very_object():
    assert compile_template("{{ doc.choices }}")(ROW) is ROW["doc"]["choices"]
    assert compile_template("{{ none }}")({"none": 1}) is None  # Jinja's constant, never a field


def test_rows_may_be_any_mapping():
    row = MappingProxyType({"a": MappingProxyType({"b": 2})})
    assert compile_template("{{ a.b }}")(row) == 2
    assert compile_template("{{ a.b + 1 }} {{ a.b }}")(row) == "3 2"


PIECES = st.lists(
    st.sampled_from(
        ["{{ id }}", "{{article}}", "{{ doc.gold }}", "{{ answers }}", "{{ id+1 }}", *("{", "}", "}}", "%s", "\n", "\r\n", "é")]
    ),
    min_size=1,
    max_size=6,
)


@given(PIECES)
def test_text_equals_what_jinja_renders(pieces):
    text = "".join(pieces) + "."
    environment = jinja2.Environment(keep_trailing_newline=True)
    try:
        expected = environment.from_string(text).render(ROW)
    except jinja2.TemplateSyntaxError:
        with pytest.raises(TemplateError):
            compile_template(text)
        return
    assert compile_template(text)(ROW) == expected


def test_plain_templates_do_not_import_jinja():
    code = (
        "import sys; from harness.templates import compile_template as c;"
        "assert c('{{ a.b }}')({'a': {'b': 1}}) == 1; assert c('x {{ a }} y')({'a': 1}) == 'x 1 y'; c('plain');"
        "assert 'jinja2' not in sys.modules; c('{{ a + 1 }}'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ artcle }}", "no field 'artcle'; the fields are: article, id; did you mean 'article'?"),
        ("{{ artcle | upper }}", "no field 'artcle'; the fields are: article, id; did you mean 'article'?"),
        ("Read {{ artcle }}", "no field 'artcle'; the fields are: article, id; did you mean 'article'?"),
        ("{{ zzz }}", "no field 'zzz'; the fields are: article, id"),
        ("{{ article.text }}", "no field 'article.text'; 'article' is of type dict"),
        ("{{ id.x }}", "no field 'id.x'; 'id' is null"),
        ("{% for x in zzz %}{% endfor %}", "no field 'zzz'; the fields are: article, id"),
        ("{{ [zzz] }}", "no field 'zzz'; the fields are: article, id"),
        ("{{ [{'a': zzz}] }}", "no field 'zzz'; the fields are: article, id"),
        ("{{ article.boddy | upper }}", "no field 'boddy'; the fields are: body; did you mean 'body'?"),
        ("{{ article.boddy }}", "no field 'article.boddy'; the fields are: body; did you mean 'body'?"),
    ],
)
def test_missing_field(text, message):
    row = {"id": None, "article": {"body": "b"}}
    if "article.text" in text:
        message = "no field 'article.text'; the fields are: body"
    with pytest.raises(MissingField) as error:
        compile_template(text)(row)
    assert str(error.value) == message


def test_missing_field_says_what_there_is():
    with pytest.raises(MissingField) as error:
        compile_template("{{ b }}")({"a": 1, "c": 2})
    assert (error.value.field, error.value.available) == ("b", ("a", "c"))


@pytest.mark.parametrize(
    ("text", "line"),
    [("{{ a", 1), ("{{ a }", 1), ("{% if a %}", 1), ("fine\n{{ a b }}", 2), ("{{ a | nosuch }}", 1), ("{{ 3 | random }}", 1)],
)
def test_bad_syntax_names_the_template_and_the_line(text, line):
    with pytest.raises(TemplateError) as error:
        compile_template(text)
    assert repr(text) in str(error.value)
    assert f"line {line}:" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ id.__class__ | string }}",
        "{{ cycler.__init__.__globals__ | string }}",
        "{{ answers.append(1) }}",
        "{{ doc.update({'a': 1}) }}",
        "x {{ ''.__class__ }}",
    ],
)
def test_the_sandbox_refuses(text):
    row = {"id": 1, "answers": ["a"], "doc": {}}
    with pytest.raises(TemplateError):
        compile_template(text)(row)
    assert row == {"id": 1, "answers": ["a"], "doc": {}}


@pytest.mark.parametrize("text", ["{{ a + 'x' }}", "{{ 1 / 0 }}", "{{ a|map('upper') }}", "{{ a|literal }}", "{{ b|literal }}"])
def test_a_failing_expression_is_a_template_error(text):
    with pytest.raises(TemplateError, match="template"):
        compile_template(text)({"a": 1, "b": "[1, os.system('x')]"})


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("['First one.'\n 'Second one.'\n \"It's third.\"]", ["First one.", "Second one.", "It's third."]),
        ("['it said \\'a\\' \\'b\\'' 'c']", ["it said 'a' 'b'", "c"]),
        ("[['race-color'], ['age']]", [["race-color"], ["age"]]),
        ("{'a': 'x', 'b': 1.5}", {"a": "x", "b": 1.5}),
        (" [] ", []),
    ],
)
def test_literal(printed, value):
    assert compile_template("{{ x | literal }}")({"x": printed}) == value


def test_literal_joined():
    assert compile_template("{{ x | literal | join(' ') }}")({"x": "['One.'\n 'Two.']"}) == "One. Two."


def test_tree():
    tree = {"q": "{{ a }}", "list": ["{{ a }} b", {"n": 3, "t": True, "none": None}], "plain": "x"}
    assert compile_tree(tree)({"a": 1}) == {"q": 1, "list": ["1 b", {"n": 3, "t": True, "none": None}], "plain": "x"}
    with pytest.raises(MissingField, match="no field 'a'"):
        compile_tree(tree)({})


@pytest.mark.parametrize("given", [{}, {"text": "a", "user": "b"}, {"user": "a", "messages": (MessageTemplate("user", "x"),)}])
def test_a_prompt_is_exactly_one_of_three(given):
    with pytest.raises(TemplateError, match="exactly one of text, user, messages"):
        PromptTemplate(**given)


def test_prompt_parts_are_checked():
    assert PromptTemplate(user="u", system="s").delimiter == "\n\n"
    with pytest.raises(TemplateError, match="system goes with user, not with text"):
        PromptTemplate(text="t", system="s")
    with pytest.raises(TemplateError, match="role must be one of system, user, assistant, tool, got 'bot'"):
        MessageTemplate("bot", "x")  # type: ignore[arg-type]
    with pytest.raises(TemplateError, match="n must be 0 or more, got -1"):
        Shots(n=-1)
