"""Prompts that are longer than what a model can read, by each policy."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.inputs import Inputs, Truncation
from harness.models.prompts import Prompts, Unanswerable
from harness.types import Call, Decoding, Generate, Key, LogLikelihood, Perplexity
from tests.models import toy


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(toy.tokenizer(), "auto")


def call(request: Any) -> Call:
    return Call(Key("q7"), request)


# Bytes that the toy vocabulary never joins: a token a character.
LONG = "ZYXWVUZYXWVU"


def test_a_token_a_character(prompts: Prompts) -> None:
    assert len(prompts.bare(LONG)) == len(LONG) == 12


@pytest.mark.parametrize(
    ("truncation", "max_length", "wanted", "cut"),
    [
        # 13 tokens with bos, and 4 are to be written.
        ("left", 17, "<s>ZYXWVUZYXWVU", False),
        ("left", 16, "ZYXWVUZYXWVU", True),
        ("left", 9, "XWVUZYXWVU"[-5:], True),
        ("right", 17, "<s>ZYXWVUZYXWVU", False),
        ("right", 16, "<s>ZYXWVUZYXWV", True),
        ("right", 9, "<s>ZYXW", True),
        ("right", 5, "<s>", True),
        ("skip", 17, "<s>ZYXWVUZYXWVU", False),
        ("error", 17, "<s>ZYXWVUZYXWVU", False),
    ],
)
def test_a_prompt_leaves_room_for_what_is_written(
    prompts: Prompts, truncation: Truncation, max_length: int, wanted: str, cut: bool
) -> None:
    ids, truncated = Inputs(prompts, max_length, truncation).prompt(call(Generate(LONG, Decoding(max_tokens=4))))
    assert (prompts.tokenizer.decode(ids), truncated) == (wanted, cut)


@pytest.mark.parametrize(
    ("truncation", "max_length", "wanted", "cut"),
    [
        # 13 tokens before " Q", of which the last is only predicted.
        ("left", 14, ["<s>ZYXWVUZYXWVU"] * 2, False),
        ("left", 13, ["<s>ZYXWVUZYXWVU"[3:], "<s>ZYXWVUZYXWVU"], True),
        ("right", 13, ["<s>ZYXWVUZYXWV", "<s>ZYXWVUZYXWVU"], True),
        ("skip", 14, ["<s>ZYXWVUZYXWVU"] * 2, False),
        ("error", 14, ["<s>ZYXWVUZYXWVU"] * 2, False),
    ],
)
def test_a_prefix_is_cut_for_each_continuation_by_itself(
    prompts: Prompts, truncation: Truncation, max_length: int, wanted: list[str], cut: bool
) -> None:
    pairs, truncated = Inputs(prompts, max_length, truncation).pairs(call(LogLikelihood(LONG, ("QQ", "Q"))))
    assert [prompts.tokenizer.decode(context) for context, _ in pairs] == wanted
    assert [prompts.tokenizer.decode(scored) for _, scored in pairs] == ["QQ", "Q"]
    assert truncated is cut


@pytest.mark.parametrize("request_", [Generate(LONG, Decoding(max_tokens=4)), LogLikelihood(LONG, ("QQQQQ",))])
def test_skip_and_error_say_how_long_is_too_long(prompts: Prompts, request_: Any) -> None:
    def ask(truncation: Truncation) -> None:
        inputs = Inputs(prompts, 16, truncation)
        _ = inputs.prompt(call(request_)) if isinstance(request_, Generate) else inputs.pairs(call(request_))

    with pytest.raises(Unanswerable, match=r"a prompt of 13 tokens is longer than the 12 .* truncation is skip"):
        ask("skip")
    with pytest.raises(BackendError, match=r"sample 'q7': a prompt of 13 tokens is longer than the 12 .* truncation: left"):
        ask("error")


@pytest.mark.parametrize("truncation", ["left", "right", "skip", "error"])
def test_no_policy_cuts_what_is_to_be_scored_or_written(prompts: Prompts, truncation: Truncation) -> None:
    inputs = Inputs(prompts, 5, truncation)
    with pytest.raises(Unanswerable, match="a continuation of 12 tokens is longer than the model's context of 5"):
        inputs.pairs(call(LogLikelihood("A", (LONG,))))
    with pytest.raises(Unanswerable, match="max_tokens must be from 1 to 4"):
        inputs.prompt(call(Generate("A", Decoding(max_tokens=5))))


def test_a_whole_text_is_never_cut(prompts: Prompts) -> None:
    pairs, truncated = Inputs(prompts, 5, "error").pairs(call(Perplexity(LONG)))
    assert prompts.tokenizer.decode([token for _, scored in pairs for token in scored]) == LONG
    assert not truncated


def test_a_text_that_brings_bos_along_is_read_after_one(prompts: Prompts) -> None:
    inputs = Inputs(prompts, 64)
    assert inputs.pairs(call(Perplexity(f"<s>{LONG}"))) == inputs.pairs(call(Perplexity(LONG)))
