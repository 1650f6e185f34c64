"""What is written comes back, and equal values give equal bytes."""

from __future__ import annotations

import pytest

from harness.codec import (
    decode_answer,
    decode_output,
    decode_sample,
    digest,
    dumps,
    encode_answer,
    encode_output,
    encode_request,
    encode_sample,
    loads,
)
from harness.errors import DataError
from harness.types import (
    ANSWER_TYPES,
    Decoding,
    Generate,
    Key,
    Label,
    Labels,
    Likelihoods,
    Message,
    Number,
    Outcomes,
    Output,
    Ranking,
    Ratings,
    Sample,
    Tags,
    Text,
    Timing,
    Usage,
    Vectors,
)

ANSWERS = [
    Text("a\nb \u2028 é", token_logprobs=(-0.5, -1.25), contexts=("x", "y"), citations=(0, 2)),
    Likelihoods((-1.5, -2.0), (1, 3), (True, False), 4, 17),
    Ranking(("d1", "d2"), (2.5, 1.0)),
    Vectors(((0.1, 0.2), (0.3, 0.4))),
    Label(None, text="no idea"),
    Label("a", {"a": 0.7, "b": 0.3}, (-0.3, -1.2)),
    Labels(("a", "c"), {"a": 0.9, "b": 0.2, "c": 0.8}),
    Number(3.5, low=3.0, high=4.25),
    Tags(("O", "B-person", "I-person")),
    Ratings((1.0, None, 4.5, "yes")),
    Outcomes("B", {"revenue": 12.5, "orders": None}, {"before": 3.0}, control="A", expected=0.5),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: type(a).__name__)
def test_answers_come_back(answer: object) -> None:
    encoded = loads(dumps(encode_answer(answer)))  # type: ignore[arg-type]
    assert decode_answer(encoded) == answer


def test_every_kind_of_answer_is_covered() -> None:
    assert {type(answer) for answer in ANSWERS} == set(ANSWER_TYPES)


def test_outputs_come_back() -> None:
    output = Output(Key("s1", 2, "oracle", 3), Text("x"), None, "length", True, Usage(5, 7), Timing(0.25, 0.1))
    assert decode_output(loads(dumps(encode_output(output)))) == output
    failed = Output(Key("s1"), None, error="timeout", finish_reason="error")
    assert decode_output(loads(dumps(encode_output(failed)))) == failed
    assert dumps(encode_output(failed)) == b'{"error":"timeout","finish":"error","k":["s1",0,"",0]}'


def test_samples_come_back() -> None:
    sample = Sample("s", {"q": "é", "n": 1}, ("r",), ("a", "b"), 1, ("c",), {"d": 2}, "g", {"topic": "t"})
    assert decode_sample(encode_sample(sample)) == sample
    assert decode_sample(encode_sample(Sample("s"))) == Sample("s")


def test_equal_requests_give_equal_bytes_whatever_the_order_of_keys() -> None:
    one = Generate((Message("user", "hi"),), Decoding(stop=("\n",)), schema={"b": 1, "a": 2})
    two = Generate((Message("user", "hi"),), Decoding(stop=("\n",)), schema={"a": 2, "b": 1})
    assert encode_request(one) == encode_request(two)
    assert encode_request(one) != encode_request(Generate((Message("user", "hi"),), Decoding(temperature=0.7, stop=("\n",))))


def test_digest_separates_its_parts() -> None:
    assert digest(b"ab", b"c") != digest(b"a", b"bc")


@pytest.mark.parametrize("encoded", [{"type": "txt", "text": "x"}, {"text": "x"}, {"type": "text", "txt": "x"}])
def test_unknown_answers_are_refused(encoded: dict[str, str]) -> None:
    with pytest.raises(DataError):
        decode_answer(encoded)
