"""The format ``conll``: sentences, columns, what ends a sentence, errors with their line."""

from __future__ import annotations

import gzip

import pytest

from harness.data.conll import Conll, read_conll
from harness.errors import DataError


def rows(tmp_path, text, **options):
    path = tmp_path / "a.conll"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(Conll(path, **options).rows())


def test_sentences_end_with_an_empty_line(tmp_path):
    found = rows(tmp_path, "Ann\tB-per\nleft\tO\n\n\n\t\nBonn\tB-loc")
    assert found == [{"tokens": ["Ann", "left"], "tags": ["B-per", "O"]}, {"tokens": ["Bonn"], "tags": ["B-loc"]}]


def test_a_hash_is_a_token_and_docstart_is_none(tmp_path):
    found = rows(tmp_path, "-DOCSTART- -X- O O\n\n# NN O O\nAnn NNP B-NP B-per\n")
    assert found == [{"tokens": ["#", "Ann"], "tags": ["O", "B-per"]}]


def test_columns_are_chosen_and_line_ends_do_not_matter(tmp_path):
    text = "\ufeff1 Ann NNP B-per\r\n2 left VBD O\r\n"
    assert rows(tmp_path, text, token=1, tag=2) == [{"tokens": ["Ann", "left"], "tags": ["NNP", "VBD"]}]
    assert rows(tmp_path, gzip.compress(text.encode()), token=1)[0]["tags"] == ["B-per", "O"]


def test_tabs_part_columns_so_that_tokens_may_hold_spaces(tmp_path):
    assert rows(tmp_path, "New York\tB-loc\n \tO\n") == [{"tokens": ["New York", " "], "tags": ["B-loc", "O"]}]


def test_line_numbers_are_those_of_the_first_token(tmp_path):
    path = tmp_path / "a"
    path.write_text("\nAnn O\n\nBo O\nCy O\n\n")
    assert [number for number, _ in read_conll(path)] == [2, 4]


def test_reading_twice_gives_the_same(tmp_path):
    path = tmp_path / "a"
    path.write_text("Ann O\n")
    assert list(Conll(path).rows()) == list(Conll(path).rows())
    assert Conll(path).corpus() is None


@pytest.mark.parametrize(("text", "options", "message"), [
    ("Ann O\nBo\n", {}, r":2: expected 2 columns as on the lines before, got 1"),
    ("Ann O\n", {"token": 2}, r":1: expected a column 2 \(from 0\), got 2: a token and its tag a line"),
    ("Ann\n", {}, r":1: token and tag must be two columns, got 0 and -1 of 1"),
    ("Ann O\n", {"token": 1}, r":1: token and tag must be two columns, got 1 and -1 of 2"),
    ("Ann\t \n", {}, r":1: the tag is empty"),
    (b"Ann\t\xff\n", {}, r":1: not UTF-8"),
])
def test_errors_name_the_line(tmp_path, text, options, message):
    with pytest.raises(DataError, match=message):
        rows(tmp_path, text, **options)


def test_wnut17(shared_data):
    sentences = [row for _, row in read_conll(shared_data("wnut17/emerging.test.annotated"))]
    assert (len(sentences), sum(len(row["tags"]) for row in sentences)) == (1287, 23394)
    assert sum(tag.startswith("B-") for row in sentences for tag in row["tags"]) == 1079
    for system in ("uh_ritual", "spinningbytes.txt", "arcada", "drexel_cci"):
        guesses = [row["tokens"] for _, row in read_conll(shared_data(f"wnut17/submissions/{system}"))]
        assert guesses == [row["tokens"] for row in sentences]
