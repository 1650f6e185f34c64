"""From prompts to token ids, with toy tokenizers: what stands in front, what the template makes, where continuations start."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from harness.errors import BackendError
from harness.models.prompts import TODAY, Prompts, Unanswerable, keep_in_texts
from harness.types import Message
from tests.models import toy

CONVERSATION = (Message("system", "Be kind."), Message("user", "Hi"))


def prompts(**options: Any) -> Prompts:
    return Prompts(toy.tokenizer(**options), "auto")


# ── beginning of sequence ──


@pytest.mark.parametrize(
    ("text", "adds_bos", "wanted"),
    [
        ("Hi", True, "<s>Hi"),
        ("Hi", False, "Hi"),
        ("<s>Hi", True, "<s>Hi"),  # the text brings it along
        ("<s>Hi", False, "<s>Hi"),
        ("<s><s>Hi", True, "<s>Hi"),  # a text that does, in a template that does
        (" <s>Hi", True, "<s> <s>Hi"),  # not at the beginning: of the text, as any other token
        ("<s >Hi", True, "<s><s >Hi"),  # looks like it and is not
        ("<s>", True, "<s>"),
        ("", True, "<s>"),
        ("", False, ""),
    ],
)
def test_bos_stands_in_front_once_where_the_tokenizer_puts_it_there(text: str, adds_bos: bool, wanted: str) -> None:
    made = prompts(adds_bos=adds_bos)
    assert made.adds_bos is adds_bos
    assert made.tokenizer.decode(made.encode(text)) == wanted


@pytest.mark.parametrize("adds_bos", [True, False])
def test_bos_of_a_template_is_the_only_one(adds_bos: bool) -> None:
    made = prompts(adds_bos=adds_bos)
    rendered = made.render((Message("user", "Hi"),))
    assert rendered == "<s>[user]Hi<|end|>\n[assistant]"
    assert made.tokenizer.decode(made.encode(rendered)) == rendered
    assert made.encode(rendered).count(0) == 1


def test_a_template_around_a_text_that_begins_with_bos_gives_one() -> None:
    made = prompts(template="{{ bos_token }}{{ messages[0]['content'] }}")
    rendered = made.render((Message("user", "<s>Hi"),))
    assert rendered == "<s><s>Hi"
    assert made.tokenizer.decode(made.encode(rendered)) == "<s>Hi"


def test_a_closing_token_that_the_tokenizer_puts_behind_is_not_of_the_prompt() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = toy.tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="$A $B", special_tokens=[("<s>", 0), ("</s>", 1)])
    made = Prompts(tokenizer, "auto")
    assert tokenizer.decode(made.encode("Hi there")) == "<s>Hi there"
    (pair,) = made.pairs("Hi", (" there",))
    assert [tokenizer.decode(part) for part in pair] == ["<s>Hi", " there"]


# ── continuations ──


@pytest.mark.parametrize(
    ("prefix", "continuation", "wanted"),
    [
        ("What is", " water", ["<s>What is", " water"]),
        ("What is ", "water", ["<s>What is", " water"]),  # blanks go over to the continuation
        ("<s>What is", " water", ["<s>What is", " water"]),
        ("", "water", ["<s>", "water"]),
        ("", "<s>water", ["<s>", "water"]),
        ("  ", "water", ["<s>", "  water"]),
    ],
)
def test_a_prefix_and_its_continuation_are_cut_apart(prefix: str, continuation: str, wanted: list[str]) -> None:
    made = prompts()
    (pair,) = made.pairs(prefix, (continuation,))
    assert [made.tokenizer.decode(part) for part in pair] == wanted


def test_a_continuation_without_a_token_of_its_own_is_refused() -> None:
    with pytest.raises(Unanswerable, match="'' has no token of its own"):
        prompts().pairs("Hi", ("",))


# ── chat templates ──


def test_the_chat_template_option() -> None:
    bare, templated = toy.tokenizer(template=None), toy.tokenizer()
    with pytest.raises(BackendError, match="no chat template"):
        Prompts(bare, True)
    assert Prompts(bare, "auto").render(CONVERSATION) == "Be kind.\n\nHi"
    assert Prompts(templated, False).render(CONVERSATION) == "Be kind.\n\nHi"
    wanted = "<s>[system]Be kind.<|end|>\n[user]Hi<|end|>\n[assistant]"
    assert Prompts(templated, "auto").render(CONVERSATION) == Prompts(templated, True).render(CONVERSATION) == wanted


def test_a_turn_that_is_begun_is_continued_and_not_closed() -> None:
    begun = (*CONVERSATION, Message("assistant", "Hello"))
    assert prompts().render(begun).endswith("[user]Hi<|end|>\n[assistant]Hello")


def test_a_template_that_refuses_makes_the_request_unanswerable() -> None:
    made = prompts(template="{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn, please') }}{% endif %}"
                            "{{ messages[0]['content'] }}\n")
    with pytest.raises(Unanswerable, match="no system turn, please"):
        made.render(CONVERSATION)
    assert made.render(CONVERSATION[1:]) == "Hi"


@pytest.mark.parametrize(("template", "reason"), [
    ("{{ messages[0]['content'] + 1 }}", "TypeError"),
    ("{{ 1 // (messages[0]['content']|length - 2) }}", "ZeroDivisionError"),
    ("{{ range(10 ** 9) }}", "OverflowError"),
])
def test_a_template_that_fails_makes_the_request_unanswerable(template: str, reason: str) -> None:
    made = prompts(template=template)
    with pytest.raises(Unanswerable, match=f"the chat template fails on this conversation .{reason}"):
        made.render((Message("user", "Hi"),))


def test_a_conversation_without_messages_is_unanswerable() -> None:
    with pytest.raises(Unanswerable, match="has no messages"):
        prompts().render(())


DATED = ("{% if strftime_now is defined %}{% set today = strftime_now('%d %b %Y') %}{% else %}{% set today = '1 Jan 1970' %}"
         "{% endif %}Today: {{ today }}\n{{ messages[-1]['content'] }}<|end|>\n")
"""As Llama 3.2 has it."""


# Jinja takes blanks away around statements, and at the beginning of a line before them.
@pytest.mark.parametrize("beginning", ["", "\n", "\n  ", "x"])
def test_a_template_that_asks_for_the_date_is_told_the_same_on_every_day(beginning: str) -> None:
    made = prompts(template=beginning + DATED)
    fixed = DATED.replace("strftime_now('%d %b %Y')", "'26 Jul 2024'").replace("strftime_now is defined", "true")
    wanted = prompts(template=beginning + fixed)
    for role in ("user", "assistant"):
        rendered = made.render((Message(role, "Hi"),))
        assert rendered == wanted.render((Message(role, "Hi"),))
        assert "Today: 26 Jul 2024\nHi" in rendered
    assert made.chat_end == 2


def test_only_templates_that_ask_are_told_the_date() -> None:
    assert prompts(template=DATED).asks_for_date
    assert not prompts().asks_for_date
    assert prompts().template == toy.TEMPLATE
    assert not Prompts(toy.tokenizer(template=DATED), False).asks_for_date


def test_the_date_is_in_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.models import prompts as module

    before, undated = prompts(template=DATED).signature(), prompts().signature()
    monkeypatch.setattr(module, "TODAY", "2024-07-27")
    monkeypatch.setattr(module, "_DATED", module._clock())
    assert prompts(template=DATED).signature() != before
    assert prompts().signature() == undated


def test_the_date_is_written_as_strftime_writes_it() -> None:
    made = prompts(template="{{ strftime_now(messages[0]['content']) }}")
    for form in ("%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%A, %-d %B %y", "%H:%M:%S.%f", "%I:%M %p", "%F %T", "%D %R %h", "%x %X",
                 "%e %j %u %w %a", "%-m/%-d, %-H %-I %-M %-S", "%c", "-%Z%z", "100%% %%d %%%d", "no date"):
        assert made.render((Message("user", form),)) == datetime.fromisoformat(TODAY).strftime(form)


def test_the_token_that_closes_a_turn_ends_a_text() -> None:
    assert prompts().chat_end == 2
    assert prompts(template=None).chat_end is None
    # A turn that ends in plain words ends in no token that could be told from the text.
    assert prompts(template="{% for message in messages %}{{ message['content'] }}\n{% endfor %}").chat_end is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"template": None}),
        ({}, {"template": toy.TEMPLATE.replace("[assistant]", "[bot]")}),
        ({}, {"adds_bos": False}),
    ],
)
def test_the_signature_tells_templates_and_tokenizers_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert prompts(**one).signature() == prompts(**one).signature()
    assert prompts(**one).signature() != prompts(**other).signature()


def test_a_template_that_is_not_used_is_not_in_the_signature() -> None:
    assert Prompts(toy.tokenizer(), False).signature() == Prompts(toy.tokenizer(template=None), "auto").signature()


# ── marks of reasoning ──


def test_marks_that_are_special_tokens_are_kept_in_texts_and_no_other_ones() -> None:
    tokenizer = toy.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]", toy.TURN_END]})
    ids = tokenizer("<s>a[THINK]b[/THINK]c<|end|>", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "abc"
    keep_in_texts(tokenizer, ("[THINK]", "[/THINK]"))
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a[THINK]b[/THINK]c"
    assert tokenizer("<s>a[THINK]b[/THINK]c<|end|>", add_special_tokens=False)["input_ids"] == ids


def test_marks_of_plain_words_change_nothing() -> None:
    tokenizer = toy.tokenizer()
    before = tokenizer.backend_tokenizer
    keep_in_texts(tokenizer, ("<think>", "</think>"))
    assert tokenizer.backend_tokenizer is before
