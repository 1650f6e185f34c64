"""Telling a model's reasoning from its answer."""

from __future__ import annotations

import pytest

from harness.errors import BackendError
from harness.models.reasoning import check_marks, split_reasoning

THINK = ("<think>", "</think>")


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>\n4 and 4\n</think>\n\n 8\n", "8", "4 and 4"),
        ("8 ", "8 ", None),  # without a mark not a blank is touched
        ("", "", None),
        ("<think>4 and", "", "4 and"),  # cut off by max_tokens: none of it is an answer
        ("4 and 4</think>8", "8", "4 and 4"),  # the template opened it
        ("<think>\n\n</think>\n\n8", "8", ""),  # told not to think
        ("so <think>a</think>x <think>b</think>y", "so x y", "a\nb"),
        ("<think>a <think> b</think> c", "c", "a <think> b"),  # spans do not nest
        ("<think>a</think>b</think>c", "c", "a\nb"),
        ("8 <think>really", "8", "really"),
    ],
)
def test_what_stands_between_the_marks_is_no_answer(text: str, answer: str, reasoning: str | None) -> None:
    assert split_reasoning(text, THINK) == (answer, reasoning)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [("4 and 4</think>8", "8", "4 and 4"), ("4 and", "", "4 and"), ("", "", "")],
)
def test_a_span_that_the_prompt_began_is_closed_by_the_text_or_never(text: str, answer: str, reasoning: str) -> None:
    assert split_reasoning(text, THINK, begun=True) == (answer, reasoning)


@pytest.mark.parametrize("marks", [("", "x"), ("a", "a"), ("a",), ("a", "b", "c"), ("a", 3)])
def test_marks_that_cannot_tell_are_refused(marks: tuple[str, str]) -> None:
    with pytest.raises(BackendError, match="me: reasoning must be an opening and a closing mark"):
        check_marks("me", marks)


def test_no_marks_are_fine() -> None:
    check_marks("me", None)
    check_marks("me", THINK)
