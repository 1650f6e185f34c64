"""Two runs of one config at once: both finish, each in a folder of its own, and neither spoils the other's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.conftest import Typed
from tests.faults.project import Project, assert_no_secret, assert_whole, ended, killed, needs_posix
from tests.faults.server import FaultyServer
from tests.faults.test_service import openai

OF_ITS_OWN = "has the same plan and is being worked on by another process; starting a run of its own"


def test_a_second_one_while_the_first_goes(root: Path, typed: Typed) -> None:
    with FaultyServer(latency_s=0.03) as server:
        project = Project.at(root, 120, openai(server))
        first = project.start()
        server.wait_for(1)
        second = typed(project)
        said = ended(first)
        assert said.code == second.code == 0, said.err + second.err
        assert OF_ITS_OWN in second.err
        assert set(server.counts.values()) == {2}
    one, other = project.folders()
    assert one != other
    for folder in (one, other):
        assert_whole(project, folder)
    assert_no_secret(project.root, said, second)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True], ids=["own answers", "answers shared"])
def test_three_from_the_start(root: Path, typed: Typed, shared: bool) -> None:
    """Begun in the same moment. With a version in the config they share what the first of them was answered."""
    with FaultyServer(latency_s=0.01) as server:
        project = Project.at(root, 300, openai(server), 'cache: {version: "1"}' if shared else "")
        for said in [ended(process) for process in [project.start() for _ in range(3)]]:
            assert said.code == 0, said.err
            assert "answer cache" not in said.err
        assert len(server.seen) <= 900
        assert shared or set(server.counts.values()) == {3}
        asked = len(server.seen)
        again = typed(project)
        assert again.code == 0, again.err
        assert len(server.seen) - asked == (0 if shared else 300)
    assert len(project.folders()) == 4
    for folder in project.folders():
        assert_whole(project, folder)


@pytest.mark.slow
@needs_posix
def test_two_want_to_go_on_with_the_same(root: Path) -> None:
    """One goes on with the unfinished run, the other starts its own; nothing that was answered in the first is asked by it."""
    with FaultyServer(latency_s=0.02) as server:
        project = Project.at(root, 400, openai(server))
        process = project.start()
        server.wait_for(100)
        project.wait_for_answers(process, 50)
        killed(process)
        known = project.journaled().total()
        both = [ended(process) for process in (project.start(), project.start())]
        assert [said.code for said in both] == [0, 0]
        assert sorted("going on with" in said.err for said in both) == [False, True]
        assert sum(f"{known} resumed" in said.err for said in both) == 1
    assert len(project.folders()) == 2
    for folder in project.folders():
        assert_whole(project, folder)
