"""Synonyms out of WordNet's files: forms, exceptions, markers, where the files are looked for."""

from __future__ import annotations

import zipfile

import pytest

from harness.errors import MetricError
from harness.metrics import wordnet
from harness.metrics.wordnet import find_wordnet, open_wordnet
from tests.metrics.wordnetfiles import write_wordnet


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_wordnet(tmp_path_factory.mktemp("nltk") / "corpora" / "wordnet")


@pytest.mark.parametrize(("word", "synonyms"), [
    ("dog", "dog frump chase track"),       # nouns and verbs; names of several words are left out
    ("DOGS", "dog frump chase track"),      # in lower case, without the s
    ("geese", "goose"), ("men", "man"),     # listed exceptions
    ("axes", "axis"),                       # of ax and axis, only the one that is there
    ("boxes", "box package"),               # xes -> x
    ("flies", "fly wing"),                  # ies -> y, nouns and verbs; the adjective fly is not inflected with -ies
    ("fly", "fly wing"), ("flew", "fly wing"),
    ("going", "go travel move"), ("hopped", ""),
    ("biggest", ""), ("bigger", "big large immense"),  # -est leaves bigg; the exception names big
    ("nicer", "nice"), ("galore", "galore"),           # er -> e; the marker of place is no part of the name
    ("rapidly", "quickly rapidly speedily"), ("big", "big large immense boastfully"), ("xyz", ""), ("", ""),
    ("one", "one two three four five six seven eight nine ten eleven"),  # their number is hexadecimal
    ("über", "")])
def test_synonyms(files, word, synonyms):
    assert open_wordnet(files).synonyms(word) == set(synonyms.split())


def test_version(files):
    assert open_wordnet(files).version == "3.0"


def test_a_zip_is_read_like_the_folder(files, tmp_path):
    path = tmp_path / "wordnet.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in files.iterdir():
            archive.write(file, f"wordnet/{file.name}")
    assert open_wordnet(path).synonyms("dogs") == {"dog", "frump", "chase", "track"}


def test_where_it_is_looked_for(files, tmp_path, monkeypatch):
    data = pytest.importorskip("nltk.data")
    monkeypatch.setattr(wordnet, "_DEBIAN", tmp_path / "nothing")
    monkeypatch.setattr(data, "path", [str(tmp_path)])
    assert find_wordnet() is None
    monkeypatch.setattr(wordnet, "_DEBIAN", files)
    assert find_wordnet() == files
    monkeypatch.setattr(data, "path", [str(tmp_path), str(files.parent.parent)])
    monkeypatch.setattr(wordnet, "_DEBIAN", tmp_path / "nothing")
    assert find_wordnet() == files


def test_what_is_no_wordnet(tmp_path):
    with pytest.raises(MetricError, match=r"WordNet: .* must be a folder or a zip with index\.noun"):
        open_wordnet(tmp_path)
    (tmp_path / "index.noun").write_text("", encoding="utf-8")
    with pytest.raises(MetricError, match=r"WordNet: .* has no noun\.exc"):
        open_wordnet(tmp_path)
