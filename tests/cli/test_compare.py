"""``harness compare`` as it is typed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness import api
from tests.cli.projects import Harness, write_lines

LEVELS = ("easy", "hard")


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with finished runs of ``base`` (48 of 60 right) and ``cand`` (33: 15 lost, all of them hard)."""
    tmp_path = tmp_path_factory.mktemp("compared")
    rows = [{"id": f"q{i}", "question": f"Question {i}", "answer": f"yes{i}", "level": LEVELS[i % 2]} for i in range(60)]
    write_lines(tmp_path / "questions.jsonl", rows)
    (tmp_path / "capitals.yaml").write_text(
        "task: capitals\nsuite: generation\ndata: {format: jsonl, path: questions.jsonl}\n"
        'sample: {id: "{{ id }}", references: ["{{ answer }}"], slices: {level: "{{ level }}"}}\n'
        'prompt: {text: "Q: {{ question }}\\nA:"}\nmetrics: [exact_match, token_f1]\nprimary: exact_match\n'
    )
    right = {"base": lambda i: i < 48, "cand": lambda i: i < 48 and not (i % 2 and i < 30)}
    for name, of in right.items():
        write_lines(tmp_path / f"{name}.jsonl", [{"id": f"q{i}", "text": f"yes{i}" if of(i) else "no"} for i in range(60)])
        (tmp_path / f"{name}.yaml").write_text(
            f"models: {{m: {{backend: replay, path: {name}.jsonl}}}}\ntasks: [capitals.yaml]\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            api.run(f"{name}.yaml", cache_dir="cache")
    return tmp_path


@pytest.fixture
def runs(finished_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in."""
    shutil.copytree(finished_runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def ids_as_letters(text: str) -> str:
    for letter, config in (("A", "base"), ("B", "cand")):
        text = re.sub(rf"\d{{8}}T\d{{6}}\.\d{{3}}Z-{config}-[0-9a-f]{{4}}", letter, text)
    return text


def test_a_table_worst_first_with_what_explains_it(runs: Path, harness: Harness) -> None:
    said = harness("compare", "latest:base", "latest:cand")
    assert said.code == 0, said.err
    text = ids_as_letters(said.out)
    lines = text.splitlines()
    assert lines[:2] == ["a  base, run A", "b  cand, run B"]
    assert lines[3].split() == ["verdict", "task", "metric", "a", "b", "b", "-", "a", "p", "adjusted", "MDE", "n"]
    numbers = r"0\.800? +0\.550? +-0\.250? \[-0\.\d+, -0\.\d+\] +<0\.0001 +0\.0001 +0\.\d+ +60"
    assert re.fullmatch(rf"worse +capitals +exact_match ↑\* +{numbers}", lines[4].rstrip()), lines[4]
    assert "worse    capitals  level=hard  exact_match ↑" in text
    assert "level=easy" not in text
    assert "capitals: by exact_match 15 lost, 0 won, 45 as before." in lines
    assert "p holm over 2 comparisons, better or worse where it is below 0.05" in text
    assert "what else is different, a → b" in lines
    assert any(line.startswith("  model: content ") for line in lines)
    assert lines[-1] == "next: harness compare latest:base latest:cand --flips capitals"


def test_a_narrow_terminal_keeps_names_whole(runs: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "75")
    lines = harness("compare", "latest:base", "latest:cand").out.splitlines()
    assert lines[3].split() == ["verdict", "task", "metric", "a", "b", "b", "-", "a", "adjusted"]
    assert lines[4].split()[:4] == ["worse", "capitals", "exact_match", "↑*"]
    assert re.fullmatch(r" +\[-0\.\d+, -0\.\d+\] *", lines[5])


def test_json_and_nothing_else(runs: Path, harness: Harness) -> None:
    document = harness("compare", "latest:base", "latest:cand", "--json").json
    assert document["schema"] == 1
    first = document["comparisons"][0]
    assert {"task", "metric", "a", "b", "difference", "low", "high", "p_value", "p_adjusted", "mde", "verdict"} <= first.keys()
    assert (first["task"], first["metric"], first["verdict"], first["n"]) == ("capitals", "exact_match", "worse", 60)
    assert (first["a"], first["b"], first["difference"]) == pytest.approx((0.8, 0.55, -0.25))
    assert first["p_value"] == pytest.approx(2 * 0.5**15)
    assert [run["name"] for run in document["runs"]] == ["base", "cand"]
    assert [(found["won"], found["lost"], found["equal"]) for found in document["flips"]] == [(0, 15, 45)]
    assert document["pairing"][0]["n_pairs"] == 60
    assert [found["slice"] for found in document["slices"] if found["verdict"] == "worse"] == ["level=hard"]
    kinds = {change["kind"] for change in document["provenance"][0]["changes"]}
    assert {"model", "config"} <= kinds


def test_flips_show_both_answers(runs: Path, harness: Harness) -> None:
    said = harness("compare", "latest:base", "latest:cand", "--flips", "capitals", "--limit", "1")
    assert said.code == 0, said.err
    assert "m × capitals: 15 lost, 0 won by exact_match" in said.out
    shown = [line.split() for line in said.out.splitlines()]
    assert ["lost", "q1", "exact_match", "1.000", "→", "0.000"] in shown
    assert ["a", "yes1"] in shown
    assert ["b", "no"] in shown
    assert ["references", "yes1"] in shown
    assert said.out.count("lost  q") == 1
    assert said.out.splitlines()[-1] == "next: harness compare latest:base latest:cand"
    document = harness("compare", "latest:base", "latest:cand", "--flips", "capitals", "--json").json
    assert [sample["id"] for sample in document["flips"][0]["samples"]][:2] == ["q1", "q3"]


def test_markdown_to_stdout_and_to_a_file(runs: Path, harness: Harness) -> None:
    said = harness("compare", "latest:base", "latest:cand", "--markdown", "-o", "report.md")
    text = said.out
    assert text == (runs / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Comparison\n\n- a base, run ")
    assert "\n| worse   | capitals | exact_match ↑\\* |" in text
    assert "## slices that moved" in text
    assert "## What else is different" in text


def test_one_run_compares_its_entries(runs: Path, harness: Harness) -> None:
    (runs / "both.yaml").write_text(
        "models:\n  base: {backend: replay, path: base.jsonl}\n  cand: {backend: replay, path: cand.jsonl}\n"
        "tasks: [capitals.yaml]\n"
    )  # fmt: skip
    assert harness("run", "both.yaml", "--quiet", "--json").code == 0
    for words in (("latest",), ("latest#base", "latest#cand"), ("latest:base", "latest#cand")):
        [first, _] = harness("compare", *words, "--json").json["comparisons"]
        assert first["difference"] == pytest.approx(-0.25)
    back = harness("compare", "latest#cand", "latest#base", "--json").json["comparisons"][0]
    assert (back["verdict"], back["entry"], back["base_entry"]) == ("better", "base", "cand")


def test_three_runs_and_their_ranks(runs: Path, harness: Harness) -> None:
    said = harness("compare", "latest:base", "latest:cand", "latest:base", "--metric", "exact_match")
    assert said.code == 0, said.err
    assert re.search(r"^worse +b1 +capitals", said.out, re.M)
    assert re.search(r"^same +b2 +capitals", said.out, re.M)
    assert said.out.index("\nworse") < said.out.index("\nsame")
    assert "mean ranks over samples, 1 is best (Friedman)" in said.out
    ranks = said.out.partition("(Friedman)")[2]
    assert set(re.findall(r"^capitals +exact_match +(.+?)  ", ranks, re.M)) == {"a", "b1", "b2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("latest:base", "nothing"), "no run 'nothing' in results"),
        (("latest:base",), "is 'm' alone: name what to compare it with"),
        (("latest:base#n", "latest"), "has no entry 'n'; known: m"),
        (("latest:base", "latest", "--task", "capitols"), "no task 'capitols' in common; did you mean 'capitals'?"),
        (("latest:base", "latest", "--metric", "token_f2"), "no metric 'token_f2' in common; did you mean 'token_f1'?"),
        (("latest:base", "latest", "--allow", "data,promt"), "allow takes data, prompt, task, got 'promt'"),
        (("latest:base", "latest", "--flips", "qa"), "no task 'qa' in common"),
        (("latest:base", "latest", "--alpha", "5"), "alpha must lie strictly between 0 and 1, got 5.0"),
    ],
)
def test_mistakes_are_one_line(runs: Path, harness: Harness, words: tuple[str, ...], message: str) -> None:
    said = harness("compare", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_a_run_that_is_not_finished_and_one_that_is_damaged(runs: Path, harness: Harness) -> None:
    [folder] = (runs / "results").glob("*-cand-*")
    samples = (folder / "samples.parquet").read_bytes()
    (folder / "samples.parquet").write_bytes(samples[: len(samples) // 2])
    said = harness("compare", "latest:base", folder.name)
    assert (said.code, said.out) == (2, "")
    assert re.search(r"samples\.parquet is damaged", said.err)
    (folder / "run.json").rename(folder / "journal.jsonl")
    for name in (folder.name, str(folder)):
        said = harness("compare", "latest:base", name)
        assert said.code == 2
        assert f"run {folder.name!r} is not finished" in said.err
        assert "harness run" in said.err


def test_a_baseline_by_its_name(runs: Path, harness: Harness) -> None:
    from harness.store.baselines import set_baseline

    [folder] = (runs / "results").glob("*-base-*")
    set_baseline(runs / "results", "main", folder.name)
    document = harness("compare", "baseline:main", "latest", "--json").json
    assert document["runs"][0]["run_id"] == folder.name
    assert document["comparisons"][0]["verdict"] == "worse"


def test_as_a_function() -> None:
    import harness

    assert "compare" in harness.__all__
    assert callable(harness.compare)


def test_the_markdown_is_the_golden_one(runs: Path, harness: Harness, project_root: Path) -> None:
    """``tests/golden/compare.md``: checked by eye, its numbers against the tests above."""
    (runs / "cand.jsonl").rename(runs / "kept.jsonl")
    write_lines(runs / "cand.jsonl", [{"id": f"q{i}", "text": f"yes{i}" if i < 33 else "no, not at all"} if i != 50 else
                                      {"id": "q50", "error": "time out"} for i in range(61)])  # fmt: skip
    assert harness("run", "cand.yaml", "--quiet", "--json", "--set", "level=0.9", "--set", "max_missing=0.1").code == 0
    text = ids_as_letters(harness("compare", "latest:base", "latest:cand", "--markdown").out)
    text = re.sub(r"content [0-9a-f]{32} → [0-9a-f]{32}", "content X → Y", text)
    assert text == (project_root / "tests" / "golden" / "compare.md").read_text(encoding="utf-8")
