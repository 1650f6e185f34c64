"""What apps return, read: every form of an answer, and everything that is none."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from harness.codec import decode_output, dumps, encode_output, loads
from harness.models.appanswers import AppReader, BadAnswer
from harness.models.appfields import AppInspector, app_fields
from harness.models.prices import Prices
from harness.types import (
    Ask,
    Call,
    Decoding,
    Generate,
    Key,
    Label,
    Labels,
    Message,
    Number,
    Output,
    Rank,
    Ranking,
    Request,
    Sample,
    Tags,
    Text,
    Usage,
)

ASK, CHOOSE, WRITE = Ask({"question": "q"}), Ask({"question": "q"}, ("a", "b")), Generate("q")
RANK = Rank("q", 3, "")
KEY = Key("s", 2)
PLAIN = AppReader()


def read(value: Any, request: Request = ASK, reader: AppReader = PLAIN) -> Output:
    output = reader.output(Call(KEY, request), value)
    assert output.key == KEY
    assert decode_output(loads(dumps(encode_output(output)))) == output  # it can be stored
    return output


@pytest.mark.parametrize(
    ("value", "request_", "answer"),
    [
        ("Paris", ASK, Text("Paris")),
        ("", WRITE, Text("")),
        ({"answer": "Paris"}, ASK, Text("Paris")),
        ({"text": "Paris", "trace": object()}, WRITE, Text("Paris")),
        ({"answer": 42}, WRITE, Text("42")),
        ({"answer": "A", "contexts": ("c", "d"), "citations": [1]}, ASK, Text("A", contexts=("c", "d"), citations=(1,))),
        ({"answer": "A", "contexts": np.array(["one"]), "citations": np.array([0])}, ASK,
         Text("A", contexts=("one",), citations=(0,))),
        ({"label": "a"}, CHOOSE, Label("a")),
        ({"label": None, "answer": "neither"}, CHOOSE, Label(None, text="neither")),
        ({"label": "a", "answer": "It is a."}, WRITE, Text("It is a.")),
        ({"probabilities": {"a": np.float32(0.25), "b": np.float64(0.75)}}, CHOOSE, Label("b", {"a": 0.25, "b": 0.75})),
        ({"labels": ["x", "y"]}, ASK, Labels(("x", "y"))),
        (3.5, ASK, Number(3.5)),
        (np.int64(3), ASK, Number(3.0)),
        ({"value": 3, "low": 1, "high": 4}, ASK, Number(3.0, 1.0, 4.0)),
        ({"tags": ["O", "B-x"]}, ASK, Tags(("O", "B-x"))),
        ({"ranking": [("d1", 0.5), ["d2", 0.75]]}, RANK, Ranking(("d2", "d1"), (0.75, 0.5))),
        ({"ranking": ["d1", "d2"]}, RANK, Ranking(("d1", "d2"), (2.0, 1.0))),
        (["d1", "d2"], RANK, Ranking(("d1", "d2"), (2.0, 1.0))),
        (OrderedDict(answer="Paris"), ASK, Text("Paris")),
        (Text("Paris", contexts=["c"]), ASK, Text("Paris", contexts=("c",))),  # type: ignore[arg-type]
        (Label("a", {"a": 1.0}), CHOOSE, Label("a", {"a": 1.0})),
        (Ranking(("d",), (1,)), RANK, Ranking(("d",), (1.0,))),
    ],
)  # fmt: skip
def test_every_form_of_an_answer(value: Any, request_: Request, answer: Any) -> None:
    assert read(value, request_).answer == answer


@pytest.mark.parametrize(
    ("value", "request_", "message"),
    [
        (None, ASK, "expected a text, or a mapping with answer, label, value, …, got null"),
        (True, ASK, "got True"),
        (b"Paris", ASK, "got b'Paris'"),
        (3.5, WRITE, "got 3.5"),
        (["a"], ASK, "got ['a']"),
        (object, ASK, "got <class 'object'>"),
        ({}, ASK, "expected a mapping with answer, label, value, … or error; it has nothing"),
        ({"reply": "Paris"}, ASK, "or error; it has reply"),
        ({"answer": None}, ASK, "answer must be a string, got null"),
        ({"answer": {"text": "x"}}, ASK, "answer must be a string, got {'text': 'x'}"),
        ({"text": None}, ASK, "text must be a string, got null"),
        ({"answer": "x", "text": "y"}, ASK, "not both"),
        ({"answer": "x", "contexts": "one"}, ASK, "contexts must be a list, got 'one'"),
        ({"answer": "x", "contexts": [{"page": 1}]}, ASK, "contexts[] must be a string"),
        ({"answer": "x", "citations": ["1"]}, ASK, "citations[] must be an integer >= 0"),
        ({"value": "3"}, ASK, "value must be a number, got '3'"),
        ({"answer": "x", "usage": {"prompt_tokens": 3}}, ASK,
         "usage must have input_tokens, output_tokens or cost, got an object with prompt_tokens"),
        ({"answer": "x", "usage": {"input_tokens": -1}}, ASK, "usage.input_tokens must be an integer >= 0, got -1"),
        ({"answer": "x", "usage": {"cost": float("nan")}}, ASK, "usage.cost must be a number >= 0, got nan"),
        ({"answer": "x", "reasoning": 3}, ASK, "reasoning must be a string, got 3"),
        ("\ud800", ASK, "a text is not valid Unicode"),
        ({"answer": "x", "contexts": ["\udcff"]}, ASK, "a text is not valid Unicode"),
        (Text(5), ASK, "Text.text: input should be a valid string"),  # type: ignore[arg-type]
        (Number(float("nan")), ASK, "Number.value: input should be a valid number"),
        (Label("a", {"a": "high"}), CHOOSE, "Label.probabilities.a: input should be a valid number"),  # type: ignore[dict-item]
        (Text("\ud800"), ASK, "Text: "),
        (Text(object()), ASK, "Text: "),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_answer_says_what_was_expected_and_what_was_there(value: Any, request_: Request, message: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        read(value, request_)
    assert message in str(caught.value)


def test_probabilities_that_do_not_sum_to_one_are_an_error_and_no_label() -> None:
    output = read({"label": "a", "probabilities": {"a": 0.5, "b": 0.2}}, CHOOSE)
    assert (output.answer, output.error) == (None, "probabilities sum to 0.7, not to 1")


@pytest.mark.parametrize(
    ("error", "said"),
    [("no index", "no index"), ({"code": 3, "message": "no index"}, "no index"), ({"code": 3}, "{'code': 3}"),
     (ValueError("x"), "ValueError('x')"), ("é" * 2000, "é" * 999 + "…")],
)  # fmt: skip
def test_an_app_may_say_why_it_has_no_answer(error: Any, said: str) -> None:
    output = read({"answer": "half", "error": error, "usage": {"input_tokens": 5}})
    assert (output.answer, output.error, output.finish_reason) == (None, said, "error")
    assert output.usage == Usage(5, 0)


@pytest.mark.parametrize("error", [None, False, ""])
def test_no_error_is_no_error(error: Any) -> None:
    assert read({"answer": "Paris", "error": error}).answer == Text("Paris")


def test_usage_and_its_cost() -> None:
    told = {"answer": "x", "usage": {"input_tokens": 1000, "output_tokens": np.int32(10), "cost": 0.5}}
    assert read(told).usage == Usage(1000, 10, 0.5)
    assert read(told, reader=AppReader(prices=Prices(input=2, output=100))).usage == Usage(1000, 10, 0.003)
    assert read({"answer": "x", "usage": {"cost": 1}}).usage == Usage(0, 0, 1.0)
    assert read({"answer": "x"}, reader=AppReader(prices=Prices(input=2))).usage is None


def test_reasoning_is_kept_and_not_scored() -> None:
    marks = AppReader(reasoning=("<think>", "</think>"))
    assert read("<think>4 and 4</think>8", reader=marks).answer == Text("8", reasoning="4 and 4")
    assert read(Text("<think>4 and 4</think>8"), reader=marks).answer == Text("8", reasoning="4 and 4")
    assert read({"answer": "8", "reasoning": "4 and 4"}).answer == Text("8", reasoning="4 and 4")
    assert read("<think>4 and 4</think>8").answer == Text("<think>4 and 4</think>8")


@pytest.mark.parametrize(("told", "kept"), [("stop", "stop"), ("MAX_TOKENS", "length"), ("end_turn", "stop"), ("odd", None)])
def test_finish_reasons_of_several_services(told: str, kept: str | None) -> None:
    assert read({"answer": "x", "finish_reason": told}, WRITE).finish_reason == kept


# ── what apps are told ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_app_gets_the_input_as_a_copy_of_its_own() -> None:
    sample = Sample("s", input={"question": "why", "history": [{"role": "user"}]})
    fields = app_fields(Ask(sample.input, ("a", "b")))
    assert fields == {"question": "why", "history": [{"role": "user"}], "choices": ["a", "b"]}
    fields["history"][0]["role"] = "nobody"
    assert sample.input["history"] == [{"role": "user"}]
    assert app_fields(Ask({"choices": "mine"}, ("a", "b"))) == {"choices": "mine"}


def test_a_prompt_as_an_app_gets_it() -> None:
    messages = (Message("system", "Be brief."), Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    decoding = Decoding(max_tokens=7, temperature=0.5, stop=("\n",))
    assert app_fields(Generate(messages, decoding), seed=5) == {
        "prompt": "one\n\ntwo\n\nthree",
        "question": "one\n\ntwo\n\nthree",
        "system": "Be brief.",
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "decoding": {"max_tokens": 7, "temperature": 0.5, "top_p": 1.0, "top_k": None, "stop": ["\n"], "seed": 5},
    }
    assert app_fields(Generate("plain", choices=("a",), schema={"type": "string"})).items() >= {
        "prompt": "plain", "system": "", "messages": [{"role": "user", "content": "plain"}], "choices": ["a"],
        "schema": {"type": "string"},
    }.items()  # fmt: skip
    assert app_fields(RANK) == {"query": "q", "k": 3}


def test_a_size_is_an_estimate() -> None:
    inspector = AppInspector({}, lambda request: {}, Prices(input=1e6, output=1e6))
    size = inspector.size(Generate((Message("system", "12345678"), Message("user", "12345")), Decoding(max_tokens=9)))
    assert (size.input_tokens, size.output_tokens, size.exact, size.cost) == (2 + 2, 9, False, 13.0)
    assert inspector.size(Ask({"question": "12345678", "n": 3})).input_tokens == 2
