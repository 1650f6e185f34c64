"""Texts held to choices or to a JSON Schema: a small model with random weights, which by itself writes neither."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from harness.errors import MissingDependency
from harness.models.constraints import Constraints
from harness.models.transformers import Transformers
from harness.types import Call, Decoding, Generate, Key, Output, Text
from tests.models import toy
from tests.models.answers import text
from tests.models.real import with_loaded
from tests.models.test_writing import random_model

pytest.importorskip("llguidance")

BOOK = {"type": "object", "properties": {"pages": {"type": "integer"}, "lent": {"type": "boolean"},
                                         "shelf": {"enum": ["A", "B \"east\"", None]}},
        "required": ["pages", "lent", "shelf"], "additionalProperties": False}


@pytest.fixture(scope="module")
def llama(language_model: Transformers) -> Transformers:
    return with_loaded(language_model, model=random_model("Llama"))


def outputs_of(backend: Transformers, *requests: Generate, seed: int = 0) -> list[Output]:
    """Of one batch, in the order of the requests."""
    found = {out.key.sample_id: out for out in backend.run([Call(Key(f"{i:03}"), one, seed) for i, one in enumerate(requests)])}
    return [found[key] for key in sorted(found)]


@pytest.mark.parametrize("choice", [
    "yes", " a choice of several words", "say \"no\"", "C:\\new", "line\nand line\t", "naïve 日本 🚀", "{{x}} | /y/ %z"])
def test_a_single_choice_is_what_is_written(llama: Transformers, choice: str) -> None:
    [output] = outputs_of(llama, Generate("Say it:", Decoding(32), choices=(choice,)))
    assert (text(output), output.finish_reason) == (choice, "stop")


def test_sampled_texts_are_all_of_the_choices_and_no_other(llama: Transformers) -> None:
    # "renew" ends where "renew a loan" goes on: the end token decides.
    choices = ("renew", "renew a loan", "reserve", "pay a fee")
    requests = [Generate(f"{i}:", Decoding(16, temperature=40.0), choices=choices) for i in range(60)]
    outputs = outputs_of(llama, *requests)
    assert {text(out) for out in outputs} == set(choices)
    assert {out.finish_reason for out in outputs} == {"stop"}


def test_greedy_text_takes_the_likelier_token(language_model: Transformers) -> None:
    choices = (" Rome", " Paris", " Berlin")
    [paris, rome] = outputs_of(language_model, *(
        Generate(f"The capital of {country} is", Decoding(8), choices=choices) for country in ("France", "Italy")))
    assert (text(paris), text(rome)) == (" Paris", " Rome")


@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_a_schema_admits_what_is_written(llama: Transformers, temperature: float) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    outputs = outputs_of(llama, *(Generate(f"{i}:", Decoding(200, temperature), schema=BOOK) for i in range(12)))
    whole = [text(out) for out in outputs if out.finish_reason == "stop"]
    assert len(whole) > 5
    for written in whole:
        jsonschema.validate(json.loads(written), BOOK)
        # On one line, as json.dumps writes it but for minus nought.
        assert written.replace("-0,", "0,") == json.dumps(json.loads(written), ensure_ascii=False)


def test_rows_of_one_batch_are_held_to_different_things(llama: Transformers) -> None:
    free = Generate("Go on:", Decoding(6))
    alone = text(outputs_of(llama, free)[0])
    outputs = outputs_of(
        llama, Generate("Go on:", Decoding(30), choices=("left", "right")), free,
        Generate("Go on:", Decoding(200), schema=BOOK), Generate("Go on:", Decoding(30), schema={"const": 12}), free)
    assert text(outputs[0]) in ("left", "right")
    assert text(outputs[2]).startswith('{"pages": ')
    assert [text(outputs[i]) for i in (1, 3, 4)] == [alone, "12", alone]


def test_too_few_tokens_leave_what_there_is(llama: Transformers) -> None:
    choice = "a choice that takes many tokens to write"
    [output] = outputs_of(llama, Generate("x", Decoding(3), choices=(choice,)))
    assert output.finish_reason == "length"
    assert choice.startswith(text(output))
    assert 0 < len(text(output)) < len(choice)


def test_stop_strings_hold_all_the_same(llama: Transformers) -> None:
    [output] = outputs_of(llama, Generate("x", Decoding(30, stop=(" b",)), choices=("a big one",)))
    assert (text(output), output.finish_reason) == ("a", "stop")


def test_log_probabilities_are_those_of_the_free_model(llama: Transformers) -> None:
    import torch

    loaded = llama._require().loaded
    [output] = outputs_of(llama, Generate("Go on:", Decoding(4, logprobs=True), choices=("yes",)))
    assert isinstance(output.answer, Text)
    ids = loaded.prompts.encode("Go on:")
    with torch.inference_mode():
        logprobs = loaded.model(torch.tensor([ids])).logits[0, -1].log_softmax(0)
    [token] = loaded.prompts.bare("yes")
    assert output.answer.token_logprobs is not None
    if len(output.answer.token_logprobs) == 1:
        assert output.answer.token_logprobs[0] == pytest.approx(float(logprobs[token]), abs=1e-4)
    assert output.answer.token_logprobs[0] < -0.5
    assert output.answer.token_entropies is not None
    assert output.answer.token_entropies[0] == pytest.approx(float(-(logprobs.exp() * logprobs).sum()), abs=1e-4)


@pytest.mark.parametrize("schema", [{"type": "strin"}, {"$ref": "#/nowhere"}, {"not": {"type": "string"}}])
def test_a_schema_that_cannot_be_kept_to_costs_its_own_call(llama: Transformers, schema: dict[str, Any]) -> None:
    bad, good = outputs_of(llama, Generate("x", Decoding(3), schema=schema), Generate("x", Decoding(3)))
    assert bad.answer is None
    assert str(bad.error).startswith("the text cannot be held to its schema: ")
    assert good.error is None


def test_what_is_wrong_with_a_pattern_is_said_on_one_line(llama: Transformers) -> None:
    [bad] = outputs_of(llama, Generate("x", Decoding(3), schema={"type": "string", "pattern": "(?=a)b"}))
    assert "\n" not in str(bad.error)
    assert "regex parse error" in str(bad.error)
    assert "look-around, including look-ahead and look-behind, is not supported" in str(bad.error)


def test_forms_used_last_are_kept_and_no_others() -> None:
    tokenizer = toy.tokenizer()
    constraints = Constraints(tokenizer, frozenset({1}), len(tokenizer))
    made: list[str] = []
    plain = constraints._matcher
    constraints._matcher = lambda grammar: made.append(grammar) or plain(grammar)  # type: ignore[func-returns-value, method-assign]
    forms = [Generate("x", choices=(f"choice {i}", "none")) for i in range(100)]
    makers = [constraints.of(form) for form in forms]
    constraints.of(forms[40])
    assert len(made) == 100
    for form in [*(Generate("x", choices=(f"other {i}",)) for i in range(63)), forms[40]]:
        constraints.of(form)
    assert len(made) == 163
    # Pushed out by the others, but for what was given out before.
    constraints.of(forms[99])
    assert (len(made), len(constraints._begun)) == (164, 64)
    assert makers[0] is not None
    assert {tokenizer.decode([int(token)])[0] for token in makers[0]().allowed(300).nonzero()[0]} == {"c", "n"}


def test_without_the_package_the_error_says_what_to_install(llama: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    fresh = with_loaded(llama)
    with pytest.raises(MissingDependency, match=r"needs llguidance: pip install 'harness-eval\[models\]'"):
        outputs_of(fresh, Generate("x", Decoding(3), choices=("a", "b")))
    assert outputs_of(fresh, Generate("x", Decoding(3)))[0].error is None
