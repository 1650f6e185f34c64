"""A service on loopback that speaks the OpenAI protocol and plain JSON, always answers the same, and fails as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

ALWAYS = ("400_context", "401")
"""Faults that a request has at every attempt or at none."""
THROTTLED = ("429", "429_seconds", "429_date", "429_absurd", "429_forever")
BROKEN = ("500", "502", "503", "html", "200_error", "reset", "hang", "drip", "cut_body", "cut_stream")
UNREADABLE = ("half_json", "short_stream", "empty", "wrong_schema", "no_choices")
HARMLESS = ("slow", "wrong_type", "twice", "second_response")
FAULTS = (*ALWAYS, *THROTTLED, *BROKEN, *UNREADABLE, *HARMLESS)
"""What can be injected.

- 400_context, 401: refused with an error document.
- 429: "too many requests" without ``Retry-After``; 429_seconds, 429_date: with one; 429_absurd: with one that is no time;
  429_forever: with thirty years.
- 500, 502, 503: with an error document; html: 502 with a page of HTML. 200_error: success, and an error document (event).
- reset: the connection is reset instead of an answer. hang: no answer, ever. drip: a byte every ``slow_s``, so that it is never
  whole in time. slow: the right answer, its first byte after ``slow_s``.
- cut_body, cut_stream: the connection closes half-way through. half_json, short_stream: half of it, as if it were the whole.
- empty: no body. wrong_schema: a JSON list. no_choices: neither choices nor an answer.
- wrong_type: the right answer as text/html: to be taken or to be asked for again.
- twice: the document two times in one body, to be asked for again; of a stream the last two events, which does no harm.
- second_response: the right answer, and behind it on the same connection a second response, with a wrong text, unasked for.
"""

_ABSURD = ("soon", "-5", "nan", "1e999", "", "0x10")
_FOREVER = "1000000000"
_WRONG = "the second response that nobody asked for"


def said(prompt: str) -> str:
    """What the service answers to a prompt: its last word, capitalised, and a hash of all of it."""
    last = prompt.split()[-1].strip("?!.,:") if prompt.split() else "nothing"
    return f"{last.upper()} {hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came: ``body`` is the hash of its JSON, ``attempt`` counts those with the same from 1 on.

    ``fault``: what was injected, "outage" while the service is down, "" for the right answer. ``key``: whether an
    ``Authorization`` header came with it (never its value). ``at``: seconds on the monotonic clock.
    """

    path: str
    body: str
    prompt: str
    attempt: int
    fault: str
    key: bool
    at: float
    document: Mapping[str, Any]


class FaultyServer:
    """The service, from entering to leaving its context, in a thread of its own.

    >>> with FaultyServer({"429": 0.1, "hang": 0.05}, seed=1) as server:  # doctest: +SKIP
    ...     server.url, server.ask_url

    ``faults`` gives each of FAULTS its share of the requests; which request has which is drawn from ``seed``, the body and its
    attempt, so a run over the same requests is the same whatever their order (``ALWAYS``: drawn from the body alone).

    ``url`` ("http://127.0.0.1:PORT/v1") takes POST chat/completions and completions, streamed or not, and GET models.
    ``ask_url`` takes POST of any JSON object with "question" and answers ``{"answer", "contexts": [question], "citations": [0],
    "usage": {"input_tokens", "output_tokens"}, "data": {"items": [{"text": answer}]}}``. The answer is ``said(prompt)`` (of the
    last message); tokens are words. ``logprobs`` are those of words: -len(word) / 10.

    Each answer takes ``latency_s`` and up to ``jitter_s`` more. ``capacity``: more requests than that at once are answered 429.
    ``api_key``: anything else is answered 401. ``tells_key``: its error messages repeat the key that came.

    Attributes may be changed while it runs: ``faults``, ``latency_s``, ``capacity``, ``api_key``, and ``outage``: "503",
    "reset", "hang" or "401", which everybody gets once ``outage_after`` requests were answered well; None: the service is
    back, and whoever hangs in the outage is let go with a reset.
    """

    def __init__(
        self, faults: Mapping[str, float] | None = None, *, seed: int = 0, latency_s: float = 0.0, jitter_s: float = 0.0,
        slow_s: float = 0.3, retry_after_s: float = 0.05, capacity: int | None = None, api_key: str | None = None,
        tells_key: bool = False, outage: str | None = None, outage_after: int = 0,
    ) -> None:  # fmt: skip
        unknown = set(faults or {}) - set(FAULTS)
        assert not unknown, f"unknown faults {unknown}"
        assert sum((faults or {}).values()) <= 1, "the shares sum to more than 1"
        self.faults, self.seed = dict(faults or {}), seed
        self.latency_s, self.jitter_s, self.slow_s, self.retry_after_s = latency_s, jitter_s, slow_s, retry_after_s
        self.capacity, self.api_key, self.tells_key = capacity, api_key, tells_key
        self.outage_after, self._outage = outage_after, outage
        self.seen: list[Seen] = []
        """Every request, in the order in which they came."""
        self.answered = 0
        """How many got the right answer."""
        self.in_flight = self.peak = 0
        """Requests that are being answered, and the most there ever were at once."""
        self.port = 0
        self._attempts: Counter[str] = Counter()

    # ── what a test asks ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ask_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ask"

    @property
    def counts(self) -> Counter[str]:
        """Requests by prompt."""
        return Counter(seen.prompt for seen in list(self.seen))

    @property
    def injected(self) -> Counter[str]:
        """Requests by what they got; "" for the right answer."""
        return Counter(seen.fault for seen in list(self.seen))

    @property
    def outage(self) -> str | None:
        return self._outage

    @outage.setter
    def outage(self, kind: str | None) -> None:
        self._outage = kind
        if kind is None:
            self._loop.call_soon_threadsafe(self._let_go)

    def wait_for(self, requests: int, timeout_s: float = 30.0) -> None:
        """Until so many requests came. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while len(self.seen) < requests:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.seen)} requests came in {timeout_s} s, waited for {requests}")
            time.sleep(0.002)

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> FaultyServer:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="faulty-server", daemon=True)
        self._thread.start()
        assert started.wait(10), "the server does not start"
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server does not end"

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._live(started))
        self._loop.close()

    async def _live(self, started: threading.Event) -> None:
        self._closing, self._back = asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        started.set()
        await self._closing.wait()
        self._back.set()
        await runner.cleanup()

    def _let_go(self) -> None:
        self._back.set()
        self._back = asyncio.Event()

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [{"id": "echo", "object": "model"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        document = await request.json()
        prompt = _prompt(document)
        body = hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=8).hexdigest()
        self._attempts[body] += 1
        fault = self._draw(request, body, attempt := self._attempts[body])
        key = "Authorization" in request.headers
        self.seen.append(Seen(request.path, body, prompt, attempt, fault, key, time.monotonic(), document))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.latency_s + self.jitter_s * self._random(body, attempt, "jitter").random())
            response = await self._respond(request, _Reply(request.path, document, prompt), fault, self._random(body, attempt))
        finally:
            self.in_flight -= 1
        self.answered += fault in ("", *HARMLESS)
        return response

    def _draw(self, request: web.Request, body: str, attempt: int) -> str:
        if self._outage is not None and self.answered >= self.outage_after:
            return "outage"
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return "401"
        if self.capacity is not None and self.in_flight >= self.capacity:
            return "429"
        for permanent, draw in ((True, self._random(body).random()), (False, self._random(body, attempt).random())):
            for fault, share in self.faults.items():
                if (fault in ALWAYS) == permanent:
                    if draw < share:
                        return fault
                    draw -= share
        return ""

    def _random(self, *what: object) -> random.Random:
        return random.Random(repr((self.seed, *what)))

    async def _respond(self, request: web.Request, reply: _Reply, fault: str, draw: random.Random) -> web.StreamResponse:
        if fault == "outage":
            return await self._out_of_order(request)
        key = f": {request.headers.get('Authorization')}" if self.tells_key else ""
        if fault in THROTTLED:
            return _error(429, f"Rate limit reached{key}", self._retry_after(fault, draw))
        if fault == "401":
            return _error(401, f"Incorrect API key provided{key}")
        if fault == "400_context":
            return _error(400, f"This model's maximum context length is 16 tokens{key}", code="context_length_exceeded")
        if fault in ("500", "502", "503"):
            return _error(int(fault), f"The server had an error while processing your request{key}")
        if fault == "html":
            return web.Response(status=502, text=f"<html><h1>502 Bad Gateway{key}</h1></html>", content_type="text/html")
        if fault == "hang":
            return await self._hang(request, self._closing)
        if fault == "reset":
            return _reset(request)
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        return await _send(request, reply, fault, self.slow_s, self._closing)

    async def _out_of_order(self, request: web.Request) -> web.StreamResponse:
        if self._outage == "reset":
            return _reset(request)
        if self._outage == "hang":
            return await self._hang(request, self._back)
        return _error(int(self._outage or 503), "The service is down")

    async def _hang(self, request: web.Request, until: asyncio.Event) -> web.StreamResponse:
        while not until.is_set() and request.transport is not None and not request.transport.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), 0.05)
        return _reset(request)

    def _retry_after(self, fault: str, draw: random.Random) -> Mapping[str, str]:
        value = {
            "429_seconds": f"{self.retry_after_s:g}", "429_date": email.utils.formatdate(time.time() + 1, usegmt=True),
            "429_absurd": draw.choice(_ABSURD), "429_forever": _FOREVER,
        }.get(fault)  # fmt: skip
        return {} if value is None else {"Retry-After": value}


# ── how answers look ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Reply:
    """The right answer to one request, and ways to say it."""

    path: str
    asked: Mapping[str, Any]
    prompt: str

    @property
    def is_stream(self) -> bool:
        return bool(self.asked.get("stream"))

    @property
    def is_chat(self) -> bool:
        return self.path.endswith("chat/completions")

    @property
    def usage(self) -> dict[str, int]:
        read, written = len(self.prompt.split()), len(said(self.prompt).split())
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def document(self, text: str | None, *, choices: bool = True) -> dict[str, Any]:
        if not self.path.startswith("/v1/"):
            return self._plain(text) if choices else {"status": "ok"}
        found = [{"index": 0, "finish_reason": "stop", **self._choice(text), **self._logprobs(text or "")}] if choices else []
        return {**self._head(stream=False), "choices": found, "usage": self.usage}

    def events(self) -> Iterable[dict[str, Any]]:
        """The chunks of a stream: the role, the text in pieces of four characters, the end, the usage if it is asked for."""
        head, text = self._head(stream=True), said(self.prompt)
        pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
        if self.is_chat:
            yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
        for piece in pieces:
            choice = {"delta": {"content": piece}} if self.is_chat else {"text": piece}
            yield {**head, "choices": [{"index": 0, **choice, **self._logprobs(piece), "finish_reason": None}]}
        end: dict[str, Any] = {"delta": {}} if self.is_chat else {"text": ""}
        yield {**head, "choices": [{"index": 0, **end, "finish_reason": "stop"}]}
        if (self.asked.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": self.usage}

    def _head(self, *, stream: bool) -> dict[str, Any]:
        kind = ("chat.completion" + ".chunk" * stream) if self.is_chat else "text_completion"
        return {"id": "answer-1", "object": kind, "created": 1, "model": self.asked.get("model", "echo")}

    def _choice(self, text: str | None) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}

    def _logprobs(self, text: str) -> dict[str, Any]:
        if not self.asked.get("logprobs"):
            return {"logprobs": None}
        words, values = text.split(), [-len(word) / 10 for word in text.split()]
        if not self.is_chat:
            return {"logprobs": {"tokens": words, "token_logprobs": values}}
        content = [{"token": word, "logprob": value, "top_logprobs": []} for word, value in zip(words, values)]
        return {"logprobs": {"content": content}}

    def _plain(self, text: str | None) -> dict[str, Any]:
        usage = {"input_tokens": self.usage["prompt_tokens"], "output_tokens": self.usage["completion_tokens"]}
        data = {"items": [{"text": text}]}
        return {"answer": text, "contexts": [self.prompt], "citations": [0], "usage": usage, "data": data}


def _prompt(document: Mapping[str, Any]) -> str:
    """The last message, the prompt, or the question."""
    if document.get("messages"):
        return str(document["messages"][-1]["content"])
    return str(document.get("prompt", document.get("question", "")))


async def _send(request: web.Request, reply: _Reply, fault: str, slow_s: float, closing: asyncio.Event) -> web.StreamResponse:
    pieces = _pieces(reply, fault)
    if fault in ("half_json", "short_stream", "cut_body", "cut_stream"):
        pieces = _half(pieces)
    kind = "text/html" if fault == "wrong_type" else "text/event-stream" if reply.is_stream else "application/json"
    response = web.StreamResponse(headers={"Content-Type": kind})
    if not reply.is_stream:
        response.content_length = sum(map(len, pieces)) + fault.startswith("cut_")
    if fault == "second_response":
        _hold_back(request, True)
    await response.prepare(request)
    if fault == "drip":
        await _drip(response, b"".join(pieces), slow_s, closing)
        return _reset(request)
    for piece in pieces:
        await response.write(piece)
    if fault in ("cut_body", "cut_stream"):
        return _reset(request, politely=True)
    await response.write_eof()
    if fault == "second_response" and request.transport is not None:
        other = json.dumps(reply.document(_WRONG)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(other)}\r\n\r\n"
        request.transport.write(head.encode() + other)
        _hold_back(request, False)
    return response


def _hold_back(request: web.Request, is_held: bool) -> None:
    """Makes what is written leave as one, so that a second response is there when the first one has been read."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_CORK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(is_held))


def _pieces(reply: _Reply, fault: str) -> list[bytes]:
    """What is written into the body, one after the other."""
    wrong: dict[str, Any] = {
        "wrong_schema": ["this", "is", "not", "it"], "no_choices": reply.document(None, choices=False),
        "200_error": _error_document("The server is overloaded"),
    }  # fmt: skip
    if fault == "empty":
        return []
    if not reply.is_stream:
        body = json.dumps(wrong.get(fault, reply.document(said(reply.prompt)))).encode()
        return [body, b"\n", body] if fault == "twice" else [body]
    events = [wrong[fault]] if fault in wrong else reply.events()
    pieces = [*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n"]
    return [*pieces, *pieces[-2:]] if fault == "twice" else pieces


def _half(pieces: list[bytes]) -> list[bytes]:
    """Half of the pieces and then half of the next."""
    middle = len(pieces) // 2
    return [*pieces[:middle], pieces[middle][: len(pieces[middle]) // 2]]


async def _drip(response: web.StreamResponse, body: bytes, slow_s: float, closing: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        for byte in body[:-1]:
            await response.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), slow_s)
                return


def _reset(request: web.Request, *, politely: bool = False) -> web.StreamResponse:
    """Close the connection under the request: with a reset, or as if all had been said."""
    transport = request.transport
    if transport is not None:
        if not politely:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        transport.close()
    return web.Response()


def _error(status: int, message: str, headers: Mapping[str, str] | None = None, *, code: str | None = None) -> web.Response:
    return web.json_response(_error_document(message, code), status=status, headers=headers)


def _error_document(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}
