"""An app of the user's that raises, hangs, ends the process, or is another one the next night."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Typed
from tests.faults.project import KEY_NAME, Project, assert_no_secret, assert_whole, needs_posix, question, rows_of
from tests.faults.server import said as says

APP = '''\
import hashlib, json, os, sys, time

def answer(fields):
    """What the service of these tests says, unless mood.json says otherwise for this sample."""
    prompt = fields["prompt"]
    number = prompt.split()[1].rstrip(":")
    with open("calls.txt", "a") as calls:
        calls.write(number + "\\n")
    mood = json.load(open("mood.json")).get(number, "well")
    if mood == "raises":
        raise RuntimeError("no idea, and my key is " + os.environ["FAULTY_API_KEY"])
    if mood == "exits":
        sys.exit(3)
    if mood == "interrupts":
        raise KeyboardInterrupt
    if mood == "hangs":
        time.sleep(600)
    if mood == "dies":
        time.sleep(1)
        os._exit(9)
    if mood == "says nothing":
        return None
    if mood == "says too much":
        return {"answer": 3, "contexts": "not a list"}
    last = prompt.split()[-1].strip("?!.,:")
    text = last.upper() + " " + hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()
    return text if mood == "well" else text + " " + mood
'''
MISSING = {
    "raises": "the app raised RuntimeError: no idea", "exits": "the app raised SystemExit",
    "interrupts": "the app raised KeyboardInterrupt", "hangs": "the app did not return within 0.5 s",
    "says nothing": "the app returned", "says too much": "the app returned",
}  # fmt: skip


def app_at(
    root: Path, n: int, moods: dict[int, str], more: str = "max_missing: 0.9", *, timeout_s: float = 0.5
) -> Project:
    """A project whose model is the app; every test's app is a module of another name, for they share this process."""
    name = f"app_{abs(hash(root)):x}"
    model = f"{{backend: python, app: '{name}:answer', limits: {{concurrency: 8, timeout_s: {timeout_s}}}}}"
    project = Project.at(root, n, model, more)
    (root / f"{name}.py").write_text(APP, encoding="utf-8")
    in_the_mood(project, moods)
    return project


def in_the_mood(project: Project, moods: dict[int, str]) -> None:
    (project.root / "mood.json").write_text(json.dumps(moods), encoding="utf-8")


def calls(project: Project) -> Counter[int]:
    path = project.root / "calls.txt"
    return Counter(map(int, path.read_text(encoding="utf-8").split())) if path.exists() else Counter()


def test_an_app_that_raises_exits_and_hangs(root: Path, typed: Typed) -> None:
    """Each costs its own sample, is said in its words without the key, and no call that hangs is waited for."""
    moods = dict(enumerate(MISSING))
    project = app_at(root, 40, moods)
    began = time.monotonic()
    said = typed(project)
    assert time.monotonic() - began < 10
    assert said.code == 0, said.err
    rows = assert_whole(project, project.folder, missing=len(MISSING))
    for row, expected in zip(rows, MISSING.values()):
        assert row["error"].startswith(expected), row["error"]
    assert calls(project) == Counter(range(40))
    assert_no_secret(project.root, said)


@pytest.mark.slow
def test_the_process_ends_while_calls_hang(root: Path) -> None:
    """Neither the run nor the end of its process waits for threads that nobody can end."""
    project = app_at(root, 30, {3: "hangs", 9: "hangs", 11: "raises"})
    began = time.monotonic()
    said = project.run()
    assert time.monotonic() - began < 15
    assert said.code == 0, said.err
    assert_whole(project, project.folder, missing=3)
    assert_no_secret(project.root, said)


@pytest.mark.slow
def test_an_app_that_only_hangs(root: Path, typed: Typed) -> None:
    """The run stops with exit code 4, after few calls, and goes on when the app is well again."""
    project = app_at(root, 200, dict.fromkeys(range(20, 200), "hangs"))
    said = typed(project)
    assert said.code == 4, said.err
    assert "have not returned within 0.5 s" in said.err
    assert "go on with: harness run" in said.err
    n_called = calls(project).total()
    assert n_called <= 20 + 16 + 2 * 8
    in_the_mood(project, {})
    (root / "calls.txt").unlink()
    said = typed(project)
    assert said.code == 0, said.err
    assert not set(calls(project)) & set(range(20)), "what was answered was asked again"
    lost = [row for row in rows_of(project.folder) if row["error"]]
    assert_whole(project, project.folder, missing=len(lost))
    assert len(lost) <= 16 + 8


@needs_posix
@pytest.mark.slow
def test_an_app_that_ends_the_process(root: Path, typed: Typed) -> None:
    """os._exit: nothing can be said; what was in the journal is not asked again when the app is mended."""
    project = app_at(root, 400, {350: "dies"}, timeout_s=5)
    said = project.run()
    assert said.code == 9
    known, called = project.journaled(), calls(project)
    assert 340 < known.total() <= called.total(), "what was answered a second before is not in the journal"
    in_the_mood(project, {})
    (root / "calls.txt").unlink()
    said = typed(project)
    assert said.code == 0, said.err
    assert f"{known.total()} resumed" in said.err
    assert {f"s{i}" for i in calls(project)} == {f"s{i}" for i in range(400)} - set(known)
    assert_whole(project, project.folder)


@pytest.mark.parametrize("version", [None, "1"], ids=["no version", "a version"])
def test_an_app_that_is_another_one_the_next_night(root: Path, typed: Typed, version: str | None) -> None:
    """Its answers come from the cache only where the config gives its state a name, and never under another one."""
    project = app_at(root, 20, {}, f'cache: {{version: "{version}"}}' if version else "")
    assert typed(project).code == 0
    in_the_mood(project, dict.fromkeys(range(20), "tonight"))
    said = typed(project)
    assert said.code == 0, said.err
    assert calls(project) == Counter(dict.fromkeys(range(20), 1 if version else 2))
    texts = [row["text"] for row in rows_of(project.folders()[1])]
    assert texts == [says(question(i)) + ("" if version else " tonight") for i in range(20)]
    if version:
        config = (root / "run.yaml").read_text(encoding="utf-8")
        (root / "run.yaml").write_text(config.replace('version: "1"', 'version: "2"'), encoding="utf-8")
        assert typed(project).code == 0
        assert calls(project) == Counter(dict.fromkeys(range(20), 2))
        assert all(row["text"].endswith(" tonight") for row in rows_of(project.folders()[2]))
    assert KEY_NAME not in said.err
