"""``harness noise``: what moves from run to run, taken apart from what samples do by themselves."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.noise import measure_noise
from harness.store.noise import read_noise
from tests.cli.projects import Harness, write_lines

N = 40
APP = """\
import pathlib

RUN = pathlib.Path(__file__).with_name("run.txt")
WRONG = {wrong}


def answer(question):
    run = len(RUN.read_text()) if RUN.exists() else 0
    if question["id"] == "0":
        RUN.write_text("x" * (run + 1))
        run += 1
    return "no" if WRONG(run, int(question["id"])) else "yes"
"""
TOGETHER = "lambda run, i: run % 2 == 0 and i % 10 != 0"
"""Every other run misses nine samples of ten: all move together."""
EACH_BY_ITSELF = "lambda run, i: (run * 7919 + i * 104729) % 1009 % 2 == 0"
"""Every run misses another half."""
STEADY = "lambda run, i: i % 10 < 3"
"""The standard deviation of three values of 0.7 is 1e-16 where their rounded mean is taken off."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "configs").mkdir()
    write_lines(tmp_path / "tasks" / "rows.jsonl", [{"id": str(i), "answer": "yes"} for i in range(N)])
    (tmp_path / "tasks" / "words.yaml").write_text(
        'task: words\nsuite: generation\ndata: {format: jsonl, path: rows.jsonl}\n'
        'sample: {id: "{{ id }}", input: {id: "{{ id }}"}, references: ["{{ answer }}"]}\nmetrics: [exact_match, bleu]\n')
    return tmp_path


def write_app(project: Path, name: str, wrong: str) -> None:
    (project / f"{name}.py").write_text(APP.format(wrong=wrong))
    (project / "configs" / "app.yaml").write_text(
        f'models: {{mine: {{backend: python, app: "{name}:answer", limits: {{concurrency: 1}}}}}}\ntasks: [tasks/words.yaml]\n')


def test_what_all_samples_do_together_is_run_to_run(project: Path, harness: Harness) -> None:
    write_app(project, "together", TOGETHER)
    said = harness("noise", "configs/app.yaml", "--repeats", "4", "--json")
    assert said.code == 0, said.err
    found = {row["metric"]: row for row in said.json["noise"]}
    values = [1.0, 0.1, 1.0, 0.1]
    assert found["exact_match"]["values"] == pytest.approx(values)
    assert found["exact_match"]["sd"] == pytest.approx(statistics.stdev(values))
    # Samples 0, 10, 20, 30 never move and the others all do: nearly nothing of the variance of the runs is left to chance.
    assert found["exact_match"]["variance"] == pytest.approx(statistics.variance(values), rel=0.02)
    kept = read_noise(project / "results", "app")["mine"]["words"]["exact_match"]
    assert (kept.variance, kept.n) == (found["exact_match"]["variance"], N)


def test_what_each_sample_does_by_itself_is_not(project: Path, harness: Harness) -> None:
    write_app(project, "apart", EACH_BY_ITSELF)
    assert harness("noise", "configs/app.yaml", "--repeats", "6").code == 0
    kept = read_noise(project / "results", "app")["mine"]["words"]["exact_match"]
    assert kept.sd > 0.01
    assert kept.variance < 0.5 * kept.sd**2


def test_an_app_that_never_changes_has_none(project: Path, harness: Harness) -> None:
    write_app(project, "steady", STEADY)
    assert harness("noise", "configs/app.yaml", "--repeats", "3").code == 0
    kept = read_noise(project / "results", "app")["mine"]["words"]
    assert {metric: (found.variance, found.sd) for metric, found in kept.items()} == {"exact_match": (0, 0), "bleu": (0, 0)}


def test_runs_that_are_there_count_and_new_ones_do_not_where_that_is_said(project: Path, harness: Harness) -> None:
    write_app(project, "counted", TOGETHER)
    assert harness("noise", "configs/app.yaml", "--repeats", "2").code == 0
    assert len(harness("noise", "configs/app.yaml", "--repeats", "3", "--json").json["runs"]) == 3
    assert len(list((project / "results" / "noise" / "app").glob("*/run.json"))) == 3
    assert len(harness("noise", "configs/app.yaml", "--repeats", "2", "--new", "--json").json["runs"]) == 2
    assert len(list((project / "results" / "noise" / "app").glob("*/run.json"))) == 5


def test_the_runs_are_not_among_those_that_are_compared(project: Path, harness: Harness) -> None:
    write_app(project, "aside", STEADY)
    assert harness("noise", "configs/app.yaml", "--repeats", "2").code == 0
    assert "there are no finished runs" in harness("show", "latest").err


def test_the_next_command_is_one_that_can_be_typed(project: Path, harness: Harness) -> None:
    write_app(project, "next", STEADY)
    config = project / "configs" / "app.yaml"
    assert harness("noise", "configs/app.yaml", "--repeats", "2").out.splitlines()[-1] == "next: harness run configs/app.yaml"
    config.write_text(config.read_text() + "gate: {baseline: main, rules: [{max_drop: 0.1}]}\n")
    harness("run", "configs/app.yaml")
    said = harness("noise", "configs/app.yaml", "--repeats", "2")
    assert said.out.splitlines()[-1] == "next: harness gate latest:app"


def test_few_or_different_runs(project: Path, harness: Harness) -> None:
    write_app(project, "few", STEADY)
    assert harness("noise", "configs/app.yaml", "--repeats", "1").code == 2
    harness("run", "configs/app.yaml", "--new")
    harness("run", "configs/app.yaml", "--new", "--set", "seeds=[3]")
    runs = sorted(path.parent for path in (project / "results").glob("*/run.json"))
    with pytest.raises(UsageError, match="at least two runs"):
        measure_noise(runs[:1])
    with pytest.raises(UsageError, match="the same plan, got 2 plans"):
        measure_noise(runs)
