"""The ``openai`` backend against services on loopback: what it sends, what it makes of answers, and what it never tells."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError, ConfigError, HarnessError, ServiceDown
from harness.models import httpsession, streams
from harness.models.asking import Limits, Refused, Trouble
from harness.models.credentials import read_key
from harness.models.httpstatus import failure, retry_after
from harness.models.openai import OpenAI
from harness.models.openaiscores import likelihoods_in
from harness.models.prices import Prices
from harness.protocols import Resources, Size
from harness.types import (
    Call,
    Decoding,
    Embed,
    Generate,
    Key,
    Likelihoods,
    LogLikelihood,
    Message,
    Output,
    Request,
    Text,
    Usage,
    Vectors,
)

pytest.importorskip("aiohttp")

from tests.faults.server import FaultyServer, said
from tests.models.loopback import Asked, Loopback, Said

SECRET = "sk-test-0123456789-abcdef"
LIMITS = Limits(concurrency=16, timeout_s=1.0, deadline_s=8.0, backoff_s=0.01)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@contextmanager
def opened(backend: OpenAI, say: Callable[[str], None] = lambda message: None) -> Iterator[OpenAI]:
    backend.open(Resources(Path("nowhere"), say=say))
    try:
        yield backend
    finally:
        backend.close()


def questions(n: int, decoding: Decoding = Decoding()) -> list[Call]:
    return [Call(Key(f"s{i}"), Generate(f"question number {i}", decoding)) for i in range(n)]


def ask(backend: OpenAI, request: Request, seed: int = 0) -> Output:
    with opened(backend) as it:
        (output,) = it.run([Call(Key("one"), request, seed)])
    return output


def chat(message: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI writes it."""
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    choice = {"index": 0, "message": {"role": "assistant", "content": "four", **(message or {})}, "finish_reason": "stop"}
    choice |= {key: more.pop(key) for key in ("finish_reason", "logprobs") if key in more}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage, **more}


def answering(body: Any, status: int = 200, **headers: str) -> Callable[[Asked], Said]:
    return lambda asked: Said(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_is_sent_as_one_and_a_text_as_what_a_user_says() -> None:
    talk = (Message("system", "Be brief."), Message("user", "2+2?"))
    with Loopback(answering(chat())) as service:
        backend = OpenAI("small", service.url, limits=LIMITS)
        output = ask(backend, Generate(talk, Decoding(max_tokens=7, stop=("\n",), top_p=0.9)))
        ask(backend, Generate("2+2?"))
    assert [asked.path for asked in service.asked] == ["/v1/chat/completions"] * 2
    assert service.asked[0].document == {
        "model": "small", "max_tokens": 7, "temperature": 0.0, "top_p": 0.9, "stop": ["\n"],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
    }  # fmt: skip
    assert service.asked[1].document == {
        "model": "small", "max_tokens": 256, "temperature": 0.0, "messages": [{"role": "user", "content": "2+2?"}]
    }  # fmt: skip
    assert service.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert service.asked[0].headers["Content-Type"] == "application/json"
    assert (output.answer, output.finish_reason, output.usage) == (Text("four"), "stop", Usage(12, 3))


def test_completions_are_sent_the_text() -> None:
    body = {"choices": [{"index": 0, "text": " four", "finish_reason": "length",
                         "logprobs": {"tokens": [" fo", "ur"], "token_logprobs": [-0.5, -0.25]}}]}  # fmt: skip
    with Loopback(answering(body)) as service:
        backend = OpenAI("small", service.url, api="completions", limits=LIMITS)
        output = ask(backend, Generate("2+2 is", Decoding(max_tokens=2, logprobs=True)))
        ask(backend, Generate((Message("system", "Be brief."), Message("user", "2+2?"))))
    assert [asked.path for asked in service.asked] == ["/v1/completions"] * 2
    assert service.asked[0].document == {
        "model": "small", "prompt": "2+2 is", "max_tokens": 2, "temperature": 0.0, "logprobs": 1,
    }  # fmt: skip
    assert service.asked[1].document["prompt"] == "Be brief.\n\n2+2?"
    assert output.answer == Text(" four", token_logprobs=(-0.5, -0.25))
    assert output.finish_reason == "length"
    assert output.usage is None


def test_what_is_sampled_has_a_seed_of_its_own_and_what_is_not_has_none() -> None:
    hot = Generate("x", Decoding(temperature=0.7, top_k=5))
    calls = [Call(Key("a"), hot, 1), Call(Key("a"), hot, 2), Call(Key("b"), hot, 1), Call(Key("a"), Generate("x"), 1)]
    with Loopback(answering(chat())) as service:
        for _ in range(2):
            with opened(OpenAI("small", service.url, limits=LIMITS)) as backend:
                list(backend.run(calls))
    seeds = Counter(asked.document.get("seed") for asked in service.asked)
    assert seeds.pop(None) == 2
    assert list(seeds.values()) == [2, 2, 2]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert {asked.document.get("top_k") for asked in service.asked} == {5, None}


def test_extra_fields_go_over_ours_and_null_takes_one_out() -> None:
    extra = {"temperature": None, "reasoning_effort": "low", "max_completion_tokens": 9}
    with Loopback(answering(chat())) as service:
        backend = OpenAI("small", service.url + "/", extra=extra, headers={"X-Title": "evaluation"},
                         max_tokens_key="max_completion_tokens", limits=LIMITS)
        ask(backend, Generate("x"))
    assert service.asked[0].document == {
        "model": "small", "max_completion_tokens": 9, "reasoning_effort": "low", "messages": [{"role": "user", "content": "x"}]
    }  # fmt: skip
    assert service.asked[0].headers["X-Title"] == "evaluation"
    assert service.asked[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("structured", "sent"),
    [
        ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {
            "name": "answer", "schema": {"type": "object"}, "strict": True}}}),
        ("structured_outputs", {"structured_outputs": {"json": {"type": "object"}}}),
        ("none", {}),
    ],
)  # fmt: skip
def test_a_schema_is_asked_for_in_the_words_of_the_service(structured: Any, sent: dict[str, Any]) -> None:
    backend = OpenAI("small", structured=structured)
    rendered = backend.inspect(Resources(Path("nowhere"))).render(Generate("x", schema={"type": "object"}))
    plain = backend.inspect(Resources(Path("nowhere"))).render(Generate("x"))
    assert rendered["body"] == {**plain["body"], **sent}
    chosen = backend.inspect(Resources(Path("nowhere"))).render(Generate("x", choices=("a", "b")))["body"]
    assert chosen.get("structured_outputs") == ({"choice": ["a", "b"]} if structured == "structured_outputs" else None)


def test_without_a_key_no_header_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with Loopback(answering(chat())) as service:
        assert ask(OpenAI("small", service.url, limits=LIMITS), Generate("x")).answer == Text("four")
    assert "Authorization" not in service.asked[0].headers


# ── what is made of answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "answer", "finish"),
    [
        (chat({"content": "4", "reasoning_content": "2 and 2"}), Text("4", reasoning="2 and 2"), "stop"),
        (chat({"content": "4", "refusal": None}), Text("4"), "stop"),
        (chat({"content": "4", "reasoning": "2 and 2"}), Text("4", reasoning="2 and 2"), "stop"),
        (chat({"content": None, "reasoning_content": "2 and"}, finish_reason="length"), Text("", reasoning="2 and"), "length"),
        (chat({"content": [{"type": "text", "text": "fo"}, {"type": "text", "text": "ur"}]}), Text("four"), "stop"),
        (chat({"content": None, "refusal": "I cannot."}), Text("I cannot."), "stop"),
        (chat({"content": None, "tool_calls": [{"id": "t"}]}, finish_reason="tool_calls"), Text(""), "stop"),
        (chat({"content": ""}), Text(""), "stop"),
        (chat(finish_reason=None), Text("four"), None),
        (chat({"content": "four\n5"}, finish_reason="length"), Text("four"), "stop"),
    ],
)
def test_texts_as_services_write_them(document: Any, answer: Text, finish: str | None) -> None:
    with Loopback(answering(document)) as service:
        output = ask(OpenAI("small", service.url, limits=LIMITS), Generate("x", Decoding(stop=("\n",))))
    assert (output.answer, output.finish_reason, output.error) == (answer, finish, None)


def test_log_probabilities_are_there_where_they_were_asked_for() -> None:
    listed = {"content": [{"token": "fo", "logprob": -0.5, "top_logprobs": []}, {"token": "ur", "logprob": -0.125}]}
    with Loopback(answering(chat(logprobs=listed))) as service:
        backend = OpenAI("small", service.url, limits=LIMITS)
        assert ask(backend, Generate("x", Decoding(logprobs=True))).answer == Text("four", token_logprobs=(-0.5, -0.125))
        assert ask(backend, Generate("x")).answer == Text("four")
    assert [asked.document.get("logprobs") for asked in service.asked] == [True, None]


def test_reasoning_between_the_marks_of_the_entry_is_told_apart() -> None:
    with Loopback(answering(chat({"content": "<think>2 and 2</think> four"}))) as service:
        output = ask(OpenAI("small", service.url, reasoning=("<think>", "</think>"), limits=LIMITS), Generate("x"))
    assert output.answer == Text("four", reasoning="2 and 2")


def test_reasoning_that_the_service_tells_apart_is_kept_beside_what_stands_between_the_marks() -> None:
    marks = ("<think>", "</think>")
    for content, reasoning in (("<think>and 2</think> four", "2\nand 2"), ("<think></think> four", "2"), ("four", "2")):
        with Loopback(answering(chat({"content": content, "reasoning_content": "2"}))) as service:
            output = ask(OpenAI("small", service.url, reasoning=marks, limits=LIMITS), Generate("x"))
        assert output.answer == Text("four", reasoning=reasoning)


@pytest.mark.parametrize(
    ("logprobs", "found"),
    [(None, None), ({"content": None}, None), ({"content": []}, ()), ({"content": [{"logprob": -1}, {"logprob": None}]}, None),
     ({"content": [{"logprob": -1}, {"logprob": True}]}, None)],
)  # fmt: skip
def test_log_probabilities_that_are_not_all_there_are_none(logprobs: Any, found: Any) -> None:
    asked = Generate("x", Decoding(logprobs=True))
    with Loopback(answering(chat(logprobs=logprobs))) as service:
        assert ask(OpenAI("m", service.url, limits=LIMITS), asked).answer == Text("four", token_logprobs=found)
    event = {"choices": [{"index": 0, "delta": {"content": "four"}, "logprobs": logprobs}]}
    with Loopback(answering(as_stream(event, piece("stop")))) as service:
        streamed = ask(OpenAI("m", service.url, stream=True, limits=LIMITS), asked)
    assert streamed.answer == Text("four", token_logprobs=found)


def test_log_probabilities_of_a_stream_are_those_of_all_its_pieces_or_none() -> None:
    def event(text: str, *logprobs: float) -> dict[str, Any]:
        told = {"content": [{"logprob": logprob} for logprob in logprobs]} if logprobs else None
        return {"choices": [{"index": 0, "delta": {"content": text}, "logprobs": told}]}

    for events, found in (
        ([event(""), event("fo", -1), event("ur", -2)], (-1.0, -2.0)),
        ([event("fo"), event("ur", -2)], None),
        ([event("fo", -1), event("u"), event("r", -2)], None),
    ):
        with Loopback(answering(as_stream(*events, piece("stop")))) as service:
            output = ask(OpenAI("m", service.url, stream=True, limits=LIMITS), Generate("x", Decoding(logprobs=True)))
        assert output.answer == Text("four", token_logprobs=found)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": -5, "completion_tokens": True, "cost": -3}, None),
        ({"prompt_tokens": 7, "completion_tokens": -1, "cost": True}, Usage(7, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 1, "cost": -0.5}, Usage(7, 1)),
    ],
)
def test_counts_that_are_none_are_not_counted(told: Any, usage: Usage | None) -> None:
    with Loopback(answering(chat(usage=told))) as service:
        assert ask(OpenAI("m", service.url, limits=LIMITS), Generate("x")).usage == usage


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_took_that_cannot_be_used_is_told_with_the_error(stream: bool) -> None:
    limits = Limits(format_retries=2, backoff_s=0.0)
    told = {"prompt_tokens": 1000, "completion_tokens": 100}
    for message, finish, times in (({"content": None}, "stop", 3), ({"content": "f"}, "content_filter", 1)):
        events = [piece(finish, **message), {"choices": [], "usage": told}]
        body = as_stream(*events) if stream else chat(message, finish_reason=finish, usage=told)
        with Loopback(answering(body)) as service:
            output = ask(OpenAI("m", service.url, stream=stream, prices=Prices(2, 10), limits=limits), Generate("x"))
        assert output.error is not None
        assert len(service.asked) == times
        # 1000 at 2 and 100 at 10 a million, each time
        assert output.usage == Usage(1000 * times, 100 * times, pytest.approx(0.003 * times))


def test_costs_follow_the_prices_or_else_what_the_service_says() -> None:
    told = chat(usage={"prompt_tokens": 1000, "completion_tokens": 100, "cost": 0.5})
    with Loopback(answering(told)) as service:
        # 1000 at 2 and 100 at 10 a million: 0.002 + 0.001
        priced = ask(OpenAI("small", service.url, prices=Prices(2, 10), limits=LIMITS), Generate("x"))
        assert priced.usage is not None
        assert priced.usage.cost == pytest.approx(0.003)
        assert ask(OpenAI("small", service.url, limits=LIMITS), Generate("x")).usage == Usage(1000, 100, 0.5)


def test_a_service_that_counts_no_tokens_is_told_of_once() -> None:
    messages: list[str] = []
    with Loopback(answering(chat(usage=None))) as service, opened(OpenAI("m", service.url), messages.append) as it:
        assert [output.usage for output in it.run(questions(5))] == [None] * 5
    assert len(messages) == 1
    assert "m does not say how many tokens it read and wrote" in messages[0]


def test_embeddings_come_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1.5, 2]}]
    with Loopback(answering({"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}})) as service:
        output = ask(OpenAI("e", service.url, api="embeddings", limits=LIMITS), Embed(("a", "b")))
    assert output.answer == Vectors(((1.5, 2.0), (3.0, 4.0)))
    assert output.usage == Usage(4, 0)
    assert service.asked[0].path == "/v1/embeddings"
    assert service.asked[0].document == {"model": "e", "input": ["a", "b"], "encoding_format": "float"}


def test_log_likelihoods_are_summed_over_what_stands_behind_the_prefix() -> None:
    def scored(tokens: list[str], logprobs: list[float | None], best: list[float]) -> dict[str, Any]:
        offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
        top = [None, *({"?": value} for value in best)]
        return {"tokens": tokens, "token_logprobs": logprobs, "text_offset": offsets, "top_logprobs": top}

    # "Q: A:" + " yes" and " no no"; the last token of each was written, not read.
    choices = [
        {"index": 1, "logprobs": scored(["Q:", " A:", " no", " no", "!"], [None, -9, -2, -1, -7], [-1, -1, -1, -1])},
        {"index": 0, "logprobs": scored(["Q:", " A:", " yes", "."], [None, -9, -0.5, -7], [-1, -0.5, -1])},
    ]
    with Loopback(answering({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 2}})) as service:
        backend = OpenAI("small", service.url, api="completions", limits=LIMITS)
        output = ask(backend, LogLikelihood("Q: A:", (" yes", " no no")))
    assert output.answer == Likelihoods((-0.5, -3.0), (1, 2), (True, False))
    assert service.asked[0].document == {
        "model": "small", "prompt": ["Q: A: yes", "Q: A: no no"], "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tokens", "prefix", "continuation", "logprobs"),
    [
        # vLLM lists what its tokenizer puts before the text, by name or without a text
        (["<|begin_of_text|>", "Paris", " is", " nice", "."], "Paris is", " nice", (-3.0, 1)),
        (["<s>", "", "Paris", " is", " nice", "."], "Paris is", " nice", (-4.0, 1)),
        (["<s>", "Paris", " is", "."], "", "Paris is", (-3.0, 2)),
        # bytes that are no character by themselves, before the continuation
        (["<s>", *"\ufffd" * 4, " ok", " no", " no", "."], "\U0001f600 ok", " no no", (-13.0, 2)),
        # a token over the border belongs to what stands behind it; nothing was written
        (["Paris", " is nice"], "Paris is", " nice", (-1.0, 1)),
        # the written token ends like the text
        (["Paris", " no", " no", " no"], "Paris no", " no", (-2.0, 1)),
        # a token without a text inside the continuation is one of its own
        (["Paris", " ni", "", "ce", "."], "Paris", " nice", (-6.0, 3)),
    ],
)
@pytest.mark.parametrize("offsets", ["right", "wrong", None])
def test_tokens_are_found_in_the_text_whatever_offsets_the_service_tells(
    tokens: list[str], prefix: str, continuation: str, logprobs: Any, offsets: str | None
) -> None:
    listed: dict[str, Any] = {"tokens": tokens, "token_logprobs": [None, *(-float(n) for n in range(1, len(tokens)))]}
    if offsets is not None:
        listed["text_offset"] = [sum(map(len, tokens[:n])) if offsets == "right" else None for n in range(len(tokens))]
    document = {"choices": [{"index": 0, "logprobs": listed}]}
    start = len(prefix)
    assert likelihoods_in(document, start, [prefix + continuation]) == Likelihoods(logprobs[:1], logprobs[1:], (False,))


@pytest.mark.parametrize(
    ("tokens", "text", "start", "says"),
    [
        (["The", "cat", " sat", "."], "Paris is nice", 8, "are not those of the text"),
        (["Paris", " is", *"\ufffd" * 4, "."], "Paris is\U0001f600", 8, "are not those of the text"),
        # the last token was written or not: both would do
        (["\ufffd", "\ufffd", " no", " no"], "\U0001f600 no no", 4, "are not those of the text"),
        (["Paris", "", " is", "."], "Paris is", 5, "nobody knows to which side it belongs"),
        (["Paris", " is", "", ""], "Paris is", 5, "nobody knows to which side they belong"),
        (["Paris", "."], "Paris", 5, "no token of its own"),
        (["Paris", " is", "."], "Paris is", 0, "the prefix must not be empty"),
        ([], "Paris is", 5, "gives no log-probabilities"),
    ],
)
def test_where_the_tokens_of_a_continuation_are_not_sure_it_has_no_number(
    tokens: list[str], text: str, start: int, says: str
) -> None:
    listed = {"tokens": tokens, "token_logprobs": [None, *(-1.0 for _ in tokens[1:])]}
    with pytest.raises(Refused, match=says):
        likelihoods_in({"choices": [{"index": 0, "logprobs": listed}]}, start, [text])


@pytest.mark.parametrize(
    "choices",
    [
        [{"index": None, "logprobs": None}, {"index": 0, "logprobs": None}],
        [{"index": 0, "logprobs": {"tokens": ["a", " b"], "token_logprobs": [None]}}, {"index": 1}],
        [{"index": 0, "logprobs": {"tokens": ["a", " b"], "token_logprobs": [None, "x"]}}, {"index": 1}],
        [{"index": 0, "logprobs": {"tokens": ["a", 3], "token_logprobs": [None, -1]}}, {"index": 1}],
        [{"index": 0, "logprobs": {"tokens": 3, "token_logprobs": [None, -1]}}, {"index": 1}],
    ],
)
def test_scores_that_cannot_be_read_are_asked_for_again(choices: Any) -> None:
    with pytest.raises(Trouble) as raised:
        likelihoods_in({"choices": choices}, 1, ["a b", "a c"])
    assert raised.value.kind == "format"


def test_the_likeliest_token_is_told_or_nothing_is_greedy() -> None:
    def greedy(*best: Any) -> bool:
        listed = {"tokens": ["a", " b"], "token_logprobs": [None, -1.0], "top_logprobs": [None, *best]}
        return likelihoods_in({"choices": [{"logprobs": listed}]}, 1, ["a b"]).is_greedy[0]

    assert [greedy({" b": -1.0}), greedy({" c": -0.5, " b": -1.0}), greedy({}), greedy(None), greedy()] == [
        True, False, False, False, False
    ]  # fmt: skip


def test_a_service_that_does_not_score_what_it_reads_is_an_error_that_says_so() -> None:
    with Loopback(answering({"choices": [{"index": 0, "text": "x", "logprobs": None}]})) as service:
        output = ask(OpenAI("small", service.url, api="completions", limits=LIMITS), LogLikelihood("a", (" b",)))
    assert output.error == "the service gives no log-probabilities of the text that it reads (echo with logprobs)"


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_stream(*events: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + (["data: [DONE]\n\n"] if done else [])
    return "".join([": a comment\n\n", *lines]).encode()


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


@pytest.mark.parametrize("done", [True, False])
def test_the_pieces_of_a_stream_are_put_together(done: bool) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    events = [piece(role="assistant", content=""), piece(reasoning_content="2 "), piece(reasoning_content="and 2"),
              piece(content="fo"), piece(content="ür\n"), piece("length"), usage]  # fmt: skip
    with Loopback(answering(as_stream(*events, done=done), Content_Type="text/event-stream")) as service:
        output = ask(OpenAI("small", service.url, stream=True, limits=LIMITS), Generate("x"))
    assert output.answer == Text("foür\n", reasoning="2 and 2")
    assert (output.finish_reason, output.usage) == ("length", Usage(12, 3))
    assert output.timing is not None
    assert output.timing.first_token_s is not None
    assert 0 < output.timing.first_token_s <= output.timing.latency_s
    assert service.asked[0].document["stream"] is True
    assert service.asked[0].document["stream_options"] == {"include_usage": True}


def test_only_the_first_answer_of_a_stream_is_taken() -> None:
    def event(index: int, text: str) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": text}}]}

    events = [event(0, "A1 "), event(1, "B1 "), event(0, "A2"), event(1, "B2"), piece("stop")]
    with Loopback(answering(as_stream(*events))) as service:
        assert ask(OpenAI("m", service.url, stream=True, limits=LIMITS), Generate("x")).answer == Text("A1 A2")


@pytest.mark.parametrize(
    ("body", "stream"),
    [(as_stream(piece(content="four"), piece("stop")), True), (json.dumps(chat()).encode(), True),
     (json.dumps(chat()).encode(), False)],
)  # fmt: skip
def test_a_mark_of_utf_8_before_an_answer_is_no_part_of_it(body: bytes, stream: bool) -> None:
    with Loopback(answering(b"\xef\xbb\xbf" + body.removeprefix(b": a comment\n\n"))) as service:
        assert ask(OpenAI("m", service.url, stream=stream, limits=LIMITS), Generate("x")).answer == Text("four")


@pytest.mark.parametrize(
    ("deltas", "answer"),
    [([{}], None), ([{"content": None}], None), ([{"content": ""}], Text("")), ([{"refusal": "I can"}, {"refusal": "not."}],
     Text("I cannot.")), ([{"tool_calls": [{"id": "t"}]}], Text(""))],
)  # fmt: skip
def test_a_stream_says_no_more_than_the_same_answer_in_one_piece(deltas: list[dict[str, Any]], answer: Text | None) -> None:
    with Loopback(answering(as_stream(*(piece(**delta) for delta in deltas), piece("stop")))) as service:
        output = ask(OpenAI("m", service.url, stream=True, limits=LIMITS), Generate("x"))
    assert output.answer == answer
    assert (output.error or "").endswith("" if answer else "the answer has no text")


def test_a_service_that_does_not_stream_is_read_all_the_same() -> None:
    with Loopback(answering(json.dumps(chat(), indent=2).encode())) as service:
        output = ask(OpenAI("small", service.url, stream=True, limits=LIMITS), Generate("x"))
    assert output.answer == Text("four")
    assert output.timing is not None
    assert output.timing.first_token_s is None


@pytest.mark.parametrize("body", [as_stream(piece(content="fo"), done=False), as_stream(), as_stream(piece()), b""])
def test_a_stream_without_an_end_is_no_answer(body: bytes) -> None:
    with Loopback(answering(body)) as service:
        output = ask(OpenAI("small", service.url, stream=True, limits=LIMITS), Generate("x"))
    assert output.error is not None
    assert "given up after 3 attempts" in output.error
    assert "the stream ended before the answer did" in output.error
    assert len(service.asked) == 3


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────

FAULTS = {
    "429": 0.03, "429_seconds": 0.03, "429_absurd": 0.03, "500": 0.03, "502": 0.02, "503": 0.02, "html": 0.03, "reset": 0.03,
    "cut_body": 0.03, "half_json": 0.03, "empty": 0.03, "wrong_schema": 0.03, "no_choices": 0.03, "200_error": 0.03,
    "twice": 0.03, "wrong_type": 0.03, "second_response": 0.03,
}  # fmt: skip


@pytest.mark.parametrize(
    ("api", "stream"),
    [("chat", False), ("completions", True), *(pytest.param(*slow, marks=pytest.mark.slow) for slow in [("chat", True),
     ("completions", False)])],
)  # fmt: skip
def test_every_question_gets_its_own_answer_through_all_faults_at_once(api: Any, stream: bool) -> None:
    limits = Limits(concurrency=32, timeout_s=2, deadline_s=20, format_retries=20, transport_retries=20, backoff_s=0.005)
    faults = FAULTS if not stream else {**FAULTS, "cut_stream": 0.03, "short_stream": 0.03}
    with FaultyServer(faults, seed=3, retry_after_s=0.02) as server:
        backend = OpenAI("echo", server.url, api=api, stream=stream, limits=limits)
        with opened(backend) as it:
            outputs = list(it.run(questions(120)))
        seen = len(server.seen)
    assert {output.key.sample_id: output.answer for output in outputs} == {
        call.key.sample_id: Text(said(f"question number {n}")) for n, call in enumerate(questions(120))
    }
    # What could not be read was paid for as well.
    times = [usage.output_tokens // 2 for output in outputs if (usage := output.usage) is not None]
    assert [output.usage for output in outputs] == [Usage(3 * n, 2 * n) for n in times]
    assert 1 == min(times) < max(times)
    assert 135 < seen < 300


def test_a_prompt_that_is_too_long_is_an_error_with_what_the_service_says() -> None:
    with FaultyServer({"400_context": 0.3}, seed=1) as server, opened(OpenAI("echo", server.url, limits=LIMITS)) as it:
        outputs = list(it.run(questions(40)))
        assert len(server.seen) == 40
        refused = server.injected["400_context"]
    found = [output.error for output in outputs if output.error is not None]
    assert len(found) == refused
    assert all(error.startswith("HTTP 400: This model's maximum context length is 16 tokens") for error in found)
    assert 4 < refused < 20


def test_time_outs_are_tried_again() -> None:
    limits = Limits(concurrency=16, timeout_s=0.2, deadline_s=10, backoff_s=0.01)
    with FaultyServer({"hang": 0.1, "drip": 0.1}, seed=1, slow_s=0.1) as server:
        with opened(OpenAI("echo", server.url, limits=limits)) as it:
            assert [output.error for output in it.run(questions(30))] == [None] * 30
        assert server.injected["hang"] >= 1
        assert server.injected["drip"] >= 1


def test_the_width_follows_what_the_service_bears() -> None:
    with FaultyServer(capacity=8, latency_s=0.01) as server:
        limits = Limits(concurrency=64, deadline_s=20, backoff_s=0.01)
        with opened(OpenAI("echo", server.url, limits=limits)) as it:
            assert [output.error for output in it.run(questions(150))] == [None] * 150
        assert server.peak <= 32
        # Halved to what it bears at once, and probing by a sixteenth of 64 a round trip from there.
        assert server.injected["429"] < 150


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_a_service_that_goes_down_stops_the_run_and_loses_nothing(kind: str) -> None:
    with FaultyServer(latency_s=0.002, outage=kind, outage_after=40) as server:
        outputs: list[Output] = []
        with opened(OpenAI("echo", server.url, limits=LIMITS)) as it, pytest.raises(ServiceDown, match="the service is down"):
            outputs.extend(it.run(questions(500)))
        assert 40 <= len(outputs) == server.answered < 40 + LIMITS.concurrency
        assert {output.error for output in outputs} == {None}
        assert max(server.counts.values()) <= LIMITS.transport_retries + 1
        assert len(server.seen) < 40 + 6 * 4 * LIMITS.concurrency


def test_nobody_at_the_address_is_a_service_that_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with opened(OpenAI("m", address, limits=LIMITS)) as it, pytest.raises(ServiceDown, match="Cannot connect to host 127"):
        list(it.run(questions(1)))


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, {"message": "bad key"}, r"refuses the key in the environment variable OPENAI_API_KEY \(HTTP 401: bad key\)"),
        (403, {"message": "no access"}, r"refuses the key in the environment variable OPENAI_API_KEY \(HTTP 403: no access\)"),
        (404, {"message": "no model m", "code": "model_not_found"}, r"no model m \(HTTP 404, model_not_found\)"),
        (404, "page not found", r"no such model or address \(HTTP 404: page not found\)"),
    ],
)
def test_what_no_request_survives_stops_the_run_at_once(status: int, error: Any, says: str) -> None:
    with Loopback(answering({"error": error}, status)) as service:
        with opened(OpenAI("m", service.url, limits=LIMITS)) as it, pytest.raises(BackendError, match=says) as raised:
            list(it.run(questions(200)))
        assert not isinstance(raised.value, ServiceDown)
        assert len(service.asked) <= LIMITS.concurrency


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (402, {"message": "top up"}, r"the account has no credit \(HTTP 402: top up\)"),
        (429, {"message": "quota", "code": "insufficient_quota"}, r"quota \(HTTP 429, insufficient_quota\)"),
        (200, {"message": "quota", "type": "billing_not_active"}, r"quota \(HTTP 200, billing_not_active\)"),
    ],
)
def test_an_account_with_nothing_left_stops_the_run_until_there_is_more(status: int, error: Any, says: str) -> None:
    def answer(asked: Asked) -> Said:
        number = int(asked.document["messages"][0]["content"].split()[-1])
        time.sleep(0.05 if number else 0)
        return Said(chat()) if number else Said({"error": error}, status)

    outputs: list[Output] = []
    with Loopback(answer) as service:
        limits = Limits(concurrency=4, timeout_s=2, backoff_s=0.01)
        with opened(OpenAI("m", service.url, limits=limits)) as it, pytest.raises(ServiceDown, match=says) as raised:
            outputs.extend(it.run(questions(200)))
    assert raised.value.exit_code == 4
    # What was on its way is paid for: it is waited for.
    assert 1 <= len(outputs) == len(service.asked) - 1 < 4
    assert {output.error for output in outputs} == {None}


def test_without_a_key_the_error_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with Loopback(answering({"error": {"message": "who are you?"}}, 401)) as service, pytest.raises(
        BackendError, match="no key is given: set the environment variable OPENAI_API_KEY"
    ):
        ask(OpenAI("m", service.url, limits=LIMITS), Generate("x"))


def test_a_service_that_sends_us_on_is_not_followed() -> None:
    with Loopback(answering({}, 307, Location="http://elsewhere.example/v1?token=abc")) as service:
        with pytest.raises(BackendError, match=r"sends us on to http://elsewhere\.example/v1: write") as raised:
            ask(OpenAI("m", service.url, limits=LIMITS), Generate("x"))
        assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (chat(finish_reason="content_filter"), "the service's content filter stopped the answer"),
        (chat({"content": None}), "the answer has no text"),
        (chat({"content": 4}), "the answer's text is a number, not a string"),
        ({"choices": [{"message": "four"}]}, "the answer's message is a string, not an object"),
        ({"error": {"message": "upstream is slow", "code": 524}}, "HTTP 524: upstream is slow"),
        ({"error": "overloaded"}, "an error for an answer: overloaded"),
        ({"error": {"message": "too long", "code": 400}}, "HTTP 400: too long"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_why(document: Any, error: str) -> None:
    with Loopback(answering(document)) as service:
        output = ask(OpenAI("m", service.url, limits=LIMITS), Generate("x"))
    assert output.answer is None
    assert output.error is not None
    assert output.error.endswith(error)


def test_how_long_a_service_asks_to_wait() -> None:
    def wait(value: str, **more: str) -> float | None:
        return retry_after({"Retry-After": value, **more})

    assert [wait("3"), wait("0.5")] == [3.0, 0.5]
    # The answer's own date counts, whatever our clock says.
    date = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert wait("Wed, 21 Oct 2015 07:29:30 GMT", **date) == 90.0
    assert wait("Wed, 21 Oct 2015 07:27:00 GMT", **date) is None
    assert [wait(text) for text in ("0", "-5", "nan", "1e999", "soon", "", "0x10")] == [None] * 7
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, {"Content-Type": "text/html; charset=rot13"}]
)
def test_a_strange_header_is_no_reason_not_to_ask_again(headers: dict[str, str]) -> None:
    said = iter([Said({"error": {"message": "slower"}}, 429, headers), Said(chat())])
    with Loopback(lambda asked: next(said)) as service:
        assert ask(OpenAI("m", service.url, limits=LIMITS), Generate("x")).answer == Text("four")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_longer_than_any_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, status: int, stream: bool
) -> None:  # fmt: skip
    for module in (httpsession, streams):
        monkeypatch.setattr(module, "_LONGEST", 2**20)
    body = gzip.compress(b'{"a": "' + b"0" * 40 * 2**20, 1)
    with Loopback(answering(body, status, Content_Encoding="gzip")) as service:
        output = ask(OpenAI("m", service.url, stream=stream, limits=LIMITS), Generate("x"))
    assert output.error == "the answer is longer than 1 MiB"
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, "transport"), (409, "transport"), (425, "transport"), (429, "rate_limit"), (500, "transport"), (529, "transport")],
)
def test_which_statuses_may_pass(status: int, kind: str) -> None:
    trouble = failure("who", status, {"Retry-After": "7"}, "wait", None)
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.reason, trouble.retry_after_s) == (kind, f"HTTP {status}: wait", 7.0)
    assert isinstance(failure("who", 422, {}, "no", None), Refused)


# ── what is never told ──────────────────────────────────────────────────────────────────────────────────────────────


def everything_said(backend: OpenAI) -> str:
    """All that comes out of a backend that is asked two questions: outputs, errors, reprs, signatures, messages."""
    heard: list[str] = []
    try:
        with opened(backend, heard.append) as it:
            heard += [repr(it), repr(it.signature()), repr(vars(it))]
            heard += [repr(output) for output in it.run(questions(2))]
    except HarnessError as error:
        heard += [str(error), repr(error)]
    inspector = backend.inspect(Resources(Path("nowhere")))
    return "\n".join([*heard, repr(inspector.signature()), repr(inspector.render(Generate("x")))])


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("stream", [False, True])
def test_a_key_that_the_service_sends_back_is_not_passed_on(status: int, stream: bool) -> None:
    def echo(asked: Asked) -> Said:
        told = f"your header was {asked.headers['Authorization']}, Authorization"
        if status != 200:
            return Said({"error": {"message": told}}, status)
        event = {"choices": [{"delta": {"content": told, "reasoning_content": told}, "finish_reason": "stop"}]}
        return Said(as_stream(event) if stream else chat({"content": told, "reasoning_content": told}))

    limits = Limits(concurrency=2, transport_retries=1, rate_limit_retries=1, backoff_s=0.0)
    with Loopback(echo) as service:
        everything = everything_said(OpenAI("m", service.url, stream=stream, limits=limits))
    assert "your header was Bearer [key], Authorization" in everything
    assert SECRET not in everything
    assert "0123456789" not in everything


@pytest.mark.parametrize(
    "body",
    ["<html>{}</html>", '["{}"]', '{{"a": {}', '{{"choices": [{{"message": "{}"}}]}}',
     '{{"error": {{"code": 401, "message": "{}"}}}}', '{{"error": {{"code": "insufficient_quota", "message": "{}"}}}}'],
)  # fmt: skip
def test_a_key_in_what_cannot_be_read_is_not_passed_on(body: str) -> None:
    with Loopback(answering(body.format(SECRET).encode())) as service:
        everything = everything_said(OpenAI("m", service.url, limits=Limits(concurrency=2, format_retries=0)))
    assert SECRET not in everything


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("before", [180, 190, 480, 490])
@pytest.mark.parametrize("escaped", [False, True])
def test_what_is_cut_off_is_cut_off_behind_the_key(before: int, stream: bool, escaped: bool) -> None:
    key = "".join(f"\\u{ord(character):04x}" for character in SECRET) if escaped else SECRET
    message = "x" * before + key + "y" * 600
    said = [(200, message), (200, f'{{"a": "{message}'), (500, message), (500, f'{{"error": {{"message": "{message}"}}}}'),
            (200, f'{{"error": {{"message": "{message}"}}}}')]  # fmt: skip
    for status, body in said:
        with Loopback(answering(body.encode(), status)) as service:
            limits = Limits(concurrency=2, format_retries=0, transport_retries=0, backoff_s=0.0)
            everything = everything_said(OpenAI("m", service.url, stream=stream, limits=limits))
        assert SECRET[:8] not in everything
        assert key[:20] not in everything


def test_a_password_for_the_host_that_lies_about_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    (tmp_path / ".netrc").write_text("default login me password open-sesame\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.delenv("OPENAI_API_KEY")
    with Loopback(answering(chat())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask(OpenAI("m", "http://service.example/v1", limits=LIMITS), Generate("x")).answer == Text("four")
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        assert ask(OpenAI("m", "http://service.example/v1", limits=LIMITS), Generate("x")).answer == Text("four")
        assert [asked.headers.get("Authorization") for asked in proxy.asked] == [None, f"Bearer {SECRET}"]
        assert {asked.headers["Host"] for asked in proxy.asked} == {"service.example"}
        with Loopback(answering(chat())) as service:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            ask(OpenAI("m", service.url, limits=LIMITS), Generate("x"))
            assert len(service.asked) == 1
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
        with pytest.raises(BackendError, match=r"a proxy for service\.example that is not an HTTP one"):
            ask(OpenAI("m", "http://service.example/v1", limits=LIMITS), Generate("x"))
    assert len(proxy.asked) == 2


@pytest.mark.parametrize("text", ["sk-abc\ndef0123456789", "sk abc", "sk-ключ", "sk-\x00abc"])
def test_what_is_no_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    if "\x00" not in text:
        monkeypatch.setenv("MY_KEY", text)
        with pytest.raises(BackendError, match="the environment variable MY_KEY holds what no key does") as raised:
            OpenAI("m", api_key_env="MY_KEY").open(Resources(Path("nowhere")))
        assert "abc" not in str(raised.value)
        assert "ключ" not in str(raised.value)


def test_words_that_local_servers_take_for_a_key_are_left_in_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    with Loopback(answering(chat({"content": "EMPTY"}))) as service:
        assert ask(OpenAI("m", service.url, limits=LIMITS), Generate("x")).answer == Text("EMPTY")
    monkeypatch.setenv("OPENAI_API_KEY", "a" * 25)
    assert read_key("who", "OPENAI_API_KEY").hidden_in("a" * 25) == "[key]"
    assert read_key("who", None).headers() == {}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"base_url": "http://me:pass@host/v1"}, "base_url must have no name, password or query in it"),
        ({"base_url": "http://host/v1?key=abc"}, "base_url must have no name, password or query in it"),
        ({"base_url": "localhost:8000"}, "base_url must be an address such as http://localhost:8000/v1, got 'localhost:8000'"),
        ({"base_url": "http://host:99999/v1"}, "base_url must be an address such as http://localhost:8000/v1, with a port"),
        ({"base_url": "http://me:pass@[host/v1"}, "base_url must be an address such as http://localhost:8000/v1, with a port"),
        ({"headers": {"authorization": "abc"}}, "headers must not have 'authorization'"),
        ({"headers": {"X-Auth-Token": "abc"}}, "headers must not have 'X-Auth-Token'"),
        ({"extra": {"api_key": "abc"}}, "extra must not have 'api_key'"),
        ({"headers": {"X Title": "evaluation"}}, "headers.X Title must have a name and a value of plain ASCII"),
        ({"headers": {"X-Title": "a\nb"}}, "headers.X-Title must have a name and a value of plain ASCII"),
        ({"max_tokens_key": ""}, "max_tokens_key must be the field for the most tokens to be written"),
        ({"max_tokens_key": "stream"}, "max_tokens_key must be the field for the most tokens to be written"),
        ({"extra": {"n": 2}}, "extra must not have 'n'"),
        ({"extra": {"best_of": 2}}, "extra must not have 'best_of'"),
        ({"extra": {"messages": []}}, "extra must not have 'messages'"),
        ({"model": " "}, "model must be the name that the service knows the model by"),
    ],
)
def test_entries_that_are_refused(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        OpenAI(**{"model": "m", **entry})
    assert says in str(raised.value)
    assert "pass@" not in str(raised.value)
    assert "abc" not in str(raised.value)


# ── what can be said beforehand ─────────────────────────────────────────────────────────────────────────────────────


def test_sizes_are_estimated_and_say_so() -> None:
    backend = OpenAI("m", prices=Prices(input=1, output=2))
    inspector = backend.inspect(Resources(Path("nowhere")))
    talk = (Message("system", "x" * 400), Message("user", "y" * 401))
    # 100 and 101 tokens at one a million, and 50 at two
    size = inspector.size(Generate(talk, Decoding(max_tokens=50)))
    assert (size.input_tokens, size.output_tokens, size.exact, size.truncated) == (201, 50, False, False)
    assert size.cost == pytest.approx(301e-6)
    assert OpenAI("m").inspect(Resources(Path("nowhere"))).size(Embed(("xxxx", "xxxxx"))) == Size(3, 0, exact=False, cost=None)
    assert inspector.render(Generate("hello"))["url"] == "https://api.openai.com/v1/chat/completions"


def test_what_an_entry_gives_follows_from_its_api() -> None:
    assert OpenAI("m").provides == {Generate}
    assert OpenAI("m", api="completions").provides == {Generate, LogLikelihood}
    assert OpenAI("m", api="embeddings").provides == {Embed}
    assert OpenAI.provides == {Generate, LogLikelihood, Embed}


def test_the_signature_has_what_changes_answers_and_nothing_else() -> None:
    base = OpenAI("m", "http://host/v1")
    same = OpenAI("m", "http://host/v1", api_key_env="OTHER", stream=True, limits=Limits(concurrency=1), prices=Prices(1, 1))
    assert base.signature() == same.signature() == base.inspect(Resources(Path("nowhere"))).signature()
    changes: list[dict[str, Any]] = [
        {"model": "n"}, {"base_url": "http://other/v1"}, {"api": "completions"}, {"extra": {"a": 1}}, {"headers": {"X": "1"}},
        {"reasoning": ("<a>", "</a>")}, {"structured": "none"}, {"max_tokens_key": "most"},
    ]  # fmt: skip
    for change in changes:
        assert OpenAI(**{"model": "m", "base_url": "http://host/v1", **change}).signature() != base.signature()


def test_all_calls_are_one_batch_and_none_are_none() -> None:
    calls = questions(5000)
    assert [list(batch) for batch in OpenAI("m").batches(calls)] == [calls]
    assert list(OpenAI("m").batches([])) == []


def test_a_key_in_the_place_of_its_variables_name_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"^api_key_env must be the name of an environment variable") as refused:
        OpenAI("m", api_key_env="sk-proj-abcdef")
    assert "abcdef" not in str(refused.value)
