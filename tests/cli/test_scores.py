"""What ``harness score`` prints for people: numbers, tables, notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.scores import numbers
from harness.cli.scoretables import column_texts, shortened
from harness.types import Table
from tests.cli.inputs import write_inputs
from tests.cli.projects import Harness


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((0.5,), ["0.5000"]),
        ((0.0,), ["0.0000"]),
        ((27.254, 20.0, 30.0), ["27.25", "20.00", "30.00"]),
        ((0.00004,), ["0.0000400"]),
        ((0.00004, 0.00002, 0.00006), ["0.000040", "0.000020", "0.000060"]),
        ((0.512, 0.51, 0.514), ["0.5120", "0.5100", "0.5140"]),
        ((3e-12,), ["3.000e-12"]),
        ((-0.00001, -1.0, 1.0), ["0.0000", "-1.0000", "1.0000"]),
    ],
)
def test_digits(given: tuple[float, ...], shown: list[str]) -> None:
    assert numbers(*given) == shown


def test_columns_have_one_number_of_decimals() -> None:
    assert column_texts([15.000000000001, 10, None]) == ["15", "10", "–"]
    assert column_texts([0.5, 1, 1e-9]) == ["0.5000", "1.0000", "0.0000"]
    assert column_texts([12.5, 0.25]) == ["12.50", "0.25"]
    assert column_texts([float("inf"), 2.0]) == ["inf", "2"]
    assert column_texts(["a", 1]) == ["a", "1"]


def _matrix(n: int, stray: int) -> Table:
    labels = tuple(f"c{at:02}" for at in range(n))
    rows = [[50 if at == other else 0 for other in range(n)] + [0] for at in range(n)]
    for at in range(n - 1):
        rows[at][at + 1] = at + 1
    rows[0][-1] = stray
    return Table(("target", *labels, "none of them"), tuple((label, *row) for label, row in zip(labels, rows)))


def test_a_large_matrix_is_shown_by_its_largest_confusions() -> None:
    shown, note = shortened(_matrix(15, 99))
    assert shown.columns == ("true", "predicted", "count")
    assert shown.rows[:3] == (("c00", "none of them", 99), ("c13", "c14", 14), ("c12", "c13", 13))
    assert len(shown.rows) == 10
    assert note == "the 10 largest of 15 kinds of confusion of 15 classes"


def test_a_small_matrix_is_whole_but_for_a_column_of_nothing() -> None:
    assert shortened(_matrix(3, 0)) == (Table(("target", "c00", "c01", "c02"),
                                              (("c00", 50, 1, 0), ("c01", 0, 50, 2), ("c02", 0, 0, 50))), "")  # fmt: skip
    assert shortened(_matrix(3, 1))[0].columns[-1] == "none of them"


def test_a_long_curve_keeps_both_ends() -> None:
    points = tuple((None if not at else 1 - at / 100, at / 100) for at in range(101))
    shown, note = shortened(Table(("threshold", "tpr"), points))
    assert [row[1] for row in shown.rows] == pytest.approx([at / 10 for at in range(11)])
    assert note == "11 of 101 rows"


def test_a_long_table_of_names_keeps_its_first_rows() -> None:
    shown, note = shortened(Table(("item", "rating"), tuple((f"m{at}", at) for at in range(30))))
    assert ([row[1] for row in shown.rows], note) == (list(range(20)), "the first 20 of 30 rows")


def test_the_whole_matrix_when_asked(harness: Harness, folder: Path) -> None:
    names = [f"class{at}" for at in range(20)]
    lines = [f"{name},{names[(at + 1) % 20] if at % 2 else name}" for at, name in enumerate(names)]
    (folder / "many.csv").write_text("target,prediction\n" + "\n".join(lines) + "\n", encoding="utf-8")
    said = harness("score", "f1", "precision", "-p", "many.csv", "--n-bootstrap", "5").out
    assert "f1, precision: confusion" in said.splitlines()
    assert "the 10 largest of 10 kinds of confusion of 20 classes: --tables prints all" in said.splitlines()
    assert "none of them" not in said
    whole = harness("score", "f1", "-p", "many.csv", "--n-bootstrap", "5", "--tables").out
    assert sum(line.startswith("class19 ") for line in whole.splitlines()) >= 2  # of the classes, and of the matrix
    assert "--tables" not in whole


def test_everything_fits_into_80_columns(harness: Harness, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("score", "roc_auc", "gain_lift", "-p", "scores.csv", "--label", "label", "--score", "score")
    said = harness(*arguments, "--n-bootstrap", "5").out
    tables = said.split("\n\n")[:-1]
    assert "…" not in said
    assert max(len(line) for table in tables for line in table.splitlines()) <= 80
    assert "roc_auc(average=macro,multi_class=ovr,positive=none)#v1" in said.splitlines()
    assert sum(line.split()[:1] == ["bin"] for line in said.splitlines()) == 2  # in two parts, each with its first column


def test_direction_unit_and_which_interval_is_whose(harness: Harness, folder: Path) -> None:
    said = harness("score", "accuracy", "f1", "-p", "predictions.csv", "--n-bootstrap", "5").out.splitlines()
    assert said[1].split()[:3] == ["accuracy", "↑", "0.6250"]  # 5 of 8
    assert said[-1] == "intervals: accuracy: wilson; f1: bootstrap(score, 5), seed 0"
    said = harness("score", "bleu", "ter", "-p", "outputs.txt", "-r", "references.txt", "--n-bootstrap", "5").out.splitlines()
    assert said[1].split()[3] == "points"
    assert said[2].split()[1] == "↓"


def test_a_singular_kind_and_specs_with_brackets(harness: Harness) -> None:
    assert harness("list", "metric").err == "error: harness list: cannot list 'metric'; did you mean 'metrics'?\n"
    (one,) = harness("list", "metrics", "f1(average=micro)", "--json").json["metrics"]
    assert one["name"] == "f1"
    (cut,) = harness("list", "metrics", "ndcg_cut_10", "--json").json["metrics"]
    assert (cut["name"], cut["signature"]) == ("ndcg_cut@k", "ndcg@10(gain=linear)#v1")
    assert "did you mean 'roc_auc'?" in harness("list", "metrics", "auc").err


def test_the_help_names_the_fields(harness: Harness) -> None:
    said = " ".join(harness("score", "--help").out.split())
    for words in ("left, right or tie", "need quotes", "--field r1,r2", '{"labels": ["a", "b"]', "(n, dim)"):
        assert words in said
