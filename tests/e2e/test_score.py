"""``harness score`` as it is typed: JSON, tables, standard input, and one readable message for every error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HYP = "the cat sat on the mat\na dog\n"
REF = "the cat sat on a mat\nthe hog\n"


def harness(*arguments: str, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from harness.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hyp.txt").write_text(HYP, encoding="utf-8", newline="\n")
    (tmp_path / "ref.txt").write_text(REF, encoding="utf-8", newline="\n")
    (tmp_path / "short.txt").write_text("the cat\n", encoding="utf-8", newline="\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "run.trec").write_text("q1 Q0 a 1 0.9 t\nq1 Q0 b 2 0.8 t\nstray Q0 a 1 1 t\n", encoding="utf-8", newline="\n")
    (tmp_path / "qrels.txt").write_text("q1 0 b 1\nunasked 0 c 1\n", encoding="utf-8", newline="\n")
    (tmp_path / "bad.trec").write_text("q1 Q0 a 1 0.9 t\nq1 Q0 b 2 t\n", encoding="utf-8", newline="\n")
    (tmp_path / "scores.csv").write_text("label,score\n0,0.1\n0,0.4\n1,0.35\n1,0.8\n", encoding="utf-8", newline="\n")
    return tmp_path


def results(*arguments: str, cwd: Path, stdin: str | None = None) -> list[dict[str, Any]]:
    done = harness("score", *arguments, "--json", cwd=cwd, stdin=stdin)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    found: list[dict[str, Any]] = document["results"]
    return found


def test_json_has_a_result_a_spec_and_samples_when_asked(folder: Path) -> None:
    one, two = results("exact_match", "rouge(type=1)", "-p", "hyp.txt", "-r", "ref.txt", "--per-sample", cwd=folder)
    assert (one["metric"], one["value"], one["n"], one["n_missing"], one["level"]) == ("exact_match", 0.5, 2, 0, 0.95)
    assert one["signature"].startswith("exact_match(extract=none,normalize=squad)#v")
    assert one["samples"] == [{"id": "1", "value": 1.0, "missing": None}, {"id": "2", "value": 0.0, "missing": None}]
    assert two["value"] == pytest.approx((5 / 6 + 0) / 2)  # 5 of 6 words, then none
    assert "samples" not in results("exact_match", "-p", "hyp.txt", "-r", "ref.txt", cwd=folder)[0]


def test_standard_input_on_either_side(folder: Path) -> None:
    assert results("exact_match", "-p", "-", "-r", "ref.txt", cwd=folder, stdin=HYP)[0]["value"] == 0.5
    assert results("exact_match", "-p", "hyp.txt", "-r", "-", cwd=folder, stdin=REF)[0]["value"] == 0.5


def test_several_references(folder: Path) -> None:
    assert results("exact_match", "-p", "hyp.txt", "-r", "ref.txt", "-r", "hyp.txt", cwd=folder)[0]["value"] == 1.0


def test_a_table_for_people(folder: Path) -> None:
    done = harness("score", "mrr", "success@1", "-p", "run.trec", "-r", "qrels.txt", cwd=folder)
    assert done.returncode == 0, done.stderr
    header, first, second, *rest = done.stdout.splitlines()
    assert header.split() == ["metric", "value", "95", "%", "interval", "n", "missing", "signature"]
    assert first.split() == ["mrr", "↑", "0.5000", "–", "1", "0", "mrr(level=1)#v1"]
    assert second.split()[:3] == ["success@1", "↑", "0.0000"]
    assert "1 query of run.trec left out: no judgements in qrels.txt" in rest
    assert "1 topic of qrels.txt left out: not in run.trec (as trec_eval without -c)" in rest


def test_the_notes_are_in_the_json_too(folder: Path) -> None:
    done = harness("score", "mrr", "-p", "run.trec", "-r", "qrels.txt", "--json", cwd=folder)
    assert len(json.loads(done.stdout)["notes"]) == 2


def test_columns_of_a_table_and_scores(folder: Path) -> None:
    arguments = ("roc_auc", "-p", "scores.csv", "--score", "score")
    assert results(*arguments, "--label", "label", cwd=folder)[0]["value"] == pytest.approx(0.75)
    assert results(*arguments, "--target", "label", "--positive", "0", cwd=folder)[0]["value"] == pytest.approx(0.25)


def test_level_seed_and_resamplings_reach_the_interval(folder: Path) -> None:
    settings = ("--level", "0.9", "--n-bootstrap", "50", "--seed", "3")
    done = harness("score", "ter", "rouge_l", "-p", "hyp.txt", "-r", "ref.txt", *settings, cwd=folder)
    assert "90 % interval" in done.stdout
    assert done.stdout.splitlines()[-1] == "intervals: ter: bootstrap(bca, 50); rouge_l: score(delta), seed 3"


def test_a_metric_wins_over_a_file_of_its_name(folder: Path) -> None:
    (folder / "exact_match").write_text("", encoding="utf-8")
    assert [found["metric"] for found in results("bleu", "exact_match", "-p", "hyp.txt", "-r", "ref.txt", cwd=folder)] == [
        "bleu", "exact_match"]  # fmt: skip


def test_missing_rows_are_told_once_and_by_reason(folder: Path) -> None:
    (folder / "numbers.txt").write_text("0.00001\n\n0.00003\nn/a\n", encoding="utf-8", newline="\n")
    (folder / "truth.txt").write_text("0.00002\n1\n0.00003\n2\n", encoding="utf-8", newline="\n")
    arguments = ("mae", "rmse", "-p", "numbers.txt", "-r", "truth.txt")
    assert [found["missing"] for found in results(*arguments, cwd=folder)] == [{"no number": 2}] * 2
    done = harness("score", *arguments, cwd=folder)
    assert "mae, rmse: 2 missing (no number; first: 2)" in done.stdout.splitlines()
    assert "0.0000050" in done.stdout  # half of 1e-5
    (folder / "none.txt").write_text("\n\n\n\n", encoding="utf-8", newline="\n")
    done = harness("score", "mae", "-p", "none.txt", "-r", "truth.txt", cwd=folder)
    assert "mae: no sample could be scored: no number; 4 missing (first: 1)" in done.stdout.splitlines()
    assert "missing" not in results("bleu", "-p", "hyp.txt", "-r", "ref.txt", cwd=folder)[0]


def test_trec_evals_names_give_trec_evals_numbers(folder: Path) -> None:
    cut, ndcg = results("P_2", "ndcg_cut.2", "-p", "run.trec", "-r", "qrels.txt", cwd=folder)
    assert (cut["value"], cut["signature"]) == (0.5, "precision@2(level=1)#v1")
    assert ndcg["value"] == pytest.approx(0.6309, abs=1e-4)  # 1 / log2(3): trec_eval's value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("bleu -p hyp.txt -r short.txt", "references file short.txt has 1 line, predictions hyp.txt 2"),
        ("bleuu -p hyp.txt -r ref.txt", "unknown metric 'bleuu'; did you mean 'bleu'?"),
        ("bleu(max_ordr=2) -p hyp.txt -r ref.txt", "bleu has no parameter 'max_ordr'; did you mean 'max_order'?"),
        ("bleu(max_order=0) -p hyp.txt -r ref.txt", "max_order must be a positive integer, got 0"),
        ("bleu(tokenize=14a) -p hyp.txt -r ref.txt", "tokenize must be one of"),
        ("bleu( -p hyp.txt -r ref.txt", "'bleu('"),
        ("ndcg@ten -p run.trec -r qrels.txt", "must be an integer, got 'ten'"),
        ("bleu -p hyp.txt", "bleu needs references"),
        ("mrr -p run.trec", "mrr needs relevance judgements"),
        ("mrr -p bad.trec -r qrels.txt", "bad.trec:2: expected 6 columns (query Q0 document rank score tag), got 5"),
        ("mrr -p run.trec -r bad.trec", "bad.trec:1: expected 4 columns"),
        ("bleu -p empty.txt -r ref.txt", "empty.txt: no lines in it"),
        ("bleu -p hyp.txt -r empty.txt", "empty.txt: no lines in it"),
        ("bleu -p nowhere.txt -r ref.txt", "nowhere.txt: cannot be read"),
        ("bleu -p hyp.txt -r nowhere.txt", "nowhere.txt: cannot be read"),
        ("bleu -p - -r -", "only one of -p and -r can be -"),
        ("bleu mrr -p hyp.txt -r ref.txt", "bleu needs texts and mrr needs rankings"),
        ("bleu -p hyp.txt -r ref.txt short.txt", "short.txt is a file, not a metric: write -r before each"),
        ("bleu -p hyp.txt -r ref.txt --input-format xml", "input format must be one of"),
        ("bleu -p hyp.txt -r ref.txt --level 95", "level must be between 0 and 1, got 95"),
        ("bleu -p hyp.txt -r ref.txt --fild x", "did you mean '--field'?"),
        ("bleu -r ref.txt", "-p"),
    ],
)
def test_errors_exit_2_with_one_message(folder: Path, arguments: str, message: str) -> None:
    done = harness("score", *arguments.split(), cwd=folder, stdin="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
