"""``harness score`` on real files against published numbers: mteval, sacrebleu, trec_eval, rouge-score, SQuAD."""

from __future__ import annotations

import json
import re
import string
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Locate = Callable[[str], Path]
ROOT = Path(__file__).resolve().parents[2]
CHEAP = ("--n-bootstrap", "100")


def run_score(*arguments: object) -> list[dict[str, Any]]:
    """The results of the command in a process of its own, each inside its interval."""
    command = [sys.executable, "-m", "harness.cli", "score", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    for result in results:
        assert result["low"] <= result["value"] <= result["high"]
    return results


# BLEU: mteval-v13a -c, as sacrebleu's own test data state it; chrF: chrF++.py and sacrebleu 2.4 (SOURCES.md of the data).
WMT17 = {
    "C-3MA.4959": (22.67, 51.9533), "KIT.4950": (26.08, 55.7629), "LIUM-NMT.4900": (26.60, 55.9284),
    "LMU-nmt-reranked.4934": (27.11, 56.3908), "SYSTRAN.4847": (26.71, 55.5758), "online-A.0": (20.80, 52.0023),
    "online-F.0": (15.45, 49.2588), "uedin-nmt.4722": (28.30, 57.7227),
}  # fmt: skip


@pytest.mark.parametrize("system", ["C-3MA.4959", "online-A.0", "uedin-nmt.4722"])  # all of them: tests/parity/published.py
def test_wmt17_bleu_and_chrf_to_the_printed_digit(shared_data: Locate, system: str) -> None:
    hyp = shared_data(f"wmt17_ende/newstest2017.{system}.en-de.txt")
    bleu, chrf = run_score("bleu", "chrf", "-p", hyp, "-r", shared_data("wmt17_ende/reference.de.txt"), *CHEAP)
    assert (bleu["n"], bleu["n_missing"]) == (3004, 0)
    assert (f"{bleu['value']:.2f}", f"{chrf['value']:.4f}") == tuple(
        f"{value:.{digits}f}" for value, digits in zip(WMT17[system], (2, 4))
    )


def test_the_table_shows_the_digits_that_sacrebleu_prints(shared_data: Locate) -> None:
    hyp = shared_data("wmt17_ende/newstest2017.uedin-nmt.4722.en-de.txt")
    ref = shared_data("wmt17_ende/reference.de.txt")
    command = [sys.executable, "-m", "harness.cli", "score", "bleu", "-p", hyp, "-r", ref, *CHEAP]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[1].split()[:3] == ["bleu", "↑", "28.30"]


# trec_eval's names of its measures, and ours.
MEASURES = {
    "map": "map", "recip_rank": "mrr", "ndcg": "ndcg",
    **{f"P_{k}": f"P@{k}" for k in (5, 10, 15, 20, 30, 100, 200, 500, 1000)},
    **{f"recall_{k}": f"recall@{k}" for k in (5, 10, 15, 20, 30, 100, 200, 500, 1000)},
    **{f"ndcg_cut_{k}": f"ndcg@{k}" for k in (5, 10, 15, 20, 30, 100, 200, 500, 1000)},
    **{f"map_cut_{k}": f"map@{k}" for k in (5, 10, 15, 20, 30, 100, 200, 500, 1000)},
    **{f"success_{k}": f"success@{k}" for k in (1, 5, 10)},
}  # fmt: skip


def printed(path: Path) -> dict[str, str]:
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[2] for row in rows if row[1] == "all"}


@pytest.mark.parametrize(("expected", "n"), [("out.test", 11), ("out.test.a", len(MEASURES))])
def test_trec_eval_to_four_digits(shared_data: Locate, expected: str, n: int) -> None:
    wanted = printed(shared_data(f"trec_eval/{expected}"))
    theirs = [measure for measure in MEASURES if measure in wanted]
    assert len(theirs) == n
    specs = [MEASURES[measure] for measure in theirs]
    results = run_score(*specs, "-p", shared_data("trec_eval/results.test"), "-r", shared_data("trec_eval/qrels.test"), *CHEAP)
    assert {m: f"{r['value']:.4f}" for m, r in zip(theirs, results)} == {m: wanted[m] for m in theirs}
    assert {result["n"] for result in results} == {int(wanted["num_q"])}


def test_rouge_equals_rouge_score_on_real_lines(shared_data: Locate, tmp_path: Path) -> None:
    scorer_module = pytest.importorskip("rouge_score.rouge_scorer")
    hyp, ref = (
        shared_data(f"wmt17_ende/{name}").read_text(encoding="utf-8").split("\n")[:200]
        for name in ("newstest2017.KIT.4950.en-de.txt", "reference.de.txt")
    )
    for name, lines in (("hyp", hyp), ("ref", ref)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    types = ["rouge1", "rouge2", "rougeL"]
    scorer = scorer_module.RougeScorer(types)
    scores = [scorer.score(reference, prediction) for prediction, reference in zip(hyp, ref)]
    results = run_score("rouge_1", "rouge_2", "rouge_l", "-p", tmp_path / "hyp", "-r", tmp_path / "ref", "--per-sample", *CHEAP)
    for type_, result in zip(types, results):
        theirs = [score[type_].fmeasure for score in scores]
        assert result["value"] == pytest.approx(sum(theirs) / 200, abs=1e-12)
        assert [row["value"] for row in result["samples"]] == pytest.approx(theirs, abs=1e-12)


# Official normalisation on the questions that each system answered (SOURCES.md), in percent.
SQUAD = {"bert_ensemble": (74.87, 86.32, 1190), "rnet_plus": (72.77, 83.41, 1190), "logreg": (34.60, 45.93, 1188)}


@pytest.mark.parametrize("system", SQUAD)
def test_squad_answers_through_json_lines(shared_data: Locate, tmp_path: Path, system: str) -> None:
    document = json.loads(shared_data("squad_xquad_en/xquad.en.json").read_text(encoding="utf-8"))
    questions = [qa for article in document["data"] for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    answers = json.loads(shared_data(f"squad_xquad_en/squad1.1_dev_predictions_{system}.json").read_text(encoding="utf-8"))
    write(tmp_path / "ref", [{"id": qa["id"], "references": [a["text"] for a in qa["answers"]]} for qa in questions])
    write(tmp_path / "hyp", [{"id": id_, "text": text} for id_, text in answers.items()])
    exact, f1 = run_score("exact_match", "token_f1", "-p", tmp_path / "hyp", "-r", tmp_path / "ref", "--per-sample", *CHEAP)
    em, f1_percent, n = SQUAD[system]
    assert (round(100 * exact["value"], 2), round(100 * f1["value"], 2), exact["n"]) == (em, f1_percent, n)
    assert exact["n_missing"] == len(questions) - n
    golds = {qa["id"]: [a["text"] for a in qa["answers"]] for qa in questions}
    theirs = {id_: max(squad_f1(answers[id_], gold) for gold in texts) for id_, texts in golds.items() if id_ in answers}
    assert {row["id"]: row["value"] for row in f1["samples"] if row["missing"] is None} == pytest.approx(theirs, abs=1e-12)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def squad_f1(prediction: str, gold: str) -> float:
    """The official v1.1 rule, written out."""

    def words(text: str) -> list[str]:
        text = "".join(mark for mark in text.lower() if mark not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    found, wanted = words(prediction), words(gold)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0
