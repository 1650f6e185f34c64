"""What files of ratings are recognised as, what their rows become, and what is refused, with file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import DataError, UsageError
from harness.ratings.reading import Named, read_lines_of, recognise
from tests.ratings.files import columns_of, pairs_of, scale_of, written

LONG = "item,system,rater,score\ni1,A,r1,4\ni1,A,r2,5\ni2,B,r1,2\n"
PAIRS = "left,right,winner,worker\nA,B,left,w1\nB,C,tie,w2\nC,A,A,w1\nA,B,b,w3\n"


@pytest.mark.parametrize(("text", "kind", "names"), [
    (LONG, "likert", {"item": "item", "system": "system", "rater": "rater", "score": "score"}),
    (PAIRS, "pairwise", {"left": "left", "right": "right", "winner": "winner", "worker": "worker"}),
    ("Model_A,Model_B,Winner,prompt,judge\nx,y,model_a,p,j\n", "pairwise",
     {"left": "Model_A", "right": "Model_B", "winner": "Winner", "worker": "judge", "item": "prompt"}),
    ("question\tmodel\tstars\nq\tm\t3\n", "likert", {"item": "question", "system": "model", "score": "stars"}),
])  # fmt: skip
def test_what_columns_mean_follows_from_their_names(tmp_path: Path, text: str, kind: str, names: dict[str, str]) -> None:
    found = columns_of(written(tmp_path, text))
    assert (found.kind, dict(found.names)) == (kind, names)


def test_columns_that_are_named_go_first(tmp_path: Path) -> None:
    path = written(tmp_path, "left,right,winner,who,fluency,adequacy\nA,B,left,r,3,4\n")
    assert dict(columns_of(path, score="adequacy", rater="who").names) == {"rater": "who", "score": "adequacy"}
    assert columns_of(path, worker="who").get("worker") == "who"


def test_a_table_with_a_column_a_rater(tmp_path: Path) -> None:
    path = written(tmp_path, "id,ann,bob\n1,4,5\n2,,3\n")
    found = columns_of(path)
    assert (found.kind, found.raters, found.get("item")) == ("likert", ("ann", "bob"), "id")
    ratings = scale_of(path)
    assert ratings.values.tolist() == [4.0, 5.0, 3.0]
    assert ratings.raters is not None
    assert [ratings.raters.all[code] for code in ratings.raters.codes] == ["ann", "bob", "bob"]
    assert ratings.notes == ("1 ratings are empty and left out",)


def test_a_column_of_another_scale_is_named(tmp_path: Path) -> None:
    found = scale_of(written(tmp_path, "id,at,r1,r2\n1,170000,3,4\n2,170001,2,5\n3,170003,5,1\n"))
    assert found.notes == ("column 'at' holds 170000 to 170003 where the others hold 1 to 5: if it is no rater, "
                           "take it out of the file",)
    harsh = scale_of(written(tmp_path, "id,r1,r2,r3\n1,1,4,3\n2,3,5,4\n"))
    assert harsh.notes == ()


def test_json_lines_a_json_list_and_csv_say_the_same(tmp_path: Path) -> None:
    rows = [{"item": "i1", "system": "A", "rater": "r1", "scores": {"fluency": 4}},
            {"item": "i1", "system": "A", "rater": "r2", "scores": {"fluency": 5}}]
    lines = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")
    whole = written(tmp_path, json.dumps(rows), "a.json")
    table = written(tmp_path, "item,system,rater,scores.fluency\ni1,A,r1,4\ni1,A,r2,5\n", "a.csv")
    for path in (lines, whole, table):
        assert scale_of(path, score="scores.fluency").values.tolist() == [4.0, 5.0]


def test_several_files_are_one(tmp_path: Path) -> None:
    one, two = written(tmp_path, PAIRS, "1.csv"), written(tmp_path, PAIRS.replace("w", "v"), "2.csv")
    assert len(read_lines_of([one, two])) == 8


def test_files_of_two_kinds_are_refused(tmp_path: Path) -> None:
    lines = read_lines_of([written(tmp_path, PAIRS, "pairs.csv"), written(tmp_path, LONG, "likert.csv")])
    with pytest.raises(DataError, match=r"likert\.csv has no comparisons of two, as other files have: give files of one kind"):
        recognise(lines, Named())


def test_the_words_for_a_winner(tmp_path: Path) -> None:
    words = ["left", "A", "model_a", "1", "draw", "tie (bothbad)", "right", "B", "2", "neither", "LEFT"]
    path = written(tmp_path, "left,right,winner\n" + "".join(f"A,B,{word}\n" for word in words))
    assert pairs_of(path).outcome.tolist() == [1, 1, 1, 1, 0.5, 0.5, 0, 0, 0, 0.5, 1]


def test_zero_is_a_tie_beside_one_and_two_and_may_be_a_name(tmp_path: Path) -> None:
    coded = written(tmp_path, "left,right,winner\nA,B,1\nA,B,0\nA,B,2\n")
    assert pairs_of(coded).outcome.tolist() == [1.0, 0.5, 0.0]
    named = written(tmp_path, "left,right,winner\n0,1,1\n1,0,0\n")
    assert pairs_of(named).outcome.tolist() == [0.0, 0.0]


def test_a_name_goes_before_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, "left,right,winner\nright,left,right\nb,a,b\n")  # the one on the left is called right
    assert pairs_of(path).outcome.tolist() == [1.0, 1.0]


def test_whichever_stands_on_the_left_it_is_one_unit(tmp_path: Path) -> None:
    path = written(tmp_path, "left,right,winner,worker\nA,B,left,w1\nB,A,right,w2\nB,A,left,w3\nA,C,left,w1\n")
    judgements = pairs_of(path).judgements()
    assert judgements.units.tolist() == [0, 0, 0, 1]
    assert judgements.values.tolist() == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(("text", "message"), [
    (PAIRS + "A,A,left,w1\n", r"ratings.csv:6: both sides are 'A'"),
    (PAIRS + "A,B,maybe,w1\n", r"ratings.csv:6: the winner must be left, right, tie or one of 'A' and 'B', got 'maybe'"),
    (PAIRS + "A,,left,w1\n", r"ratings.csv:6: the right must not be empty \(column 'right'\)"),
    (LONG + "i2,B,,3\n", r"ratings.csv:5: the rater must not be empty"),
    (LONG + "i2,B,r2,good\n", r"ratings.csv:5: the score must be a finite number, as others are, got 'good'"),
    (LONG + "i1,A,r1,3\n", r"ratings.csv:5: rater 'r1' rates 'i1' of 'A' a second time \(first at .*ratings.csv:2\)"),
    ("item,system,rater,score\n", "no ratings in it"),
    ("left,right,winner\na,b,\n", r"ratings.csv: no comparison has a winner \(column 'winner'\)"),
    ("left,right,winner\na,b,1\na,b,0\n", r"ratings.csv:3: a winner that is 0 or 1 in every row does not say which side"),
    ("item,score\na,\n", "ratings.csv: every rating is empty"),
    ("item,rater,score\na,r,nan\na,s,inf\n", "ratings.csv:2: the score must be a finite number, as others are, got 'nan'"),
    ("text,other\na,b\n", "neither comparisons .* nor ratings .* its columns: text, other"),
    ("left,right,who\na,b,c\n", "neither comparisons"),
])  # fmt: skip
def test_bad_rows_are_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    read = pairs_of if text.startswith("left,right,winner") else scale_of
    with pytest.raises(DataError, match=message):
        read(path)


@pytest.mark.parametrize(("named", "error", "message"), [
    ({"left": "lft"}, DataError, "has no column 'lft'; its columns: left, right, winner, worker; did you mean 'left'?"),
    ({"left": "left", "score": "worker"}, UsageError, "--left is of comparisons and --score of a scale"),
])  # fmt: skip
def test_names_that_are_not_there_or_of_both_kinds_are_refused(
    tmp_path: Path, named: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        columns_of(written(tmp_path, PAIRS), **named)


def test_comparisons_without_a_column_for_the_winner_say_which_name_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "one,two,said\nA,B,left\n")
    with pytest.raises(DataError, match="which column says who won"):
        columns_of(path, left="one", right="two")
    with pytest.raises(DataError, match="Give right with --left and --right"):
        columns_of(path, left="one", winner="said")
