"""Prompts: what templates see, few-shot examples, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data.dataset import Dataset
from harness.errors import ConfigError, DataError
from harness.suites.prompting import Prompter, prompter, sample_context
from harness.templates import MessageTemplate, PromptTemplate, Shots
from harness.types import Message, Sample
from tests.suites.playing import data_set, first

PAIRS = [("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5")]
ROWS = [{"id": f"r{digit}", "word": word, "digit": digit} for word, digit in PAIRS]
REFERENCES = {"references": ["{{ digit }}"]}
TRAIN = [{"id": f"t{i}", "word": f"word{i}", "digit": f"{i}0"} for i in range(6)]
PERMUTED = {0: [3, 2, 5, 4, 0, 1], 1: [4, 0, 2, 1, 5, 3]}
"""``numpy.random.default_rng(seed).permutation(6)``, printed by NumPy 2.4."""


def digits(tmp_path: Path) -> Dataset:
    return data_set(tmp_path, ROWS, REFERENCES, TRAIN)


def shown(prompt: Any, delimiter: str = "\n\n") -> list[str]:
    """The words of the blocks of a text prompt, the sample's own last."""
    return [block.split("=")[0] for block in prompt.split(delimiter)]


# ── forms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_template_gives_text(tmp_path: Path) -> None:
    ready = prompter(PromptTemplate(text="Spell {{ word | upper }}:"), digits(tmp_path))
    assert [ready(sample) for sample in digits(tmp_path)][:2] == ["Spell ONE:", "Spell TWO:"]


def test_a_user_template_gives_a_conversation_with_its_system_message_first(tmp_path: Path) -> None:
    template = PromptTemplate(system="Answer in {{ word | length }} letters.", user="{{ word }}?")
    assert prompter(template, digits(tmp_path))(first(digits(tmp_path))) == (
        Message("system", "Answer in 3 letters."), Message("user", "one?"),
    )  # fmt: skip
    assert prompter(PromptTemplate(user="{{ word }}?"), digits(tmp_path))(first(digits(tmp_path))) == (Message("user", "one?"),)


def test_messages_are_rendered_turn_by_turn(tmp_path: Path) -> None:
    turns = (MessageTemplate("system", "Count."), MessageTemplate("user", "{{ word }}"), MessageTemplate("assistant", "So,"))
    assert prompter(PromptTemplate(messages=turns), digits(tmp_path))(first(digits(tmp_path))) == (
        Message("system", "Count."), Message("user", "one"), Message("assistant", "So,"),
    )  # fmt: skip


def test_fields_of_the_row_hide_those_of_the_sample_in_templates() -> None:
    sample = Sample("1", {"target": "raw", "q": "?"}, references=("r",), choices=("a", "b"), target=1, contexts=("c",))
    assert sample_context(sample) == {
        "q": "?", "target": "raw", "references": ("r",), "choices": ("a", "b"), "contexts": ("c",),
    }  # fmt: skip


@pytest.mark.parametrize(("template", "key"), [
    (PromptTemplate(text="{{ wrd }}"), "prompt.text"),
    (PromptTemplate(user="{{ wrd }}"), "prompt.user"),
    (PromptTemplate(system="{{ wrd }}", user="x"), "prompt.system"),
    (PromptTemplate(messages=(MessageTemplate("user", "{{ wrd }}"),)), "prompt.messages"),
])  # fmt: skip
def test_a_field_that_is_not_there_names_sample_and_fields(tmp_path: Path, template: PromptTemplate, key: str) -> None:
    with pytest.raises(DataError) as refused:
        prompter(template, digits(tmp_path))(first(digits(tmp_path)))
    there = "choices, contexts, digit, id, references, target, word"
    assert str(refused.value) == f"sample 'r1': {key}: no field 'wrd'; the fields are: {there}; did you mean 'word'?"


# ── few-shot examples ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [0, 1])
def test_examples_are_drawn_from_the_split_in_an_order_that_the_seed_fixes(tmp_path: Path, seed: int) -> None:
    template = PromptTemplate(text="{{ word }}=", shots=Shots("train", 3, seed))
    ready = prompter(template, digits(tmp_path))
    drawn = [f"word{i}" for i in PERMUTED[seed][:3]]
    assert [shown(ready(sample)) for sample in digits(tmp_path)] == [[*drawn, word] for word, _ in PAIRS]


def test_more_examples_begin_with_the_same_ones(tmp_path: Path) -> None:
    few, many = (
        shown(prompter(PromptTemplate(text="{{ word }}=", shots=Shots("train", n)), digits(tmp_path))(first(digits(tmp_path))))
        for n in (2, 5)
    )
    assert many[:2] == few[:2]


def test_a_text_prompt_joins_examples_with_their_answers(tmp_path: Path) -> None:
    template = PromptTemplate(text="Q: {{ word }}\nA:", shots=Shots("train", 2))
    prompt = prompter(template, digits(tmp_path))(first(digits(tmp_path)))
    assert prompt == "Q: word3\nA: 30\n\nQ: word2\nA: 20\n\nQ: one\nA:"


def test_no_space_is_added_where_the_template_ends_with_white_space(tmp_path: Path) -> None:
    template = PromptTemplate(text="{{ word }} is\n", shots=Shots("train", 1), delimiter=" ## ")
    assert prompter(template, digits(tmp_path))(first(digits(tmp_path))) == "word3 is\n30 ## one is\n"


def test_a_conversation_shows_examples_as_turns_after_one_system_message(tmp_path: Path) -> None:
    template = PromptTemplate(system="Count.", user="{{ word }}", shots=Shots("train", 2))
    assert prompter(template, digits(tmp_path))(first(digits(tmp_path))) == (
        Message("system", "Count."), Message("user", "word3"), Message("assistant", "30"), Message("user", "word2"),
        Message("assistant", "20"), Message("user", "one"),
    )  # fmt: skip


def test_a_sample_never_sees_itself(tmp_path: Path) -> None:
    """Of its own five samples ``permutation(5)`` of seed 0 begins 2 4 3: the third stands in for one of the first two."""
    ready = prompter(PromptTemplate(text="{{ word }}=", shots=Shots("self", 2)), digits(tmp_path))
    seen = {sample.input["word"]: shown(ready(sample))[:-1] for sample in digits(tmp_path)}
    assert seen == {
        "one": ["three", "five"], "two": ["three", "five"], "three": ["five", "four"], "four": ["three", "five"],
        "five": ["three", "four"],
    }  # fmt: skip


@pytest.mark.parametrize(("shots", "most"), [(Shots("train", 7), 6), (Shots("self", 5), 4)])
def test_more_examples_than_there_are_is_refused(tmp_path: Path, shots: Shots, most: int) -> None:
    with pytest.raises(ConfigError) as refused:
        prompter(PromptTemplate(text="{{ word }}", shots=shots), digits(tmp_path))
    assert str(refused.value) == f"prompt.shots: n must be at most {most}, the examples there are, got {shots.n}"


@pytest.mark.parametrize("shots", [Shots("train", 6), Shots("self", 4)])
def test_all_the_examples_there_are_may_be_taken(tmp_path: Path, shots: Shots) -> None:
    ready = prompter(PromptTemplate(text="{{ word }}=", shots=shots), digits(tmp_path))
    assert all(len(set(shown(ready(sample)))) == shots.n + 1 for sample in digits(tmp_path))


def test_no_examples_need_no_split(tmp_path: Path) -> None:
    template = PromptTemplate(text="{{ word }}", shots=Shots("nowhere", 0))
    assert prompter(template, digits(tmp_path))(first(digits(tmp_path))) == "one"


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'trian'; did you mean 'train'"):
        prompter(PromptTemplate(text="{{ word }}", shots=Shots("trian", 1)), digits(tmp_path))


# ── answers of examples ─────────────────────────────────────────────────────────────────────────────────────────────


def answered(shot: Sample, answer: str | None = None) -> str:
    """The answer that an example is shown with."""
    ready = Prompter(PromptTemplate(text="Q", answer=answer, shots=Shots("train", 1)), [shot])
    prompt = ready(Sample("x", {}))
    assert isinstance(prompt, str)
    return prompt.removeprefix("Q ").removesuffix("\n\nQ")


@pytest.mark.parametrize(("shot", "answer"), [
    (Sample("s", {}, references=("Lima", "Ciudad de los Reyes")), "Lima"),
    (Sample("s", {}, references=("Lima",), target="spam"), "spam"),
    (Sample("s", {}, choices=("ham", "spam"), target=1), "spam"),
    (Sample("s", {}, target=7), "7"),
    (Sample("s", {}, choices=("0", "1"), target="0"), "0"),
    (Sample("s", {}, target=False), "False"),
    # fields of the row that have the names of sample fields are not the sample's
    (Sample("s", {"target": "raw", "choices": {"text": ["a"]}}, choices=("ham", "spam"), target=0), "ham"),
    (Sample("s", {"references": "Lima"}, references=("Lima",)), "Lima"),
])  # fmt: skip
def test_an_example_is_shown_with_its_target_or_else_its_first_reference(shot: Sample, answer: str) -> None:
    assert answered(shot) == answer


def test_the_answer_template_goes_first() -> None:
    shot = Sample("s", {"why": "because"}, references=("x",), target="y")
    assert answered(shot, "{{ why }}: {{ target }}") == "because: y"


def test_an_example_without_any_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"neither target nor references: give prompt\.answer"):
        answered(Sample("s", {}))


@pytest.mark.parametrize("target", [2, -1])
def test_an_example_whose_target_is_no_index_is_refused(target: int) -> None:
    with pytest.raises(DataError, match=rf"^sample 's': target must be an index into its 2 choices, got {target}$"):
        answered(Sample("s", {}, choices=("a", "b"), target=target))
