"""A visitor's first minute: ``harness init``, ``harness validate``, ``harness run``, and ``configs/hello.yaml``.

The numbers were worked out by hand from the rows of the starters; how is said beside them.
"""

from __future__ import annotations

import json
import math
import re
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cli.init import starters
from tests.cli.projects import Harness, Said

KINDS = starters()
CAPITALS = {
    "exact_match": 3 / 6,  # Nairobi, Ottawa, Ha Noi
    "token_f1": 3.5 / 6,  # "the city of Lisbon" without its article: 1 of 3 words and 1 of 1, so 0.5
    "rouge_l": 3.4 / 6,  # with its article: 1 of 4 words and 1 of 1, so 0.4
    "chrf": 58.70020145,  # sacrebleu 2.6.0, corpus_chrf
}
EXPECTED: Mapping[str, Mapping[str, float]] = {
    "app": {
        # F1 of words without articles: 2 · shared / (words of the passage + words of the answer)
        "token_f1": (8 / 21 + 12 / 24 + 14 / 23 + 14 / 23 + 14 / 22 + 10 / 19 + 10 / 19 + 12 / 20) / 8,
        "rouge_l": 0.5274452861952862,  # rouge-score 0.1.2
        "chrf": 68.7699611386956,  # sacrebleu 2.6.0, corpus_chrf
    },
    "generation": CAPITALS,
    "nightly": CAPITALS,
    # Five of six are right; the fifth, neutral, was taken for glad. Precision and recall: glad 2/3 and 2/2, neutral 1/1 and
    # 1/2, annoyed 2/2 and 2/2.
    "classification": {
        "accuracy": 5 / 6,
        "macro_f1": (4 / 5 + 2 / 3 + 1) / 3,
        "balanced_accuracy": (1 + 1 / 2 + 1) / 3,
        "mcc": (5 * 6 - 12) / math.sqrt((36 - 14) * (36 - 12)),
        "log_loss": -math.log(0.9 * 0.8 * 0.8 * 0.7 * 0.4 * 0.9) / 6,
    },
    # Queries 1, 3 and 4 find their document first and 5 shares no word with its own. Query 2 finds "noise" (grade 2) first, and
    # "filter" (grade 1), with which it shares no word, not at all: 2 of an ideal 2 + 1 / log2(3).
    "retrieval": {
        "ndcg@10": (1 + 2 / (2 + 1 / math.log2(3)) + 1 + 1 + 0) / 5,
        "recall@10": (1 + 1 / 2 + 1 + 1 + 0) / 5,
        "mrr@10": 4 / 5,
        "precision@1": 4 / 5,
    },
}
SAMPLES = {"app": 8, "generation": 6, "nightly": 6, "classification": 6, "retrieval": 5}
ENTRY = {"app": "mine", "generation": "stored", "nightly": "candidate", "classification": "stored", "retrieval": "bm25"}
FIRST_PROMPT = {
    "app": "When is the reading room open on Saturdays?",
    "generation": "[system]\nYou answer with a name and nothing else.\n\n[user]\nWhat is the capital of Kenya?",
    "nightly": "[system]\nYou answer with a name and nothing else.\n\n[user]\nWhat is the capital of Kenya?",
    "retrieval": "how often should I rinse the filter",
}


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "app", raising=False)  # the starter's, of another test's folder
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    return Harness(capsys)


def files(folder: Path = Path()) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def values(said: Said) -> dict[str, float]:
    return {estimate["metric"]: estimate["value"] for estimate in said.json["estimates"]}


# ── init ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_init_writes_a_config_a_task_and_data_and_says_what_is_next(harness: Harness, kind: str) -> None:
    said = harness("init", kind)
    assert (said.code, said.err) == (0, "")
    *wrote, following = said.out.splitlines()
    assert {line.removeprefix("wrote ") for line in wrote} == files()
    assert {f"configs/{kind}.yaml", f"tasks/{kind}.yaml"} < files()
    assert following == f"next: harness run configs/{kind}.yaml"


def test_generation_is_the_default_and_a_folder_may_be_named(harness: Harness) -> None:
    said = harness("init", "--dir", "my/app")
    assert said.code == 0
    assert "configs/generation.yaml" in files(Path("my/app"))
    assert said.out.splitlines()[-1] == "next: cd my/app && harness run configs/generation.yaml"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_valid_and_shows_its_first_prompt(harness: Harness, kind: str) -> None:
    harness("init", kind)
    said = harness("validate", "--json")
    assert said.code == 0, said.err
    (task,), (prompt,) = said.json["tasks"], said.json["prompts"]
    assert (task["n_samples"], task["models"]) == (SAMPLES[kind], [ENTRY[kind]])
    assert set(task["metrics"]) == set(EXPECTED[kind])
    if kind in FIRST_PROMPT:
        assert prompt["prompt"] == FIRST_PROMPT[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_runs_and_gives_these_numbers(harness: Harness, kind: str) -> None:
    harness("init", kind)
    said = harness("run", "--json")
    assert said.code == 0, said.err
    assert values(said) == pytest.approx(EXPECTED[kind], abs=1e-8)
    for estimate in said.json["estimates"]:
        assert (estimate["n"], estimate["n_missing"], estimate["model"]) == (SAMPLES[kind], 0, ENTRY[kind])
        assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_exact_match_has_wilsons_interval(harness: Harness) -> None:
    """3 of 6: 0.5 ± 1.959964 · √(0.25/6 + 1.959964²/144) / (1 + 1.959964²/6) = 0.5 ± 0.312384."""
    harness("init", "generation")
    estimates = {estimate["metric"]: estimate for estimate in harness("run", "--json").json["estimates"]}
    assert estimates["exact_match"]["method"] == "wilson"
    assert (estimates["exact_match"]["low"], estimates["exact_match"]["high"]) == pytest.approx((0.187616, 0.812384), abs=1e-6)


def test_continents_are_broken_down(harness: Harness) -> None:
    harness("init", "generation")
    run_id = harness("run", "--json").json["run_id"]
    (table,) = [table for table in harness("show", run_id, "--json").json["tables"] if table["table"] == "slices"]
    found = {row[1]: row[3] for row in table["rows"] if row[2] == "token_f1"}
    assert found == {"Africa": 0.5, "Asia": 1.0, "Europe": 0.5, "North America": 1.0, "Oceania": 0.0}


def test_a_person_sees_the_leaderboard_and_the_next_command(harness: Harness) -> None:
    harness("init", "retrieval")
    said = harness("run")
    assert said.code == 0, said.err
    assert re.search(r"^bm25 +0\.75 \[", said.out, re.MULTILINE)
    (folder,) = Path("results").iterdir()
    assert said.out.splitlines()[-1] == f"next: harness show {folder.name} --samples"
    ranked = (next((folder / "runs").iterdir())).read_text().splitlines()
    assert ranked[0].split()[:4] == ["1", "Q0", "filter", "1"]


def test_several_starters_live_in_one_folder(harness: Harness) -> None:
    for kind in KINDS:
        assert harness("init", kind).code == 0
    for kind in KINDS:
        said = harness("run", f"configs/{kind}.yaml", "--json")
        assert said.code == 0, said.err
        assert values(said) == pytest.approx(EXPECTED[kind], abs=1e-8)


# ── init refuses ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_init_refuses_and_changes_nothing(harness: Harness, kind: str) -> None:
    harness("init", kind)
    task = Path(f"tasks/{kind}.yaml")
    task.write_text("mine")
    before = files()
    said = harness("init", kind)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: init: {', '.join(sorted(before))} are there already; nothing was written (remove them or use another folder)\n"
    )
    assert (files(), task.read_text()) == (before, "mine")


def test_one_file_in_the_way_is_enough(harness: Harness) -> None:
    Path("tasks").mkdir()
    Path("tasks/retrieval.yaml").write_text("mine")
    said = harness("init", "retrieval")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: init: tasks/retrieval.yaml is there already; nothing was written")
    assert files() == {"tasks/retrieval.yaml"}
    assert not Path("configs").exists()


def test_an_unknown_kind_names_the_nearest(harness: Harness) -> None:
    said = harness("init", "retreival")
    assert (said.code, said.out, said.err) == (2, "", "error: init: unknown kind 'retreival'; did you mean 'retrieval'?\n")
    assert files() == set()


@pytest.mark.parametrize("folder", ["notes.txt", "notes.txt/app"])
def test_a_file_is_no_folder(harness: Harness, folder: str) -> None:
    Path("notes.txt").write_text("mine")
    said = harness("init", "generation", "--dir", folder)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: init: cannot write to {folder}: ")
    assert files() == {"notes.txt"}


# ── hello ───────────────────────────────────────────────────────────────────────────────────────────────────────────

PROBE = """\
import json, sys
from harness.cli import main
code = main(["run", "configs/hello.yaml", "--results", sys.argv[1], "--cache-dir", sys.argv[2], "--quiet"])
print(json.dumps([code, sorted({"torch", "transformers", "sentence_transformers", "faiss", "datasets"} & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """The folder of a run of ``configs/hello.yaml`` in a process of its own, which loads no model's packages."""
    base = tmp_path_factory.mktemp("hello")
    words = [sys.executable, "-c", PROBE, str(base / "results"), str(base / "cache")]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=project_root, check=False, encoding="utf-8")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [0, []], ended.stderr
    (folder,) = (base / "results").iterdir()
    return folder


def test_hello_scores_stored_answers(hello: Path, project_root: Path) -> None:
    data = project_root / "tasks" / "data"
    questions = {row["id"]: row["answers"] for row in rows(data / "solar_system" / "questions.jsonl")}
    answers = {row["id"]: row["text"] for row in rows(data / "stored" / "questions.smollm2.jsonl")}
    right = sum(squad(answers[id_]) in map(squad, accepted) for id_, accepted in questions.items())
    assert estimate(hello, "questions", "exact_match") == (len(questions), pytest.approx(right / len(questions), abs=1e-12))


def test_hello_searches_with_bm25(hello: Path, project_root: Path) -> None:
    """The run file that it wrote, scored by the definition of nDCG with the grades as gains."""
    judged: dict[str, dict[str, int]] = {}
    for line in (project_root / "tasks/data/solar_system/qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    ranked: dict[str, list[str]] = {}
    (run,) = (hello / "runs").iterdir()
    for line in run.read_text(encoding="utf-8").splitlines():
        query, _, document, *_ = line.split()
        ranked.setdefault(query, []).append(document)
    gains = [ndcg([grades.get(d, 0) for d in ranked.get(q, [])], list(grades.values())) for q, grades in judged.items()]
    assert estimate(hello, "passages", "ndcg@10") == (len(judged), pytest.approx(sum(gains) / len(gains), abs=1e-12))
    assert sum(gains) / len(gains) > 0.5  # a search that finds nothing would agree with the definition too


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def estimate(folder: Path, task: str, metric: str) -> tuple[Any, Any]:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (found,) = [e for e in record["estimates"] if (e["task"], e["metric"]) == (task, metric)]
    return found["n"], found["value"]


def squad(text: str) -> str:
    """SQuAD's normalisation: lower case, no punctuation, no articles, single spaces."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def ndcg(found: list[int], ideal: list[int], k: int = 10) -> float:
    best = discounted(sorted(ideal, reverse=True)[:k])
    return discounted(found[:k]) / best if best else 0.0


def discounted(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
