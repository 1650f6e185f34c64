"""The suite ``tagging``: tags that are given, tags that are read out of a text, and lengths that do not fit."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError
from harness.metrics.tagging import NerF1
from harness.suites.tagging import Tagging, parse_tags
from harness.templates import PromptTemplate, Shots
from harness.types import Ask, Generate, Key, Label, Output, Sample, Tags, Text
from tests.suites.playing import answer, ask, data_set, first

WORDS, TAGS = ["Ann", "left", "Bonn"], ["B-person", "O", "B-place"]
SENTENCE = Sample("1", {"tokens": WORDS, "tags": TAGS}, target=TAGS)
PROMPT = "{{ tokens | join(' ') }}\n"
SHOWN = "{% for word in tokens %}{{ word }} {{ target[loop.index0] }}\n{% endfor %}"


def test_a_tagger_is_asked_for_tags():
    suite = Tagging()
    assert suite.needs() == {Ask}
    assert ask(suite, SENTENCE) == Ask(SENTENCE.input)
    assert answer(suite, SENTENCE, Tags(tuple(TAGS))) == Tags(tuple(TAGS))


def test_tags_are_read_out_of_what_is_written(tmp_path):
    row = {"tokens": WORDS, "tags": TAGS}
    data = data_set(tmp_path, [row], {"target": "{{ tags }}"}, train=[{"tokens": ["Hi"], "tags": ["O"]}])
    suite = Tagging(PromptTemplate(text=PROMPT, answer=SHOWN, shots=Shots("train", 1)), "text").prepare(data)
    assert suite.needs() == {Generate}
    assert ask(suite, first(data)).prompt == "Hi\nHi O\n\n\nAnn left Bonn\n"
    assert answer(suite, SENTENCE, Text("Ann B-person\nleft O\nBonn B-place\n")) == Tags(tuple(TAGS))


@pytest.mark.parametrize(("text", "tags"), [
    ("B-person O B-place", ("B-person", "O", "B-place")),
    ("B-person\nO\n\nB-place\n", ("B-person", "O", "B-place")),
    ("Ann\tB-person\r\nleft\tO\r\n", ("B-person", "O")),
    ("```\nAnn B-person\nleft O\n```", ("B-person", "O")),
    ("", ()),
])
def test_tags_in_texts(text, tags):
    assert parse_tags(text) == tags


def test_too_few_tags_are_an_error_of_the_sample_and_never_filled():
    given = answer(Tagging(), SENTENCE, Tags(("B-person", "O")))
    scores = NerF1().score([SENTENCE], [Output(Key("1"), given)])
    assert scores.missing == {0: "2 tags for 3 tokens"}


def test_other_answers_are_refused():
    with pytest.raises(TypeError, match=r"^tagging expects tags or text, got label$"):
        answer(Tagging(), SENTENCE, Label("O"))


def test_prompts_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match=r"^a tagging task with answer: text needs a prompt$"):
        Tagging(answer="text")
    with pytest.raises(ConfigError, match=r"^a tagging prompt with shots needs prompt.answer"):
        Tagging(PromptTemplate(text=PROMPT, shots=Shots("train", 1)), "text")
