"""The suite ``classification``: three ways to answer, labels parsed from text, probabilities from log-likelihoods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.suites.classification import Classification, parse_choice
from harness.templates import PromptTemplate
from harness.types import (
    Answer,
    Ask,
    Decoding,
    Generate,
    Key,
    Label,
    Likelihoods,
    LogLikelihood,
    Message,
    Number,
    Output,
    Ranking,
    Sample,
    Text,
)
from tests.suites.playing import answer, ask, data_set

TEXT = PromptTemplate(text="{{ text }} →")
CHAT = PromptTemplate(user="{{ text }}?")
MAIL = Sample("m1", {"text": "Buy now"}, target="spam")
MOODS = ("glad", "sad", "angry")


def ready(tmp_path: Path, **keys: Any) -> Classification:
    given: dict[str, Any] = {"prompt": TEXT, "choices": ("ham", "spam"), **keys}
    return Classification(**given).prepare(data_set(tmp_path, [{"text": "Buy now"}], {}))


# ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("keys", "prefix", "continuations"), [
    ({}, "Buy now →", (" ham", " spam")),
    ({"prompt": CHAT}, (Message("user", "Buy now?"),), ("ham", "spam")),
    ({"choice_delimiter": "\n"}, "Buy now →", ("\nham", "\nspam")),
    ({"choice_delimiter": ""}, "Buy now →", ("ham", "spam")),
    ({"prompt": CHAT, "choice_delimiter": " "}, (Message("user", "Buy now?"),), (" ham", " spam")),
])  # fmt: skip
def test_choices_follow_a_space_after_text_and_nothing_after_a_chat(
    tmp_path: Path, keys: dict[str, Any], prefix: Any, continuations: tuple[str, ...]
) -> None:
    assert ask(ready(tmp_path, **keys), MAIL) == LogLikelihood(prefix, continuations)


def test_choices_of_the_sample_go_before_those_of_the_task(tmp_path: Path) -> None:
    sample = Sample("q", {"text": "2 + 2"}, choices=("3", "4"), target=1)
    suite = ready(tmp_path)
    assert ask(suite, sample) == LogLikelihood("2 + 2 →", (" 3", " 4"))
    assert answer(suite, sample, Likelihoods((-2.0, -1.0), (1, 1))).label == "4"  # type: ignore[union-attr]
    assert ask(ready(tmp_path, choices=()), sample) == LogLikelihood("2 + 2 →", (" 3", " 4"))


def test_text_is_asked_for_freely_and_with_few_tokens(tmp_path: Path) -> None:
    assert ask(ready(tmp_path, answer="text"), MAIL) == Generate("Buy now →", Decoding(max_tokens=16))


@pytest.mark.parametrize(("keys", "choices"), [
    ({}, (" ham", " spam")), ({"prompt": CHAT}, ("ham", "spam")), ({"choice_delimiter": "\n"}, ("\nham", "\nspam")),
])  # fmt: skip
def test_a_constrained_text_is_a_choice_behind_its_delimiter(
    tmp_path: Path, keys: dict[str, Any], choices: tuple[str, ...]
) -> None:
    suite = ready(tmp_path, answer="text", constrain=True, **keys)
    request = ask(suite, MAIL)
    assert isinstance(request, Generate)
    assert request.choices == choices
    assert answer(suite, MAIL, Text(choices[1])) == Label("spam", text=choices[1])
    assert answer(suite, MAIL, Text("It is Spam!")) == Label("spam", text="It is Spam!")  # of a model that was not held to it


def test_choices_that_repeat_are_said_once(tmp_path: Path) -> None:
    sample = Sample("q", {"text": "?"}, choices=("no", "yes", "no"))
    assert ask(ready(tmp_path, answer="text", constrain=True), sample).choices == (" no", " yes")  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "reason", "label"), [
    (" renew a", "length", None),  # it was on its way to the longer one
    (" renew a", "stop", "renew"),  # a model that was not held to it
    (" renew", "length", "renew"),
    (" renew a loan", "length", "renew a loan"),
    (" I want to renew", "length", "renew"),
])  # fmt: skip
def test_a_constrained_text_that_broke_off_is_no_shorter_choice(
    tmp_path: Path, text: str, reason: Any, label: str | None
) -> None:
    play = ready(tmp_path, answer="text", constrain=True, choices=("renew", "renew a loan")).play(MAIL)
    next(play)
    with pytest.raises(StopIteration) as end:
        play.send(Output(Key("m1"), Text(text), finish_reason=reason))
    assert end.value.value == Label(label, text=text)


@pytest.mark.parametrize("way", ["likelihood", "scores"])
def test_only_text_can_be_constrained(way: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^constrain goes with answer: text, got answer: {way}$"):
        Classification(TEXT, ("a", "b"), answer=way, constrain=True)


def test_scores_are_asked_for_with_the_input_and_no_prompt(tmp_path: Path) -> None:
    assert ask(ready(tmp_path, answer="scores", prompt=None), MAIL) == Ask({"text": "Buy now"}, ("ham", "spam"))
    assert ask(ready(tmp_path, answer="scores", prompt=None, choices=()), MAIL) == Ask({"text": "Buy now"}, ())


@pytest.mark.parametrize("way", ["likelihood", "text"])
def test_a_sample_without_choices_is_refused(tmp_path: Path, way: str) -> None:
    with pytest.raises(ConfigError, match=r"^sample 'm1' has no choices and neither has its task$"):
        ask(ready(tmp_path, answer=way, choices=()), MAIL)


@pytest.mark.parametrize("way", ["likelihood", "text"])
def test_a_prompt_is_needed_where_there_is_something_to_prompt(way: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^a classification task with answer: {way} needs a prompt$"):
        Classification(answer=way)


def test_the_same_choice_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^choices must be different from one another$"):
        Classification(TEXT, choices=("a", "b", "a"))


# ── what is made of the answer ──────────────────────────────────────────────────────────────────────────────────────


def test_the_most_likely_choice_wins_and_softmax_gives_probabilities(tmp_path: Path) -> None:
    """By hand: e^-1, e^-2, e^-4 over their sum 0.3678794 + 0.1353353 + 0.0183156 = 0.5215303."""
    given = Likelihoods((-2.0, -1.0, -4.0), (1, 2, 1), (False, True, False))
    label = answer(ready(tmp_path, choices=MOODS), MAIL, given)
    assert isinstance(label, Label)
    assert (label.label, label.logprobs, label.text) == ("sad", (-2.0, -1.0, -4.0), None)
    assert label.probabilities == pytest.approx({"glad": 0.2594965, "sad": 0.7053845, "angry": 0.0351190}, abs=1e-7)


def test_very_small_likelihoods_do_not_underflow(tmp_path: Path) -> None:
    label = answer(ready(tmp_path), MAIL, Likelihoods((-5000.0, -5001.0), (9, 9)))
    assert isinstance(label, Label)
    assert label.probabilities == pytest.approx({"ham": 0.7310586, "spam": 0.2689414}, abs=1e-7)  # 1 / (1 + 1/e)


def test_of_equally_likely_choices_the_first_is_taken(tmp_path: Path) -> None:
    label = answer(ready(tmp_path), MAIL, Likelihoods((-3.0, -3.0), (1, 1)))
    assert label == Label("ham", {"ham": 0.5, "spam": 0.5}, (-3.0, -3.0))


def test_choices_that_repeat_have_no_probabilities(tmp_path: Path) -> None:
    sample = Sample("q", {"text": "?"}, choices=("no", "yes", "no"))
    label = answer(ready(tmp_path), sample, Likelihoods((-2.0, -1.0, -3.0), (1, 1, 1)))
    assert label == Label("yes", None, (-2.0, -1.0, -3.0))


def test_likelihoods_of_another_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^1 likelihoods for 2 choices$"):
        answer(ready(tmp_path), MAIL, Likelihoods((-1.0,), (1,)))


def test_text_is_parsed_and_kept(tmp_path: Path) -> None:
    suite = ready(tmp_path, answer="text")
    assert answer(suite, MAIL, Text("It is Spam!")) == Label("spam", text="It is Spam!")
    assert answer(suite, MAIL, Text("I cannot tell")) == Label(None, text="I cannot tell")  # wrong, not missing


@pytest.mark.parametrize("way", ["likelihood", "text", "scores"])
def test_a_label_is_a_final_answer_whatever_was_asked(tmp_path: Path, way: str) -> None:
    stored = Label("spam", {"ham": 0.25, "spam": 0.75})
    assert answer(ready(tmp_path, answer=way), MAIL, stored) is stored


@pytest.mark.parametrize(("given", "kind"), [(Number(1.0), "number"), (Ranking((), ()), "ranking")])
def test_anything_else_is_refused(tmp_path: Path, given: Answer, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^classification expects a label, likelihoods or text, got {kind}$"):
        answer(ready(tmp_path), MAIL, given)


@pytest.mark.parametrize(("way", "needs", "gives"), [
    ("likelihood", {LogLikelihood}, {"label", "probabilities", "logprobs", "timing", "usage"}),
    ("text", {Generate}, {"label", "text", "timing", "usage"}),
    ("scores", {Ask}, {"label", "probabilities", "timing", "usage"}),
])  # fmt: skip
def test_what_each_way_needs_and_gives(way: Any, needs: set[type], gives: set[str]) -> None:
    suite = Classification(TEXT, ("a", "b"), answer=way)
    assert suite.needs() == needs
    assert suite.gives() == gives


# ── parsing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "choices", "found"), [
    ("sad", MOODS, "sad"),
    ("  SAD.\n", MOODS, "sad"),
    ("**Sad**", MOODS, "sad"),
    ("Answer: sad", MOODS, "sad"),
    ("sad or angry", MOODS, "sad"),  # the first in the text, not in the list
    ("angry, not sad", MOODS, "angry"),
    ("gladly", MOODS, None),  # whole words only
    ("unsad", MOODS, None),
    ("", MOODS, None),
    ("?!", MOODS, None),
    ("happy", MOODS, None),
    ("I want to renew a loan card", ("renew", "renew a loan"), "renew a loan"),  # the longest of those that begin together
    ("renew  a\nloan", ("renew", "renew a loan"), "renew a loan"),
    ("The answer is (B).", ("A", "B", "C"), "B"),
    ("B", ("A", "B"), "B"),
    ("C++", ("C", "C++"), "C++"),  # choices that punctuation alone tells apart: only as they are written
    ("C", ("C", "C++"), "C"),
    ("I write C++", ("C", "C++"), None),
    ("US", ("us", "US"), "US"),
    ("us", ("us", "US"), "us"),
    ("Us", ("us", "US"), None),
    ("+", ("+", "-"), "+"),
    (" - ", ("+", "-"), "-"),
    ("...", ("+", "-"), None),
    ("no", ("yes", "no", "no"), "no"),
    ("No!", ("yes", "no", "no"), "no"),
    ("1", ("10", "1"), "1"),
    ("10", ("1", "10"), "10"),
    ("großartig", ("GROSSARTIG", "schlecht"), "GROSSARTIG"),
    ("анекдот: да", ("да", "нет"), "да"),
    ("sad", (), None),
])  # fmt: skip
def test_the_choice_that_a_text_names(text: str, choices: tuple[str, ...], found: str | None) -> None:
    assert parse_choice(text, choices) == found
