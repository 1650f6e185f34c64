"""A verdict told to a web server of our own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.gate.notify import tell
from harness.gate.policy import Notify


class Receiver(ThreadingHTTPServer):
    """Answers with each of ``codes`` in turn, the last one for good; keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.codes = [200]
        self.delay_s = 0.0
        self.told: list[tuple[str, dict[str, str], dict[str, object]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((self.path, dict(self.headers), json.loads(body)))
        time.sleep(self.server.delay_s)
        code = self.server.codes.pop(0) if len(self.server.codes) > 1 else self.server.codes[0]
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"{self.server.address}/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_post_of_json_with_what_the_environment_holds(receiver: Receiver) -> None:
    notify = Notify(f"{receiver.address}/${{HOOK}}", headers={"Authorization": "Bearer ${TOKEN}"})
    fault = tell(notify, {"verdict": "regressed", "rules": [1.5, None]}, {"HOOK": "nightly", "TOKEN": "s3cret"})
    assert fault is None
    ((path, headers, body),) = receiver.told
    assert (path, body) == ("/nightly", {"verdict": "regressed", "rules": [1.5, None]})
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer s3cret", "application/json")


@pytest.mark.parametrize(("codes", "calls", "fault"), [
    ([500, 204], 2, None), ([429, 503, 200], 3, None), ([500], 3, "HTTP 500"), ([404], 1, "HTTP 404"), ([302], 1, "HTTP 302"),
])  # fmt: skip
def test_what_is_tried_again(receiver: Receiver, codes: list[int], calls: int, fault: str | None) -> None:
    receiver.codes = codes
    found = tell(Notify(receiver.address), {}, {}, wait_s=0)
    assert found == (None if fault is None else f"notify: {receiver.address}: {fault}")
    assert len(receiver.told) == calls


def test_a_slow_server_is_given_up(receiver: Receiver) -> None:
    receiver.delay_s = 0.4
    assert tell(Notify(receiver.address), {}, {}, timeout_s=0.05, wait_s=0) == f"notify: {receiver.address}: timed out"


def test_nobody_there_and_no_secret_told(receiver: Receiver) -> None:
    port = receiver.server_address[1]
    receiver.shutdown()
    receiver.server_close()
    notify = Notify(f"http://127.0.0.1:{port}/${{TOKEN}}")
    fault = tell(notify, {}, {"TOKEN": "s3cret"}, wait_s=0)
    assert fault == f"notify: http://127.0.0.1:{port}/${{TOKEN}}: Connection refused"


@pytest.mark.parametrize(("notify", "environ", "fault"), [
    (Notify("https://example.org/${A}", headers={"X": "${B} ${A}"}), {}, "notify: the environment has no A, B"),
    (Notify("${HOOK}"), {"HOOK": "file:///etc/passwd"}, "notify: ${HOOK} is no http:// or https:// address"),
    (Notify("http://[::1/${T}"), {"T": "s3cret"}, "notify: http://[::1/${T} is no address"),
    (Notify("http://127.0.0.1:${P}"), {"P": "s3cret"}, "notify: http://127.0.0.1:${P}: InvalidURL"),
])  # fmt: skip
def test_what_cannot_be_told_at_all(notify: Notify, environ: dict[str, str], fault: str) -> None:
    assert tell(notify, {}, environ, wait_s=0) == fault
