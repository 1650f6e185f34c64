"""The ``python`` backend: finding a function, calling it, and outliving whatever it does."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BackendError, ConfigError, ServiceDown
from harness.models.limits import Limits
from harness.models.python import Python
from harness.protocols import Backend, Inspectable, Resources
from harness.types import Ask, Call, Generate, Key, Label, Output, Rank, Ranking, Request, Text, Usage

QUICK = Limits(concurrency=4, timeout_s=5, transport_retries=1, backoff_s=0.01)
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Write]:
    """Writes a module that no other test has; gives its name."""
    name = f"app_{abs(hash(request.node.nodeid))}"
    before = list(sys.path)

    def write(source: str) -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    yield write
    sys.modules.pop(name, None)
    assert sys.path == before


def ask(app: str, folder: Path, requests: Sequence[Request], limits: Limits = QUICK, **keys: Any) -> list[Output]:
    """The outputs in the order of the requests."""
    backend = Python(app, path=folder, limits=limits, **keys)
    backend.open(Resources(folder))
    try:
        calls = [Call(Key(str(i)), request) for i, request in enumerate(requests)]
        outputs = {output.key.sample_id: output for batch in backend.batches(calls) for output in backend.run(batch)}
    finally:
        backend.close()
    return [outputs[str(i)] for i in range(len(requests))]


def questions(*texts: str) -> list[Ask]:
    return [Ask({"question": text}) for text in texts]


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

APPS = """
    import asyncio, functools

    def shout(fields):
        return {"answer": fields["question"].upper(), "contexts": ["c"], "usage": {"input_tokens": 3, "output_tokens": 2}}

    async def wait(fields):
        await asyncio.sleep(0)
        return shout(fields)

    class Rag:
        async def __call__(self, fields):
            return shout(fields)
        def answer(self, fields):
            return shout(fields)

    rag = Rag()
    bound = functools.partial(wait)
    hidden = lambda fields: wait(fields)
"""


@pytest.mark.parametrize("function", ["shout", "wait", "rag", "rag.answer", "bound", "hidden"])
def test_functions_of_every_kind(function: str, write: Write, tmp_path: Path) -> None:
    outputs = ask(f"{write(APPS)}:{function}", tmp_path, questions("one", "two"))
    assert [output.answer for output in outputs] == [Text("ONE", contexts=("c",)), Text("TWO", contexts=("c",))]
    assert {output.usage for output in outputs} == {Usage(3, 2)}
    assert all(output.timing is not None and output.error is None for output in outputs)


def test_each_request_gets_its_own_fields(write: Write, tmp_path: Path) -> None:
    app = write("""
        def app(fields):
            if "query" in fields:
                return ["d2", "d1"][: fields["k"]]
            if "choices" in fields:
                return {"label": fields["choices"][1]}
            return fields["prompt"] if "prompt" in fields else fields["question"]
    """)
    requests = [Ask({"question": "q"}), Ask({"question": "q"}, ("a", "b")), Generate("p"), Rank("q", 1, "")]
    outputs = ask(f"{app}:app", tmp_path, requests)
    assert [output.answer for output in outputs] == [Text("q"), Label("b"), Text("p"), Ranking(("d2",), (1.0,))]


def test_it_works_inside_a_running_loop(write: Write, tmp_path: Path) -> None:
    app = f"{write(APPS)}:wait"

    async def notebook() -> list[Output]:
        return ask(app, tmp_path, questions("one"))

    assert asyncio.run(notebook())[0].answer == Text("ONE", contexts=("c",))


def test_the_limit_holds_for_threads(write: Write, tmp_path: Path) -> None:
    app = write("""
        import threading, time
        at_once, most, threads, lock = 0, 0, set(), threading.Lock()
        def app(fields):
            global at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
                threads.add(threading.get_ident())
            time.sleep(0.01)
            with lock:
                at_once -= 1
            return f"{most} {len(threads)}"
    """)
    many = ask(f"{app}:app", tmp_path, questions(*"abcdefghijkl"), Limits(concurrency=3))
    assert max(output.answer.text.split()[0] for output in many if isinstance(output.answer, Text)) == "3"
    sys.modules.pop(app)
    alone = ask(f"{app}:app", tmp_path, questions(*"abcdef"), Limits(concurrency=1))
    assert {output.answer for output in alone} == {Text("1 1")}  # one call at a time, always in the same thread


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────

BAD = """
    import asyncio, sys, time, urllib.request
    calls = {}

    def app(fields):
        question = fields["question"]
        calls[question] = calls.get(question, 0) + 1
        if question == "missing key":
            return fields["nothing"]
        if question == "exit":
            sys.exit(3)
        if question == "stop":
            raise StopIteration("enough")
        if question == "key":
            raise ValueError("bad key sk-0123456789abcdef, sorry")
        if question == "told key":
            return {"error": "bad key " + "x" * 980 + "sk-0123456789abcdef"}
        if question == "shown key":
            return {"answer": ["sk-0123456789abcdef"]}
        if question == "interrupt":
            raise KeyboardInterrupt
        if question == "surrogates":
            raise ValueError("\\udcff")
        if question == "nothing":
            return None
        if question == "generator":
            return (x for x in "ab")
        if question == "broken repr":
            return Broken()
        if question == "refused":
            urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)
        if question == "back soon" and calls[question] == 1:
            try:
                raise ConnectionResetError("gone")
            except OSError as error:
                raise RuntimeError("the index does not answer") from error
        return question

    class Broken:
        def __repr__(self):
            raise RuntimeError

    async def awaited(fields):
        return app(fields)

    def count(fields):
        return str(calls[fields["question"]])
"""
SAID = {
    "missing key": "the app raised KeyError: 'nothing' ({}.py, line 9)",
    "exit": "the app raised SystemExit: 3 ({}.py, line 11)",
    "stop": "the app raised StopIteration: enough ({}.py, line 13)",
    "key": "the app raised ValueError: bad key [key], sorry ({}.py, line 15)",
    "interrupt": "the app raised KeyboardInterrupt ({}.py, line 21)",
    "surrogates": "the app raised ValueError: \\udcff ({}.py, line 23)",
    "told key": f"bad key {'x' * 980}[key]",
    "shown key": "the app returned no answer: answer must be a string, got ['[key]']",
    "nothing": "the app returned no answer: expected a text, or a mapping with answer, label, value, …, got null",
    "generator": "the app returned no answer: expected a text, or a mapping with answer, label, value, …, got <generator",
    "broken repr": "the app returned no answer: expected a text, or a mapping with answer, label, value, …, got a Broken whose",
    "refused": "given up after 2 attempts",
}


@pytest.mark.parametrize("function", ["app", "awaited"])
def test_an_exception_costs_its_own_sample(
    function: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789abcdef")
    app = write(BAD)
    asked = [*SAID, "back soon", "fine"]
    outputs = dict(zip(asked, ask(f"{app}:{function}", tmp_path, questions(*asked))))
    for question, said in SAID.items():
        if (function, question) != ("awaited", "stop"):  # in a coroutine it is a RuntimeError
            assert outputs[question].answer is None
            assert (outputs[question].error or "").startswith(said.format(app)), outputs[question].error
    assert outputs["stop"].error is not None
    assert "Connection refused" in (outputs["refused"].error or "")
    assert outputs["back soon"].answer == Text("back soon")
    assert outputs["fine"].answer == Text("fine")
    counted = {key: sys.modules[app].calls[key] for key in asked}
    assert counted == {**dict.fromkeys(asked, 1), "refused": 2, "back soon": 2}


def test_a_request_ends_at_its_deadline_whatever_the_app_does(write: Write, tmp_path: Path) -> None:
    app = write("""
        import time
        def app(fields):
            if fields["question"] == "hang":
                time.sleep(3)
            if fields["question"] == "fail":
                raise ConnectionError("gone")
            return "fine"
    """)
    limits = Limits(concurrency=4, deadline_s=0.4, transport_retries=1000, backoff_s=0.02)
    began = time.monotonic()
    failed, hung, fine = ask(f"{app}:app", tmp_path, questions("fail", "hang", "fine"), limits)
    assert time.monotonic() - began < 2
    assert "at the end of limits.deadline_s = 0.4" in (failed.error or "")
    assert hung.error == "the app did not return within 0.38 s (limits.deadline_s)"
    assert fine.answer == Text("fine")


HANGS = """
    import asyncio, threading, time
    release = threading.Event()

    def sync(fields):
        if "hang" in fields["question"]:
            release.wait(30)
            print("late")
        return fields["question"]

    async def polite(fields):
        if "hang" in fields["question"]:
            await asyncio.sleep(30)
        return fields["question"]

    async def blocking(fields):
        return sync(fields)

    async def threaded(fields):
        return await asyncio.to_thread(sync, fields)
"""


@pytest.mark.parametrize("function", ["sync", "polite", "blocking", "threaded"])
def test_a_call_that_hangs_is_an_error_and_is_left_behind(
    function: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, before = write(HANGS), threading.enumerate()
    started = time.monotonic()
    outputs = ask(f"{app}:{function}", tmp_path, questions("hang 1", "a", "b"), Limits(concurrency=1, timeout_s=0.5))
    assert time.monotonic() - started < 4
    error = "the app did not return within 0.5 s (limits.timeout_s)"
    assert [output.error for output in outputs] == [error, None, None]
    assert [output.answer for output in outputs[1:]] == [Text("a"), Text("b")]
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert bool(left) == (function != "polite")
    assert all(thread.daemon for thread in left)  # the end of the process does not wait for them
    print("ours")
    sys.modules[app].release.set()
    for thread in left:
        thread.join(2)
    assert capsys.readouterr().out == "ours\n"  # what it prints when it wakes up does not get between our lines


def test_an_app_that_does_nothing_but_hang_stops_the_run(write: Write, tmp_path: Path) -> None:
    app = write(HANGS)
    limits = Limits(concurrency=8, timeout_s=0.05)
    with pytest.raises(ServiceDown, match=r"16 calls of \S+ in a row have not returned within 0\.05 s"):
        ask(f"{app}:polite", tmp_path, questions(*[f"hang {i}" for i in range(64)]), limits)


def test_an_app_that_hangs_now_and_then_costs_those_samples(write: Write, tmp_path: Path) -> None:
    asked = [f"hang {i}" if i % 2 else f"{i}" for i in range(40)]
    outputs = ask(f"{write(HANGS)}:polite", tmp_path, questions(*asked), Limits(concurrency=4, timeout_s=0.15))
    assert [output.error is not None for output in outputs] == ["hang" in question for question in asked]


def test_what_an_app_prints_goes_to_stderr(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = write("""
        import sys, threading
        print("imported")
        def app(fields):
            print("asked")
            own = threading.Thread(target=print, args=["from a thread of its own"])
            own.start()
            own.join()
            sys.stdout.writelines(["lines\\n"])
            return "x"
    """)
    stdout = sys.stdout
    ask(f"{app}:app", tmp_path, questions("one"))
    assert sys.stdout is stdout
    print("ours")
    captured = capsys.readouterr()
    assert captured.out == "ours\n"
    assert captured.err == "imported\nasked\nfrom a thread of its own\nlines\n"


def test_standard_output_comes_back_in_whatever_order_apps_close(write: Write, tmp_path: Path) -> None:
    app, stdout = write(APPS), sys.stdout
    first, second = (Python(f"{app}:shout", path=tmp_path) for _ in range(2))
    first.open(Resources(tmp_path))
    second.open(Resources(tmp_path))
    first.close()
    assert sys.stdout is not stdout
    second.close()
    second.close()
    assert sys.stdout is stdout


# ── finding it ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("app", ["rag", "rag:", ":answer", "rag.py:answer()", "rag answer:f", "../rag:answer"])
def test_the_form_of_a_name(app: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"app must have the form package\.module:function, got "):
        Python(app, path=tmp_path)


def test_a_module_that_is_not_there(write: Write, tmp_path: Path) -> None:
    name = write(APPS)
    with pytest.raises(ConfigError) as caught:
        Python(f"{name}x:shout", path=tmp_path)
    assert f"no module '{name}x'; did you mean '{name}'?: looked in {tmp_path}; `path:` names" in str(caught.value)


def opening(app: str, folder: Path) -> str:
    """The error of opening it; nothing of it is left behind."""
    stdout, path = sys.stdout, list(sys.path)
    with pytest.raises(BackendError) as caught:
        Python(app, path=folder).open(Resources(folder))
    assert sys.stdout is stdout
    assert sys.path == path
    return str(caught.value)


def test_what_is_wrong_with_a_module_or_a_function(write: Write, tmp_path: Path) -> None:
    name = write(APPS + "\n    fine = 3\n")
    assert opening(f"{name}:shuot", tmp_path).endswith(f"{name} has no function 'shuot'; did you mean 'shout'?")
    assert opening(f"{name}:Rag", tmp_path).endswith("must be a function of one mapping, and is a class")
    assert opening(f"{name}:fine", tmp_path).endswith("must be a function of one mapping, and is of type int")
    (tmp_path / "apps_of_mine").mkdir()
    (tmp_path / "apps_of_mine" / "__init__.py").touch()
    (tmp_path / "apps_of_mine" / "rag.py").write_text("import no_such_package_at_all")
    (tmp_path / "apps_of_mine" / "quits.py").write_text("import sys\nsys.exit('no config')")
    said = opening("apps_of_mine.rga:f", tmp_path)
    assert "the package 'apps_of_mine' has no module 'rga'; did you mean 'rag'?" in said
    said = opening("apps_of_mine.rag:f", tmp_path)
    assert "cannot be imported: ModuleNotFoundError: No module named 'no_such_package_at_all' (rag.py, line 1)" in said
    assert "cannot be imported: SystemExit: no config (quits.py, line 2)" in opening("apps_of_mine.quits:f", tmp_path)


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken(write: Write, tmp_path: Path) -> None:
    name = write(APPS)
    ask(f"{name}:shout", tmp_path, questions("one"))
    other = tmp_path / "other"
    other.mkdir()
    (other / f"{name}.py").write_text("def shout(fields): return 'other'")
    assert f"but this process has already imported '{name}' from {tmp_path / name}.py" in opening(f"{name}:shout", other)


def test_it_is_found_from_the_current_directory_and_the_project_above(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write(APPS)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    backend = Python(f"{name}:shout")
    backend.open(Resources(tmp_path))
    [output] = backend.run([Call(Key("1"), Ask({"question": "one"}))])
    backend.close()
    assert output.answer == Text("ONE", contexts=("c",))


def test_what_is_known_without_importing_it(write: Write, tmp_path: Path) -> None:
    backend = Python(f"{write('raise ValueError')}:app", path=tmp_path, reasoning=("<t>", "</t>"))
    assert isinstance(backend, Backend)
    assert isinstance(backend, Inspectable)
    inspector = backend.inspect(Resources(tmp_path))
    assert inspector.signature() == backend.signature()
    assert str(tmp_path) not in str(backend.signature())
    assert inspector.render(Ask({"question": "q"}, ("a", "b"))) == {
        "app": backend.app, "input": {"question": "q", "choices": ["a", "b"]},
    }  # fmt: skip
