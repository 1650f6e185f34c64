"""``harness ratings`` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.projects import Harness

PAIRS = "left,right,winner,worker\n" + "a,b,left,w1\na,b,left,w2\nb,a,right,w3\na,b,right,w4\nb,c,tie,w1\nc,a,left,w2\n" * 4
SCALE = "item,system,rater,score\n" + "".join(
    f"i{i},{system},r{r},{(6 - (i % 5 + 1)) if r == 3 else min(5, i % 5 + 1 + (system == 'A'))}\n"
    for i in range(30) for system in "AB" for r in range(4)
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "scale.csv").write_text(SCALE)
    return tmp_path


def test_comparisons_give_a_leaderboard(harness: Harness, folder: Path) -> None:
    said = harness("ratings", "pairs.csv")
    assert said.code == 0
    first, *_ = said.out.splitlines()
    assert first == ("24 comparisons, 4 raters; recognised comparisons of two: left = left, right = right, winner = winner, "
                     "worker = worker")  # fmt: skip
    assert "Bradley-Terry" in said.out
    assert "better beyond doubt; first: the share of resamplings in which it leads." in said.out
    assert said.out.splitlines()[-1] == "next: harness ratings pairs.csv -o ratings.md"


def test_more_raters_are_offered_where_some_are_not_listed(harness: Harness, folder: Path) -> None:
    rows = "".join(f"a,b,left,w{i}\nb,c,right,w{i}\n" for i in range(12))
    (folder / "many.csv").write_text(f"left,right,winner,worker\n{rows}")
    assert "harness ratings many.csv --raters" in harness("ratings", "many.csv").out.splitlines()[-1]
    assert "--raters" not in harness("ratings", "many.csv", "--raters").out.splitlines()[-1]


def test_a_scale_gives_means_agreement_and_who_stands_alone(harness: Harness, folder: Path) -> None:
    said = harness("ratings", "scale.csv", "--json", "--n-bootstrap", "100")
    assert said.code == 0
    document = said.json
    assert document["kind"] == "likert"
    assert document["columns"] == {"item": "item", "system": "system", "rater": "rater", "score": "score"}
    assert [(row["system"], row["rank"]) for row in document["leaderboard"]] == [("A", 1), ("B", 2)]
    assert [rater["rater"] for rater in document["raters"] if rater["stands_alone"]] == ["r3"]
    assert document["notes"][0].startswith("1 rater agrees with the others no better than chance: r3 (-")
    names = [one["name"] for one in document["agreement"]]
    assert {"krippendorff_alpha(interval)", "fleiss_kappa", "icc(2)", "icc(2k)"} <= set(names)
    again = harness("ratings", "scale.csv", "--json", "--n-bootstrap", "100")
    assert again.json == document


def test_it_is_written_as_markdown_too(harness: Harness, folder: Path) -> None:
    said = harness("ratings", "scale.csv", "-o", "out.md", "--n-bootstrap", "50")
    assert said.code == 0
    assert "written: out.md" in said.out
    text = (folder / "out.md").read_text()
    assert text.startswith("# Ratings\n")
    assert "| 1    | A      |" in text
    assert "## Agreement" in text
    assert "| r3    |" in text


def test_columns_can_be_named_and_are_in_the_next_command(harness: Harness, folder: Path) -> None:
    (folder / "odd.csv").write_text(PAIRS.replace("left,right,winner,worker", "one,two,said,who"))
    options = ("--left", "one", "--right", "two", "--winner", "said", "--worker", "who")
    said = harness("ratings", "odd.csv", *options, "--by", "elo")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("next: harness ratings odd.csv --by elo --left one --right two --winner said")


@pytest.mark.parametrize(("words", "message"), [
    (("pairs.csv", "--by", "ello"), "elo, average_win_rate, got 'ello'; did you mean 'elo'?"),
    (("pairs.csv", "--left", "lft"), "pairs.csv has no column 'lft'"),
    (("absent.csv",), "absent.csv: cannot be read"),
    (("pairs.csv", "--level", "95"), "--level must be between 0 and 1"),
    (("broken.csv",), "broken.csv:3: the winner must be left, right, tie or one of 'a' and 'b', got 'nobody'"),
])  # fmt: skip
def test_bad_input_is_named(harness: Harness, folder: Path, words: tuple[str, ...], message: str) -> None:
    (folder / "broken.csv").write_text("left,right,winner\na,b,left\na,b,nobody\n")
    said = harness("ratings", *words)
    assert said.code == 2
    assert message in said.err
