"""A service that fails: every sample is answered once or missing with its reason, in no more requests than were allowed."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.faults.conftest import Typed
from tests.faults.project import (
    KEY,
    KEY_NAME,
    Project,
    assert_goes_on,
    assert_no_secret,
    assert_whole,
    question,
)
from tests.faults.server import ALWAYS, BROKEN, FAULTS, HARMLESS, THROTTLED, UNREADABLE, FaultyServer, Seen

RETRIES = {"transport": 5, "rate_limit": 8, "format": 4}
KINDS = dict.fromkeys(BROKEN, "transport") | dict.fromkeys(THROTTLED, "rate_limit") | dict.fromkeys(UNREADABLE, "format")
PASSING = tuple(fault for fault in FAULTS if fault not in (*ALWAYS, "429_forever"))
"""What a request may get over."""
QUICK = tuple(fault for fault in PASSING if fault != "429_date")
"""The same without those that take a second at least."""
TIMEOUT_S = 1.0


def openai(server: FaultyServer, *, stream: bool = False, **limits: float) -> str:
    """The YAML of a model's entry."""
    settings = {
        "concurrency": 8, "timeout_s": TIMEOUT_S, "deadline_s": 30, "backoff_s": 0.02,
        **{f"{kind}_retries": n for kind, n in RETRIES.items()}, **limits,
    }  # fmt: skip
    inside = ", ".join(f"{key}: {value}" for key, value in settings.items())
    return (
        f'{{backend: openai, model: echo, base_url: "{server.url}", api_key_env: {KEY_NAME}, '
        f"stream: {str(stream).lower()}, limits: {{{inside}}}}}"
    )


def http(server: FaultyServer, **limits: float) -> str:
    """The same for a service that has a protocol of its own."""
    entry = openai(server, **limits)  # type: ignore[arg-type]
    return (
        f'{{backend: http, url: "{server.ask_url}", headers: {{Authorization: "Bearer ${{{KEY_NAME}}}"}}, '
        f'body: {{question: "{{{{ prompt }}}}"}}, answer: $.answer, contexts: "$.contexts[*]", '
        f"usage_input: $.usage.input_tokens, usage_output: $.usage.output_tokens, {entry[entry.index('limits:'):]}"
    )


def model(server: FaultyServer, how: str, **limits: float) -> str:
    return http(server, **limits) if how == "http" else openai(server, stream=how == "streamed", **limits)


def service(**how: float | bool | str | dict[str, float] | None) -> FaultyServer:
    """One that answers within 5 ms when it does, whose slow answers are still in time."""
    return FaultyServer(**{"latency_s": 0.002, "jitter_s": 0.003, "slow_s": TIMEOUT_S / 8, **how})  # type: ignore[arg-type]


def kind(seen: Seen) -> str | None:
    """The kind of trouble that a request had; None where it was answered (or refused for good)."""
    return "format" if seen.fault == "twice" and not seen.document.get("stream") else KINDS.get(seen.fault)


def assert_asked_within_budget(server: FaultyServer, project: Project) -> None:
    """Every sample was asked; none again after it was answered, nor after the retries of one kind of trouble were used up."""
    by_prompt: dict[str, list[str | None]] = defaultdict(list)
    for seen in server.seen:
        assert seen.key, "a request came without the key"
        by_prompt[seen.prompt].append("taken or not" if seen.fault == "wrong_type" else kind(seen))
    assert set(by_prompt) == {question(i) for i in range(project.n)}
    for prompt, kinds in by_prompt.items():
        history = [(seen.fault, round(seen.at - server.seen[0].at, 3)) for seen in server.seen if seen.prompt == prompt]
        assert None not in kinds[:-1], history
        used = {name: kinds.count(name) - n for name, n in RETRIES.items()}
        assert sum(max(0, over) for over in used.values()) <= 1, history


# ── what passes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["whole", "streamed", "http"])
def test_everything_at_once(root: Path, typed: Typed, how: str) -> None:
    shares = dict.fromkeys(QUICK, 0.4 / len(QUICK))
    with service(faults=shares, seed=3, tells_key=True) as server:
        project = Project.at(root, 60, model(server, how), "max_missing: 0.05")
        said = typed(project)
        assert said.code == 0, said.err
        assert sum(n for fault, n in server.injected.items() if fault) > 20, "too few faults for a test"
        assert_asked_within_budget(server, project)
    assert_whole(project, project.folder, missing=None)
    assert_no_secret(project.root, said)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "share"), [("whole", 0.05), ("whole", 0.3), ("streamed", 0.3), ("http", 0.3)])
@pytest.mark.parametrize("fault", PASSING)
def test_one_fault(root: Path, typed: Typed, fault: str, how: str, share: float) -> None:
    with service(faults={fault: share}, seed=1, tells_key=True) as server:
        n = {"429_date": 10, "hang": 16, "drip": 16}.get(fault, 40)
        project = Project.at(root, n, model(server, how), "max_missing: 0.1")
        said = typed(project)
        assert said.code == 0, said.err
        assert server.injected[fault] > 0, "no fault, no test"
        assert_asked_within_budget(server, project)
        given_up = sum(is_trouble for is_trouble in {seen.prompt: kind(seen) is not None for seen in server.seen}.values())
    assert_whole(project, project.folder, missing=given_up)
    assert_no_secret(project.root, said)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_everything_at_once_as_a_command(root: Path, seed: int) -> None:
    shares = dict.fromkeys(QUICK, 0.5 / len(QUICK)) | {"400_context": 0.05}
    with service(faults=shares, seed=seed, tells_key=True) as server:
        entry = openai(server, stream=bool(seed % 2), concurrency=16, timeout_s=2)
        project = Project.at(root, 90, entry, "max_missing: 0.2")
        said = project.run()
        assert said.code == 0, said.err
        assert_asked_within_budget(server, project)
        refused = {seen.prompt for seen in server.seen if seen.fault == "400_context"}
    rows = assert_whole(project, project.folder, missing=None)
    lost = {question(int(row["sample_id"][1:])) for row in rows if row["error"]}
    assert refused <= lost
    assert len(lost - refused) <= 4, Counter(row["error"] for row in rows)
    assert_no_secret(project.root, said)


def test_harmless_things_cost_no_second_request(root: Path, typed: Typed) -> None:
    """A second response on a connection answers nobody; a slow one is waited for; a stream may say its end twice."""
    with service(faults={fault: 0.25 for fault in HARMLESS if fault != "wrong_type"}, seed=2) as server:
        project = Project.at(root, 24, openai(server, stream=True))
        said = typed(project)
        assert said.code == 0, said.err
        assert {"slow", "twice", "second_response"} <= set(server.injected)
        assert len(server.seen) == 24
    assert_whole(project, project.folder)


# ── what does not pass ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_request_is_asked_once_and_missing(root: Path, typed: Typed) -> None:
    with service(faults={"400_context": 0.2}, seed=4, tells_key=True) as server:
        project = Project.at(root, 40, openai(server))
        said = typed(project)
        refused = server.injected["400_context"]
        assert refused > 2
        assert len(server.seen) == 40
    assert said.code == 4
    assert f"m × words: {refused} of 40 outputs missing: HTTP 400: This model's maximum context length" in said.err
    rows = assert_whole(project, project.folder, missing=refused)
    assert all("maximum context length" in row["error"] for row in rows if row["error"])
    assert_no_secret(project.root, said)


def test_retries_that_are_used_up_are_missing_rows(root: Path, typed: Typed) -> None:
    """With one retry and three answers in ten that break, one sample in ten is lost; exit code 4, and not one request more."""
    with service(faults={"reset": 0.3}, seed=5) as server:
        project = Project.at(root, 40, openai(server, transport_retries=1))
        said = typed(project)
        counts = server.counts
        lost = sum(seen.fault == "reset" and seen.attempt == 2 for seen in server.seen)
    assert max(counts.values()) == 2
    assert said.code == 4
    assert lost > 1
    rows = assert_whole(project, project.folder, missing=lost)
    assert all(row["error"].startswith("given up after 2 attempts; last: ") for row in rows if row["error"])
    assert all("reset by peer" in row["error"] for row in rows if row["error"])


def test_thirty_years_are_not_waited(root: Path, typed: Typed) -> None:
    with service(faults={"429_forever": 0.2}, seed=6) as server:
        project = Project.at(root, 40, openai(server))
        said = typed(project)
        refused = {seen.prompt for seen in server.seen if seen.fault}
        assert_asked_within_budget(server, project)
    rows = assert_whole(project, project.folder, missing=None)
    assert said.code == 4
    lost = [row for row in rows if row["error"]]
    assert {question(int(row["sample_id"][1:])) for row in lost} <= refused
    assert all("HTTP 429" in row["error"] for row in lost)


def test_a_refused_key_stops_the_run_at_once(root: Path, typed: Typed) -> None:
    with service(api_key="another", tells_key=True) as server:
        project = Project.at(root, 40, openai(server))
        said = typed(project)
        assert len(server.seen) <= 8
        assert said.code == 2
        assert f"openai backend: the service refuses the key in the environment variable {KEY_NAME}" in said.told
        assert len(said.told.splitlines()) == 1
        assert_no_secret(project.root, said)
        server.api_key = KEY
        said = typed(project)
    assert said.code == 0, said.err
    assert "going on with" not in said.err, "nothing was answered: nothing was left behind"
    assert_whole(project, project.folder)


# ── a service that goes away ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outage", ["reset", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("503", "hang"))])
def test_a_service_that_goes_down_and_comes_back(root: Path, typed: Typed, outage: str) -> None:
    with service(outage=outage, outage_after=15) as server:
        project = Project.at(root, 200, openai(server, transport_retries=2))
        said = typed(project)
        assert said.code == 4
        assert said.told.startswith("error: openai backend: the service is down: ")
        assert "go on with: harness run run.yaml" in said.told
        assert server.injected["outage"] <= (8 + 3) * (1 + 2), "three that were given up are enough to know"
        assert 15 <= assert_goes_on(server, project, typed) < 15 + 8


@pytest.mark.slow
def test_nobody_listens(root: Path, typed: Typed) -> None:
    with service() as server:
        project = Project.at(root, 40, openai(server))
    said = typed(project)
    assert said.code == 4
    assert "the service is down" in said.told
    assert_no_secret(project.root, said)


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("budget", "more", "what"),
    [
        ("max_tokens: 200", "max_tokens: 20000", "budget.max_tokens is 200 and "),
        pytest.param("max_cost: 0.0005", "max_cost: 1", "budget.max_cost is 0.0005 and ", marks=pytest.mark.slow),
        pytest.param("max_seconds: 0.4", "max_seconds: 60", "budget.max_seconds is 0.4 and ", marks=pytest.mark.slow),
    ],
)
def test_a_budget_that_is_spent_stops_cleanly(root: Path, typed: Typed, budget: str, more: str, what: str) -> None:
    """6 words read and 2 written a sample: 8 tokens, for 1e-6 × (6 + 2 · 10) = 2.6e-5."""
    with service(latency_s=0.05) as server:
        entry = openai(server, concurrency=4)[:-1] + ", prices: {input: 1, output: 10}}"
        project = Project.at(root, 100, entry, f"budget: {{{budget}}}")
        said = typed(project)
        assert said.code == 4, said.err
        assert f"stopped: {what}" in said.err
        assert said.err.rstrip().endswith("with: harness run run.yaml --cache-dir cache")
        asked = len(server.seen)
        assert asked == server.answered == project.journaled().total() < 60
        project.configure(entry, f"budget: {{{more}}}")
        said = typed(project)
        assert said.code == 0, said.err
        assert f"{asked} resumed" in said.err
        assert max(server.counts.values()) == 1
    assert_whole(project, project.folder)
