"""The wall clock jumps back and forth by hours: runs stay in order, nothing waits longer and nothing times out for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.store import find_run, read_record
from tests.faults.conftest import Typed
from tests.faults.project import NULL, Project, assert_whole, rows_of
from tests.faults.server import FaultyServer
from tests.faults.test_service import TIMEOUT_S, openai

HOUR = 3600
JUMPS = (0, 5 * HOUR, -7 * HOUR, 30 * 24 * HOUR)
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

/* Seconds that CLOCK_JUMPS ("0,18000,-25200") adds to the wall clock: the next of them every 50 ms. */
static long offset(void) {
    static int (*real)(clockid_t, struct timespec *);
    struct timespec now;
    long jumps[8], n = 0;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    const char *at = getenv("CLOCK_JUMPS");
    while (at && *at && n < 8) {
        char *end;
        jumps[n++] = strtol(at, &end, 10);
        at = *end ? end + 1 : end;
    }
    real(CLOCK_MONOTONIC, &now);
    return n ? jumps[(now.tv_sec * 20 + now.tv_nsec / 50000000) % n] : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, time);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return code;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    int code = clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return code;
}
"""

Clock = Callable[..., Mapping[str, str]]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """``clock(0, 18000)``: the environment of a process whose wall clock jumps between so many seconds off, every 50 ms."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a clock can be set for one process on Linux with a C compiler only")
    folder = tmp_path_factory.mktemp("clock")
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE, encoding="utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return lambda *jumps: {"LD_PRELOAD": str(library), "CLOCK_JUMPS": ",".join(map(str, jumps))}


def test_runs_stay_in_order(root: Path, typed: Typed, clock: Clock) -> None:
    """A run that is started when the clock has gone back is the latest all the same."""
    project = Project.at(root, 20, NULL)
    ahead = project.run(environment=clock(5 * HOUR))
    assert ahead.code == 0, ahead.err
    (first,) = project.folders()
    stamp = time.strptime(first.name[:15], "%Y%m%dT%H%M%S")
    assert time.mktime(stamp) - time.mktime(time.gmtime()) > 4 * HOUR, "the clock did not jump"
    said = typed(project)
    assert said.code == 0, said.err
    assert project.folders()[0] == first
    assert find_run(root / "results", "latest") == project.folders()[1]


@pytest.mark.slow
def test_a_clock_that_jumps_while_a_service_answers(root: Path, clock: Clock) -> None:
    """Time-outs, waits, latencies and the budget of seconds go by a clock of their own."""
    faults = {"hang": 0.05, "429_seconds": 0.1, "500": 0.1}
    with FaultyServer(faults, latency_s=0.01, seed=1) as server:
        project = Project.at(root, 150, openai(server), "budget: {max_seconds: 120}")
        began = time.monotonic()
        said = project.run("--json", environment=clock(*JUMPS))
        seconds = time.monotonic() - began
        assert said.code == 0, said.err
        trouble = sum(seen.fault != "" for seen in server.seen)
        assert trouble > 20
        assert len(server.seen) == 150 + trouble, "something timed out for the clock"
    rows = assert_whole(project, project.folder)
    assert all(0.01 <= row["latency_s"] < TIMEOUT_S + 1 for row in rows)
    assert 0 < read_record(project.folder).timings["seconds"] < seconds
    assert json.loads(said.out)["run_id"] == project.folder.name


@pytest.mark.slow
def test_a_run_that_goes_on_before_it_began(root: Path, typed: Typed, clock: Clock) -> None:
    """Stopped by its budget on a clock that is ahead, gone on with on one that is behind, with another run in between."""
    with FaultyServer(latency_s=0.01) as server:
        project = Project.at(root, 120, openai(server, concurrency=4), "budget: {max_tokens: 300}")
        assert project.run(environment=clock(5 * HOUR)).code == 4
        asked = len(server.seen)
        (unfinished,) = project.folders()
        project.configure(openai(server, concurrency=4))
        said = project.run(environment=clock(-7 * HOUR))
        assert said.code == 0, said.err
        assert f"{asked} resumed" in said.err
        assert project.folders() == [unfinished]
        assert max(server.counts.values()) == 1
        assert typed(project).code == 0
    assert find_run(root / "results", "latest~1") == unfinished
    for folder in project.folders():
        assert len(rows_of(folder)) == 120
        assert_whole(project, folder)
