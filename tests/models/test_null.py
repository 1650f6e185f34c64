import pytest

from harness.errors import ConfigError
from harness.models.null import Null
from harness.types import (
    REQUEST_TYPES,
    Ask,
    Call,
    Embed,
    Generate,
    Key,
    Label,
    Likelihoods,
    LogLikelihood,
    Output,
    Perplexity,
    Rank,
    Ranking,
    ScorePairs,
    Text,
    Vectors,
)

ANSWERS = [
    (Generate("hello"), Text("ok")),
    (LogLikelihood("a", (" b", " c")), Likelihoods((0.0, 0.0), (1, 1), (False, False))),
    (Perplexity("drei grüne Äpfel"), Likelihoods((0.0,), (3,), n_words=3, n_bytes=18)),
    (Embed(("a", "b")), Vectors(((0.0,), (0.0,)))),
    (Rank("q", 5, "corpus"), Ranking((), ())),
    (ScorePairs((("q", "d"),)), Vectors(((0.0,),))),
    (Ask({"x": 1}), Text("ok")),
    (Ask({"x": 1}, choices=("yes", "no")), Label("yes")),
]


def test_answers_every_type_of_request() -> None:
    assert {type(request) for request, _ in ANSWERS} == set(REQUEST_TYPES) == Null.provides
    outputs: list[Output] = list(Null(text="ok").run([Call(Key(str(i)), request) for i, (request, _) in enumerate(ANSWERS)]))
    assert [(output.key.sample_id, output.answer, output.error) for output in outputs] == [
        (str(i), answer, None) for i, (_, answer) in enumerate(ANSWERS)
    ]


def test_latency_is_taken_once_a_batch_and_reported() -> None:
    outputs = list(Null(latency_s=0.01).run([Call(Key(str(i)), Generate("x")) for i in range(50)]))
    assert {output.timing.latency_s for output in outputs if output.timing} == {0.01}


def test_batches_cover_the_calls_in_order() -> None:
    calls = [Call(Key(str(i)), Generate("x")) for i in range(10_000)]
    batches = Null().batches(calls)
    assert [call for batch in batches for call in batch] == calls
    assert len(batches) == 3


def test_never_cached_and_signature_has_the_text() -> None:
    assert Null.cacheable == "never"
    assert Null(text="a").signature() != Null(text="b").signature()


def test_bad_latency() -> None:
    with pytest.raises(ConfigError, match="latency_s must be 0 or more seconds, got -1"):
        Null(latency_s=-1)
