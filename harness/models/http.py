"""The ``http`` backend: any service that takes a question over HTTP and answers in JSON, such as a deployed RAG application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.errors import BackendError, HarnessError
from harness.models.appanswers import AppReader, BadAnswer, json_of, shown
from harness.models.appfields import AppInspector, row_seed_of
from harness.models.asking import Asker, Limits, Refused, Trouble
from harness.models.httprequests import RequestTemplate, request_fields
from harness.models.httpsession import http_opening, read_body, troubles
from harness.models.httpstatus import failure
from harness.models.jsonpaths import JsonPaths
from harness.models.openaianswers import parsed
from harness.models.prices import Prices
from harness.models.reasoning import check_marks
from harness.models.service import Service
from harness.protocols import Resources
from harness.types import Ask, Call, Generate, Output, Request

if TYPE_CHECKING:
    from aiohttp import ClientSession

_WHO = "http backend"
_PARTS = ("answer", "label", "probabilities", "value", "contexts", "citations", "error", "finish_reason", "usage_input",
          "usage_output")  # fmt: skip


@dataclass
class Http(Service):
    """A service of your own: one request a sample, JSON there and back.

    ``url`` is its address; it must hold no credential. ``method`` is POST (the body is JSON) or GET (the body's entries become
    the query of the address). ``headers`` are sent with every request: ``${NAME}`` in them stands for an environment variable,
    as in ``{Authorization: "Bearer ${RAG_KEY}"}``; credentials that are written out are refused. ``body`` is what is sent, its
    texts templates, ``${NAME}`` in them as in headers (outside of ``{{ … }}``); by default it is what a ``python`` app would
    be called with. What such variables hold is hidden where the service sends it back: in errors always, in answers where the
    variable or its place is named like a credential.

    Templates of a task that asks an app see the fields of the sample's input, all of them as ``input`` too, ``choices`` and
    ``seed``. Those of a task that prompts see ``prompt`` (its text; ``question`` is the same), ``system``, ``messages``,
    ``choices``, ``schema``, ``max_tokens``, ``temperature``, ``top_p``, ``top_k``, ``stop`` and ``seed``.

    The other keys are JSONPaths into what the service answers. ``answer`` is where the text is. ``label`` is where a class is.
    ``probabilities`` is where an object is that has the probability of each class. ``value`` is where a number is. One at least
    of these four has to be found. ``contexts`` is where the passages are that the text is built on, as ``$.sources[*].text``.
    ``citations`` is where the positions of those are that it cites, from 0. ``error`` is where the service says why it has no
    answer, which is then an error of that sample (null, false and "" are none). ``finish_reason`` is where stop or length is.
    ``usage_input`` is where the number of tokens read is. ``usage_output`` is where that of tokens written is.

    ``limits`` says how hard and how long the service is asked. ``prices`` says what a million tokens cost. ``reasoning`` holds
    the two marks around what is written before the answer.

    429 and 5xx, connections that break, time-outs and answers that cannot be read or lack all four answers are tried again, as
    ``limits`` says. Redirects, 401, 402, 403, 404 and 405 stop the run; other statuses are errors of their samples, as are
    answers of more than 64 MiB. Answers serve their own run alone, unless the config gives the service's state a name
    (``cache: {version: "…"}``).
    """

    name: ClassVar[str] = "http"
    summary: ClassVar[str] = "any service that takes and gives JSON: a template for the request, JSONPaths into the answer"
    provides: ClassVar[frozenset[type]] = frozenset({Ask, Generate})
    tuning: ClassVar[frozenset[str]] = frozenset({"limits", "prices"})

    url: str
    method: Literal["POST", "GET"] = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answer: str | None = None
    label: str | None = None
    probabilities: str | None = None
    value: str | None = None
    contexts: str | None = None
    citations: str | None = None
    error: str | None = None
    finish_reason: str | None = None
    usage_input: str | None = None
    usage_output: str | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Prices | None = None
    reasoning: tuple[str, str] | None = None
    _template: RequestTemplate = field(init=False, repr=False, compare=False)
    _paths: JsonPaths = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._template = RequestTemplate(self.url, self.method, self.headers, self.body)
        self._paths = JsonPaths({part: path for part in _PARTS if (path := getattr(self, part)) is not None})
        check_marks(self.name, self.reasoning)

    def open(self, resources: Resources) -> None:
        """Raises MissingDependency; BackendError for a JSONPath of bad syntax or an environment variable that is not set."""
        self.close()
        client = _Client(self, self._template, self._paths)
        headers = {"Content-Type": "application/json", **client.headers} if self.method == "POST" else client.headers
        asker = Asker(_WHO, self.limits, resources, http_opening(_WHO, headers, self.url), client.attempt)
        asker.open()
        self._asker = asker

    def signature(self) -> Mapping[str, Any]:
        """Its keys as they are written, without those that change no answer."""
        keys = [f.name for f in fields(self) if f.init and f.name not in self.tuning]
        given = {key: value for key in keys if (value := getattr(self, key)) is not None}
        return {"backend": self.name, **given}

    def inspect(self, resources: Resources) -> AppInspector:
        """Says what would be sent, ``${NAME}`` as it is written. Asks nothing and reads no environment."""
        return AppInspector(self.signature(), self._rendered, self.prices)

    def _rendered(self, request: Request) -> Mapping[str, Any]:
        try:
            body = self._template.rendered(request_fields(request), request, self._template.as_written())
        except HarnessError as error:
            raise BackendError(f"{_WHO}: body: {error}") from None
        return {"url": self.url, "method": self.method, "body": body}


class _Client:
    """Asks one request once."""

    def __init__(self, backend: Http, template: RequestTemplate, paths: JsonPaths) -> None:
        self._backend, self._template = backend, template
        self._secrets = template.secrets()
        self._parts = paths.reader()
        self._reader = AppReader(backend.reasoning, backend.prices)
        self.headers = {name: self._secrets.put_into(value) for name, value in backend.headers.items()}

    async def attempt(self, session: ClientSession, call: Call) -> Output:
        """The output of a call. Raises Trouble, Refused or BackendError, none with a secret in it."""
        with self._secrets.hiding():
            output = await self._asked(session, call)
        return output if output.error is None else replace(output, error=self._secrets.hidden_in(output.error))

    async def _asked(self, session: ClientSession, call: Call) -> Output:
        sent = self._sent(call)
        with troubles():
            async with session.request(self._backend.method, self._backend.url, allow_redirects=False, **sent) as response:
                raw, status, headers = await read_body(response), response.status, response.headers
        if not 200 <= status < 300:
            said = self._secrets.hidden_in(raw.decode("utf-8", "replace"))
            raise failure(_WHO, status, headers, said, next(iter(self._template.variables()), None))
        document = self._secrets.in_answers.hidden_in_document(parsed(raw))
        try:
            return self._reader.output(call, _row(self._parts(document)))
        except BadAnswer as error:
            raise Trouble("format", str(error)) from None

    def _sent(self, call: Call) -> dict[str, Any]:
        """What the session is handed. Raises Refused where the sample lacks a field, or has one that is no JSON."""
        try:
            seen = request_fields(call.request, row_seed_of(call))
            body = self._template.rendered(seen, call.request, self._secrets.values)
            if self._backend.method == "POST":
                return {"data": json_of(body)}
            return {"params": {key: item if isinstance(item, str) else json_of(item).decode() for key, item in body.items()}}
        except HarnessError as error:
            raise Refused(f"body: {error}") from None
        except TypeError as error:
            raise Refused(f"body: the sample has a value that JSON has not: {error}") from None


def _row(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts as a ``python`` app would return them."""
    row = {part: value for part, value in parts.items() if not part.startswith("usage_")}
    counts = {"input_tokens": parts.get("usage_input"), "output_tokens": parts.get("usage_output")}
    if any(count is not None for count in counts.values()):
        row["usage"] = counts
    if "finish_reason" in row and not isinstance(row["finish_reason"], str | None):
        raise BadAnswer(f"finish_reason must be a string, got {shown(row['finish_reason'])}")
    return row
