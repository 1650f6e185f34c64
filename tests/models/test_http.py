"""The ``http`` backend: what is sent, what is read, what goes wrong, and that no secret comes out."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest

from harness.codec import dumps
from harness.errors import BackendError, ConfigError, HarnessError
from harness.models.http import Http
from harness.models.limits import Limits
from harness.models.prices import Prices
from harness.protocols import Backend, Inspectable, Resources
from harness.types import Ask, Call, Decoding, Generate, Key, Label, Message, Number, Output, Request, Text, Usage

QUICK = Limits(concurrency=4, timeout_s=2, deadline_s=5, transport_retries=2, rate_limit_retries=2, backoff_s=0.01)
KEY = "sk-planted-0123456789"
SLASHED = "abc/def+Zq9x7Lm2/pT4vW8="


@dataclass
class Service:
    """A service on loopback: answers with what ``answer`` makes of a request's body, and keeps what it was sent."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[Any], Any] = lambda body: {"answer": str(body["question"]).upper()}
    seen: list[tuple[str, str, Mapping[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[Service]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(raw) if raw else None
            told.seen.append((self.command, self.path, dict(self.headers), body))
            made = told.answer(body)
            data = made if isinstance(made, bytes) else json.dumps(made).encode()
            self.send_response(told.status)
            for name, value in {"Content-Type": "application/json", **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/ask"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def ask(backend: Http, *requests: Request) -> list[Output]:
    backend.open(Resources(Path()))
    try:
        calls = [Call(Key(str(i)), request, seed=7) for i, request in enumerate(requests)]
        outputs = {output.key.sample_id: output for batch in backend.batches(calls) for output in backend.run(batch)}
    finally:
        backend.close()
    return [outputs[str(i)] for i in range(len(requests))]


QUESTION = Ask({"question": "why", "user": {"name": "Ann"}})


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_default_a_service_gets_what_an_app_would(service: Service) -> None:
    [output] = ask(Http(service.url, answer="$.answer", limits=QUICK), QUESTION)
    assert output.answer == Text("WHY")
    [(method, path, headers, body)] = service.seen
    assert (method, path, body) == ("POST", "/ask", {"question": "why", "user": {"name": "Ann"}})
    assert headers["Content-Type"] == "application/json"
    assert output.timing is not None
    assert 0 < output.timing.latency_s < 5


def test_a_body_is_a_template(service: Service) -> None:
    service.answer = lambda body: {"answer": "x"}
    body = {"q": "{{ question }}", "who": "I am {{ user.name }}", "all": "{{ input }}", "of": "{{ choices }}", "n": 3,
            "deep": [{"upper": "{{ question | upper }}"}], "none": None}  # fmt: skip
    backend = Http(service.url, answer="$.answer", body=body, limits=QUICK)
    ask(backend, Ask(QUESTION.input, ("a", "b")))
    assert service.seen[0][3] == {
        "q": "why", "who": "I am Ann", "all": {"question": "why", "user": {"name": "Ann"}}, "of": ["a", "b"], "n": 3,
        "deep": [{"upper": "WHY"}], "none": None,
    }  # fmt: skip


def test_the_fields_of_a_prompt(service: Service) -> None:
    service.answer = lambda body: {"answer": "x"}
    names = ["prompt", "question", "system", "messages", "max_tokens", "temperature", "top_p", "top_k", "stop", "choices"]
    backend = Http(service.url, answer="$.answer", body={name: f"{{{{ {name} }}}}" for name in names}, limits=QUICK)
    messages = (Message("system", "Be brief."), Message("user", "why"))
    ask(backend, Generate(messages, Decoding(max_tokens=7, temperature=0.5, stop=("\n",))))
    assert service.seen[0][3] == {
        "prompt": "why", "question": "why", "system": "Be brief.", "max_tokens": 7, "temperature": 0.5, "top_p": 1.0,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why"}], "top_k": None,
        "stop": ["\n"], "choices": [],
    }  # fmt: skip


def test_every_sample_and_repeat_has_a_seed_of_its_own(service: Service) -> None:
    service.answer = lambda body: {"answer": "x"}
    backend = Http(service.url, answer="$.answer", body={"seed": "{{ seed }}"}, limits=QUICK)
    ask(backend, Generate("a"), Generate("b"))
    ask(backend, Generate("a"))
    seeds = [body["seed"] for *_, body in service.seen]
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds[:2])) == 2
    assert seeds[2] in seeds[:2]


def test_get_has_a_query(service: Service) -> None:
    service.answer = lambda body: {"answer": "x"}
    ask(Http(service.url, method="GET", answer="$.answer", body={"q": "{{ question }}&", "k": 3}, limits=QUICK), QUESTION)
    [(method, path, headers, body)] = service.seen
    assert (method, path, body) == ("GET", "/ask?q=why%26&k=3", None)
    assert "Content-Type" not in headers or headers["Content-Type"] != "application/json"


def test_a_sample_without_a_field_or_with_one_that_json_has_not_is_an_error(service: Service) -> None:
    backend = Http(service.url, answer="$.answer", body={"question": "{{ question }}"}, limits=QUICK)
    outputs = ask(backend, Ask({"questoin": "x"}), Ask({"question": object()}), QUESTION)
    assert "body: no field 'question'" in (outputs[0].error or "")
    assert "did you mean 'questoin'?" in (outputs[0].error or "")
    assert (outputs[1].error or "").startswith("body: the sample has a value that JSON has not")
    assert outputs[2].answer == Text("WHY")
    assert len(service.seen) == 1


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_part_of_an_answer(service: Service) -> None:
    service.answer = lambda body: {
        "data": [{"text": "<t>so</t> it is"}], "sources": [{"text": "one"}, {"text": "two"}], "cited": [1],
        "meta": {"in": 400, "out": 100, "end": "max_tokens"}, "failed": None,
    }  # fmt: skip
    backend = Http(
        service.url, answer="$.data[0].text", contexts="$.sources[*].text", citations="$.cited", error="$.failed",
        finish_reason="$.meta.end", usage_input="$.meta.in", usage_output="$['meta']['out']", reasoning=("<t>", "</t>"),
        prices=Prices(input=2.5, output=10), limits=QUICK,
    )  # fmt: skip
    [output] = ask(backend, Generate("why"))
    assert output.answer == Text("it is", contexts=("one", "two"), citations=(1,), reasoning="so")
    assert (output.finish_reason, output.usage) == ("length", Usage(400, 100, 0.002))


def test_labels_probabilities_and_numbers(service: Service) -> None:
    service.answer = lambda body: {"class": "a", "p": {"a": 0.75, "b": 0.25}}
    choose = Ask({"question": "q"}, ("a", "b"))
    assert ask(Http(service.url, label="$.class", probabilities="$.p", limits=QUICK), choose)[0].answer == Label(
        "a", {"a": 0.75, "b": 0.25}
    )
    service.answer = lambda body: {"class": None}
    assert ask(Http(service.url, label="$.class", limits=QUICK), choose)[0].answer == Label(None)
    service.answer = lambda body: {"price": 3}
    assert ask(Http(service.url, value="$.price", limits=QUICK), QUESTION)[0].answer == Number(3.0)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"reply": "x"}, 'there is no answer at $.answer in {"reply":"x"}'),
        ([1], "there is no answer at $.answer in [1]"),
        ("Paris", 'there is no answer at $.answer in "Paris"'),
        ({"answer": None}, "answer must be a string, got null"),
        ({"answer": ["a"]}, "answer must be a string, got ['a']"),
        ({"answer": "x", "sources": [{"text": 3}]}, "contexts[] must be a string, got 3"),
        ({"answer": "x", "in": "many"}, "usage.input_tokens must be an integer >= 0, got 'many'"),
        ({"answer": "x", "end": ["stop"]}, "finish_reason must be a string, got ['stop']"),
        (b"", "the answer is empty"),
        (b'{"answer": "x"', 'the answer is no JSON'),
        (b'{"answer": "\xff"}', "the answer is no JSON"),
        ({"reply": "x" * 1000}, 'there is no answer at $.answer in {"reply":"xxxx'),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_asked_for_again_and_then_an_error(service: Service, document: Any, said: str) -> None:
    asked: dict[str, int] = {}

    def answer(body: Any) -> Any:
        asked[body["question"]] = asked.get(body["question"], 0) + 1
        return document if body["question"] == "bad" else {"answer": "good"}

    service.answer = answer
    backend = Http(
        service.url, answer="$.answer", contexts="$.sources[*].text", usage_input="$.in", finish_reason="$.end", limits=QUICK
    )
    bad, good = ask(backend, Ask({"question": "bad"}), Ask({"question": "good"}))
    assert (bad.answer, good.answer) == (None, Text("good"))
    assert said in (bad.error or "")
    assert len(bad.error or "") < 400
    assert asked == {"bad": 3, "good": 1}


def test_several_values_where_one_is_wanted(service: Service) -> None:
    service.answer = lambda body: {"a": [1, 2]} if body["question"] == "bad" else {"a": ["x"]}
    bad, good = ask(Http(service.url, answer="$.a[*]", limits=QUICK), Ask({"question": "bad"}), Ask({"question": "good"}))
    assert "answer: $.a[*] finds 2 values, and must find one" in (bad.error or "")
    assert good.answer == Text("x")


def test_an_error_that_the_service_tells_is_taken_as_it_is(service: Service) -> None:
    service.answer = lambda body: {"error": {"message": "no such index"}}
    [output] = ask(Http(service.url, answer="$.answer", error="$.error", limits=QUICK), QUESTION)
    assert (output.error, len(service.seen)) == ("no such index", 1)


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "said"), [(401, "RAG_KEY"), (404, "no such"), (307, "/elsewhere"), (402, "credit")])
def test_what_is_wrong_with_all_requests_stops_the_run(
    service: Service, status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_KEY", KEY)
    service.status, service.headers = status, {"Location": "http://127.0.0.1:9/elsewhere"}
    service.answer = lambda body: {"detail": f"bad {service.seen[-1][2]['Authorization']}"}
    headers = {"Authorization": "Bearer ${RAG_KEY}"}
    with pytest.raises(BackendError, match=said) as caught:
        ask(Http(service.url, answer="$.answer", headers=headers, limits=QUICK), QUESTION)
    assert KEY not in str(caught.value)
    assert len(service.seen) == 1


def test_statuses_of_one_request(service: Service) -> None:
    statuses = iter([503, 200])
    service.answer = lambda body: setattr(service, "status", next(statuses)) or {"answer": "x"}  # type: ignore[func-returns-value]
    [output] = ask(Http(service.url, answer="$.answer", limits=QUICK), QUESTION)
    assert (output.answer, len(service.seen)) == (Text("x"), 2)
    service.status, service.answer = 422, lambda body: {"detail": "too long"}
    [output] = ask(Http(service.url, answer="$.answer", limits=QUICK), QUESTION)
    assert (output.answer, output.error, len(service.seen)) == (None, 'HTTP 422: {"detail": "too long"}', 3)


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_secrets_come_from_the_environment_and_go_nowhere_else(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_KEY", KEY)
    monkeypatch.setenv("HOME_OF_ALL", "a home that no sample may name")
    backend = Http(
        service.url, answer="$.answer", headers={"X-Api-Key": "${RAG_KEY}", "X-Note": "plain"},
        body={"question": "{{ question }}", "auth": {"token": "key ${RAG_KEY}"}}, limits=QUICK,
    )  # fmt: skip
    service.answer = lambda body: {"answer": f"{body['question']} {body['auth']['token']}"}
    [output] = ask(backend, Ask({"question": "${HOME_OF_ALL} {{ _environment }}"}))
    assert service.seen[0][2]["X-Api-Key"] == KEY
    assert service.seen[0][3] == {"question": "${HOME_OF_ALL} {{ _environment }}", "auth": {"token": f"key {KEY}"}}
    assert output.answer == Text("${HOME_OF_ALL} {{ _environment }} key [key]")
    inspector = backend.inspect(Resources(Path()))
    rendered = inspector.render(QUESTION)
    assert rendered == {
        "url": service.url, "method": "POST", "body": {"question": "why", "auth": {"token": "key ${RAG_KEY}"}},
    }  # fmt: skip
    for shown in (repr(backend), repr(output), dumps(backend.signature()).decode(), dumps(inspector.signature()).decode()):
        assert KEY not in shown


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (200, {}, {"reply": f"the key {SLASHED}"}),
        (200, {}, {"failed": {"message": f"the key {SLASHED}"}}),
        (200, {}, {"failed": "y" * 990 + SLASHED}),
        (200, {}, {"reply": "y" * 165 + SLASHED}),
        (200, {}, b"y" * 180 + SLASHED.encode()),
        (400, {}, {"detail": "y" * 470 + SLASHED}),
        (400, {}, {"detail": f"no such user: {quote(SLASHED, safe='')}"}),
        (302, {"Location": f"http://localhost/login/{SLASHED}/y"}, {}),
        (200, {"Content-Length": f"x{SLASHED}"}, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_part_of_a_secret_is_in_any_error(
    method: Literal["GET", "POST"], status: int, headers: dict[str, str], answer: Any, service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("RAG_KEY", SLASHED)
    service.status, service.headers = status, headers
    service.answer = lambda body: answer if isinstance(answer, bytes) else json.dumps(answer).replace("/", "\\/").encode()
    backend = Http(
        service.url, method, {"Authorization": "Bearer ${RAG_KEY}"}, {"q": "{{ question }}", "token": "${RAG_KEY}"},
        answer="$.answer", error="$.failed", limits=Limits(format_retries=0, transport_retries=0),
    )  # fmt: skip
    try:
        [output] = ask(backend, QUESTION)
        said = output.error or ""
    except HarnessError as error:
        said = str(error)
    assert service.seen
    assert SLASHED[:8] in str(service.seen[0][2])
    assert said
    for start in (SLASHED[:8], quote(SLASHED[:8], safe=""), SLASHED[:8].replace("/", "\\/"), SLASHED[-8:]):
        assert start not in said


def test_a_secret_that_json_escapes_is_not_in_an_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_KEY", SLASHED)
    said = json.dumps({"answer": f"key {SLASHED}", "contexts": [SLASHED]}).replace("/", "\\/").encode()
    service.answer = lambda body: said
    headers = {"Authorization": "Bearer ${RAG_KEY}"}
    backend = Http(service.url, headers=headers, answer="$.answer", contexts="$.contexts", limits=QUICK)
    assert ask(backend, QUESTION)[0].answer == Text("key [key]", contexts=("[key]",))


def test_a_variable_that_is_no_secret_changes_no_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VERSION", "2024-06-01")
    monkeypatch.setenv("FIRST", "first-0123456789")
    monkeypatch.setenv("SECOND", "second-0123456789")
    monkeypatch.setenv("THIRD_KEY", "third-0123456789")
    service.answer = lambda body: {"answer": "2024-06-01 first-0123456789 second-0123456789 third-0123456789"}
    backend = Http(
        service.url, headers={"X-Auth-Token": "${FIRST}", "X-Other": "Bearer ${SECOND}"},
        body={"version": "${API_VERSION}", "other": "${THIRD_KEY}"}, answer="$.answer", limits=QUICK,
    )  # fmt: skip
    assert ask(backend, QUESTION)[0].answer == Text("2024-06-01 [key] [key] [key]")
    service.status = 400
    assert ask(backend, QUESTION)[0].error == 'HTTP 400: {"answer": "[key] [key] [key] [key]"}'
    service.status, service.answer = 200, lambda body: {"failed": "2024-06-01 is too old"}
    told = Http(service.url, body={"version": "${API_VERSION}"}, answer="$.answer", error="$.failed", limits=QUICK)
    assert ask(told, QUESTION)[0].error == "[key] is too old"


def test_no_template_sees_a_variable(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_KEY", KEY)
    service.answer = lambda body: {"answer": "x"}
    body = {"token": "${RAG_KEY}", "mixed": "{% if question %}{{ question }} ${RAG_KEY}{% endif %} {${RAG_KEY}}"}
    ask(Http(service.url, answer="$.answer", body=body, limits=QUICK), QUESTION)
    assert service.seen[0][3] == {"token": KEY, "mixed": f"why {KEY} {{{KEY}}}"}
    hidden = Http(service.url, answer="$.answer", body={**body, "all": "{{ _environment }}"}, limits=QUICK)
    [output] = ask(hidden, QUESTION)
    assert "body: no field '_environment'; the fields are: choices, input, question, seed, user" in (output.error or "")
    broken = Http(service.url, answer="$.answer", body={"token": "{{ question / 2 }} ${RAG_KEY}"}, limits=QUICK)
    [output] = ask(broken, QUESTION)
    assert (output.error or "").startswith("body: template '{{ question / 2 }} ${RAG_KEY}': unsupported operand")


def test_a_body_that_names_a_field_that_is_not_there_cannot_be_shown() -> None:
    backend = Http("http://localhost/", answer="$.answer", body={"token": "${RAG_KEY}", "q": "{{ questoin }}"})
    with pytest.raises(BackendError, match=r"http backend: body: no field 'questoin'.*did you mean 'question'"):
        backend.inspect(Resources(Path())).render(QUESTION)


def test_an_answer_that_unpacks_to_more_than_anybody_reads(service: Service) -> None:
    packed = gzip.compress(b'{"answer": "' + bytes(65 * 2**20) + b'"}', 1)
    service.answer, service.headers = lambda body: packed, {"Content-Encoding": "gzip"}
    [output] = ask(Http(service.url, answer="$.answer", limits=QUICK), QUESTION)
    assert (output.error, len(service.seen)) == ("the answer is longer than 64 MiB", 1)


def test_a_variable_that_is_not_set(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    backend = Http(service.url, answer="$.answer", headers={"Authorization": "Bearer ${NO_SUCH_KEY}"})
    with pytest.raises(BackendError, match="the environment variable NO_SUCH_KEY, which headers or body name, is not set"):
        ask(backend, QUESTION)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"headers": {"Authorization": f"Bearer {KEY}"}}, "headers.Authorization must take its secret from the environment"),
        ({"headers": {"X-API-Key": KEY}}, "headers.X-API-Key must take its secret from the environment"),
        ({"body": {"auth": [{"api_key": KEY}]}}, "body: auth.api_key must take its secret from the environment"),
        ({"headers": {"X-Note": "two\nlines"}}, "headers.X-Note must have a name and a value of plain ASCII"),
        ({"url": f"http://me:{KEY}@localhost/"}, "url must hold no user and no password"),
        ({"url": f"http://localhost/?api_key={KEY}"}, "url must hold no credential"),
        ({"url": "http://localhost/${RAG_KEY}"}, "url must hold no credential"),
        ({"url": f"http://localhost/?subscription-key={KEY}"}, "url must hold no credential"),
        ({"url": f"http://localhost/?a=1&sig={KEY}"}, "url must hold no credential"),
        ({"url": "http://localhost:99999/"}, "http: url must be an address such as https://rag.example.com/ask: Port out of"),
        ({"url": "http://[::1/"}, "http: url must be an address such as https://rag.example.com/ask: Invalid IPv6"),
        ({"headers": {"X-Auth-Token": KEY}}, "headers.X-Auth-Token must take its secret from the environment"),
        ({"body": {"clientSecret": KEY}}, "body: clientSecret must take its secret from the environment"),
        ({"body": {"q": "{{ '${RAG_KEY}' }}"}}, "body: ${RAG_KEY} must stand outside of {{ … }} and {% … %}"),
        ({"body": {"q": "${RAG_KEY} {{ question"}}, "body: template '${RAG_KEY} {{ question'"),
        ({"answer": "$.answer "}, "answer must be a JSONPath"),
        ({"answer": "$.a]"}, "answer must be a JSONPath"),
        ({"url": "localhost:8000"}, "url must be an address such as"),
        ({"body": "{{ question"}, "body: template '{{ question'"),
        ({"body": "{{ question }}", "method": "GET"}, "body must be a mapping where method is GET"),
        ({"answer": None}, "give the JSONPath of one at least of answer, label, probabilities, value"),
        ({"answer": "answer"}, "answer must be a JSONPath such as $.answer or $.items[0].answer, got 'answer'"),
        ({"contexts": "$.items[0"}, "contexts must be a JSONPath"),
        ({"contexts": ""}, "contexts must be a JSONPath"),
    ],
)  # fmt: skip
def test_what_a_config_may_not_say(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(**{"url": "http://localhost/", "answer": "$.answer", **keys})
    assert said in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["$", "$.a", "$.a-b", "$.a[0].b", "$.a[*]", "$..b", "$['a b'].c", '$["a.b"]', "$.a[-1:]", "$.a[?(@.b == 'x')].c",
             "$.a[?@.b > 1]"],
)  # fmt: skip
def test_jsonpaths_of_every_kind_are_let_through(path: str) -> None:
    import jsonpath

    jsonpath.compile(path)
    Http("http://localhost/", answer=path)


@pytest.mark.parametrize("path", ["$." + "a" * 50_000 + " b", "$" + "[?a]" * 10_000 + " b", "$" + "['a'" * 10_000])
def test_a_path_takes_no_time(path: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError, match="answer must be a JSONPath"):
        Http("http://localhost/", answer=path)
    assert time.process_time() - began < 1


def test_a_jsonpath_of_bad_syntax_that_only_the_parser_sees(service: Service) -> None:
    with pytest.raises(BackendError, match=r"http: answer must be a JSONPath such as \$\.answer, got '\$\.\.'"):
        ask(Http(service.url, answer="$.."), QUESTION)


def test_it_is_a_backend_that_can_be_looked_into() -> None:
    backend = Http("http://localhost/", answer="$.answer")
    assert isinstance(backend, Backend)
    assert isinstance(backend, Inspectable)
    assert dumps(backend.signature()) == dumps(Http("http://localhost/", answer="$.answer", limits=QUICK).signature())
    assert dumps(backend.signature()) != dumps(Http("http://localhost/", answer="$.text").signature())


def test_run_before_open() -> None:
    with pytest.raises(HarnessError, match="open"):
        list(Http("http://localhost/", answer="$.answer").run([Call(Key("1"), QUESTION)]))


