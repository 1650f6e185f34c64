"""The ``openai`` backend: any service that speaks OpenAI's HTTP protocol (OpenAI, vLLM, llama.cpp, Ollama, OpenRouter, …)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from harness.codec import dumps
from harness.errors import ConfigError
from harness.models.asking import Asker, Limits, Refused, Trouble
from harness.models.credentials import Key, read_key, refuse_credentials
from harness.models.httpsession import check_headers, http_opening, read_body, troubles
from harness.models.openaianswers import (
    WHO,
    Reply,
    add_event,
    check_reply,
    failure_of,
    is_whole,
    parsed,
    reply_in,
    usage_in,
    vectors_in,
)
from harness.models.openairequests import Api, Structured, Style, plain, texts_of
from harness.models.openaiscores import likelihoods_in
from harness.models.prices import Prices
from harness.models.reasoning import check_marks, split_reasoning
from harness.models.service import Service
from harness.models.streams import events
from harness.protocols import Resources, Size
from harness.types import Call, Embed, Generate, Likelihoods, LogLikelihood, Output, Request, Text, Timing, Usage, Vectors
from harness.types import Key as CallKey

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_PROVIDES: Mapping[Api, frozenset[type]] = {
    "chat": frozenset({Generate}), "completions": frozenset({Generate, LogLikelihood}), "embeddings": frozenset({Embed}),
}  # fmt: skip
_CHARACTERS_A_TOKEN = 4


@dataclass
class OpenAI(Service):
    """A model behind OpenAI's HTTP protocol.

    ``model`` is the name that the service knows it by. ``base_url`` is where the service is, up to and with its version
    (``http://localhost:8000/v1``). ``api`` says what it is asked for: chat (a plain text prompt is one user message),
    completions (a conversation is its contents joined by blank lines; log-likelihoods too, from services that score what they
    read: ``echo`` with ``logprobs``) or embeddings. ``api_key_env`` names the environment variable with the key: services on
    one's own machine need none. ``stream`` has texts sent as they are written, which tells the time to the first token.

    ``extra`` holds fields that go into every request as they are: null takes one out (``{temperature: null}`` for models that
    refuse it). ``headers`` holds HTTP headers: no secrets, which come from the environment only. ``max_tokens_key`` is how the
    service calls the most tokens to be written: max_tokens, or max_completion_tokens for OpenAI's newer models.
    ``structured`` says how a JSON schema is asked for: json_schema (``response_format``), structured_outputs (vLLM's, for
    choices too) or none. ``reasoning`` holds the two marks around what a model writes before its answer.

    ``limits`` says how hard and how long it is asked. ``prices`` says what a million tokens cost, for costs and budgets.

    Its answers are kept for the resumption of their own run only, unless the config has ``cache: {version: …}``. Texts that are
    sampled are asked for with a seed of their own, which not every service heeds.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    api: Api = "chat"
    api_key_env: str | None = "OPENAI_API_KEY"
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    max_tokens_key: str = "max_tokens"
    structured: Structured = "json_schema"
    reasoning: tuple[str, str] | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Prices | None = None

    name: ClassVar[str] = "openai"
    summary: ClassVar[str] = "any service that speaks OpenAI's HTTP protocol: chat, completions or embeddings"
    provides: ClassVar[frozenset[type]] = frozenset({Generate, LogLikelihood, Embed})
    tuning: ClassVar[frozenset[str]] = frozenset({"limits", "prices", "api_key_env", "stream"})

    def __post_init__(self) -> None:
        self._check()
        # What this entry gives is less than what the class can.
        object.__setattr__(self, "provides", _PROVIDES[self.api])

    def open(self, resources: Resources) -> None:
        """Read the key and start asking. Raises MissingDependency, or BackendError for a key that is none."""
        key = read_key(WHO, self.api_key_env)
        opening = http_opening(WHO, {"Content-Type": "application/json", **self.headers, **key.headers()},
                               self.base_url)
        client = _Client(self, key, self._style(), resources)
        asker = Asker(WHO, self.limits, resources, opening, client.attempt)
        asker.open()
        self._asker = asker

    def signature(self) -> Mapping[str, Any]:
        return {"backend": self.name, "base_url": self.base_url, "model": self.model, "api": self.api,
                "extra": dict(self.extra), "headers": dict(self.headers), "max_tokens_key": self.max_tokens_key,
                "structured": self.structured, "reasoning": None if self.reasoning is None else list(self.reasoning)}

    def inspect(self, resources: Resources) -> OpenAIInspector:
        """What its requests look like; nothing is asked and no key is read."""
        return OpenAIInspector(self)

    def request(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The address that a request is sent to, and its JSON body."""
        style = self._style()
        return self.base_url.rstrip("/") + style.path, style.body(Call(CallKey(""), request))

    def _style(self) -> Style:
        return Style(self.model, self.api, self.stream, self.max_tokens_key, self.structured, self.extra)

    def _check(self) -> None:
        if not self.model.strip():
            raise ConfigError("model must be the name that the service knows the model by, got an empty one")
        try:
            parts = urlsplit(self.base_url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port beyond 65535, or brackets that do not close; it may hold a password
            raise ConfigError("base_url must be an address such as http://localhost:8000/v1, with a port up to 65535 if "
                              "any") from None
        if not is_address:
            raise ConfigError(f"base_url must be an address such as http://localhost:8000/v1, got {self.base_url!r}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError("base_url must have no name, password or query in it, which would be written into every run; a "
                              "key belongs into the environment variable that api_key_env names")
        if self.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env):
            raise ConfigError("api_key_env must be the name of an environment variable: letters, digits and _ (what is there "
                              "is not shown, for it may be the key itself)")
        refuse_credentials("headers", self.headers, "header")
        refuse_credentials("extra", self.extra)
        check_headers(self.headers)
        check_marks(WHO, self.reasoning)
        self._style()


class OpenAIInspector:
    """What can be said of an entry's requests without asking its service."""

    def __init__(self, backend: OpenAI) -> None:
        self._backend = backend

    def signature(self) -> Mapping[str, Any] | None:
        """The same as when it is open."""
        return self._backend.signature()

    def size(self, request: Request) -> Size:
        """Tokens by the rule of thumb of four characters each: what the service counts is known only when it answers."""
        read = sum(-(-len(text) // _CHARACTERS_A_TOKEN) for text in texts_of(request))
        written = request.decoding.max_tokens if isinstance(request, Generate) else 0
        prices = self._backend.prices
        return Size(read, written, exact=False, cost=None if prices is None else prices.cost(Usage(read, written)))

    def render(self, request: Request) -> Mapping[str, Any]:
        """``{"url", "body"}``, without headers."""
        url, body = self._backend.request(request)
        return {"url": url, "body": body}


class _Client:
    """Asks one request once."""

    def __init__(self, backend: OpenAI, key: Key, style: Style, resources: Resources) -> None:
        self._backend, self._key, self._style, self._say = backend, key, style, resources.say
        self._url = backend.base_url.rstrip("/") + style.path
        self._counts_tokens = True

    async def attempt(self, session: ClientSession, call: Call) -> Output:
        """The output of a call. Raises Trouble, Refused or BackendError, none with the key in it."""
        with self._key.hiding():
            return await self._asked(session, call)

    async def _asked(self, session: ClientSession, call: Call) -> Output:
        started = time.perf_counter()
        body = dumps(self._style.body(call))
        with troubles():
            async with session.post(self._url, data=body, allow_redirects=False) as response:
                if not 200 <= response.status < 300:
                    text = self._key.hidden_in((await read_body(response)).decode("utf-8", "replace"))
                    raise failure_of(response.status, response.headers, text, self._key.variable)
                if isinstance(call.request, Generate) and self._style.stream:
                    reply, first = await self._streamed(response)
                    return self._written(call, reply, Timing(time.perf_counter() - started, first - started if first else None))
                document = parsed(await read_body(response), self._key.hidden_in)
        timing = Timing(time.perf_counter() - started)
        with self._charged(lambda: usage_in(document)):
            return self._read(call, document, timing)

    def _read(self, call: Call, document: Any, timing: Timing) -> Output:
        match call.request:
            case LogLikelihood(prefix=prefix, continuations=continuations):
                start = plain(prefix)
                answer: Likelihoods | Vectors = likelihoods_in(document, len(start), [start + text for text in continuations])
            case Embed(texts=texts):
                answer = vectors_in(document, len(texts))
            case _:
                return self._written(call, reply_in(self._key.hidden_in_document(document)), timing)
        return Output(call.key, answer, finish_reason="stop", usage=self._usage(usage_in(document)), timing=timing)

    async def _streamed(self, response: ClientResponse) -> tuple[Reply, float | None]:
        """A text that came in pieces, and when its first piece came. Raises Trouble where it has no end."""
        reply, first, is_done = Reply(), None, False
        with self._charged(lambda: reply.usage):
            async for event in events(response.content, self._key.hidden_in):
                if event is None:
                    is_done = True
                elif is_whole(event):
                    reply.usage = usage_in(event)
                    return reply_in(self._key.hidden_in_document(event)), None
                elif add_event(reply, self._key.hidden_in_document(event)) and first is None:
                    first = time.perf_counter()
            if reply.finish is None and not (is_done and reply.text):
                raise Trouble("format", "the stream ended before the answer did")
            check_reply(reply)
        return reply, first

    @contextmanager
    def _charged(self, usage: Callable[[], Usage | None]) -> Iterator[None]:
        """What an answer that cannot be used took is told by what is raised."""
        try:
            yield
        except (Trouble, Refused) as error:
            error.usage = self._priced(usage())
            raise

    def _written(self, call: Call, reply: Reply, timing: Timing) -> Output:
        assert isinstance(call.request, Generate)
        text, reasoning = reply.text, reply.reasoning
        if self._backend.reasoning is not None:
            text, found = split_reasoning(text, self._backend.reasoning)
            reasoning = "\n".join(part for part in (reasoning, found) if part) if found else reasoning or found
        text, is_cut = _cut(text, call.request.decoding.stop)
        logprobs = tuple(reply.logprobs) if call.request.decoding.logprobs and reply.logprobs is not None else None
        answer = Text(self._key.hidden_in(text), logprobs,
                      reasoning=None if reasoning is None else self._key.hidden_in(reasoning))
        finish = "stop" if is_cut else reply.finish_reason
        return Output(call.key, answer, finish_reason=finish, usage=self._usage(reply.usage), timing=timing)

    def _usage(self, usage: Usage | None) -> Usage | None:
        """With its cost by the prices of the entry, which go before what the service says."""
        if usage is None:
            if self._counts_tokens:
                self._counts_tokens = False
                self._say(f"{WHO}: {self._backend.model} does not say how many tokens it read and wrote: what it costs, and "
                          "what is left of a budget, is not known")
            return None
        return self._priced(usage)

    def _priced(self, usage: Usage | None) -> Usage | None:
        prices = self._backend.prices
        return usage if usage is None or prices is None else replace(usage, cost=prices.cost(usage))


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, for services that leave it on, and whether there was one."""
    places = [place for mark in stop if (place := text.find(mark)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
