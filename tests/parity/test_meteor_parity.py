"""METEOR against nltk's meteor_score, and its WordNet against nltk's reader of the same files."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.meteor import Meteor
from harness.metrics.wordnet import find_wordnet, open_wordnet
from tests.metrics.wordnetfiles import write_wordnet

reader = pytest.importorskip("nltk.corpus.reader.wordnet")
theirs = pytest.importorskip("nltk.translate.meteor_score")
data = pytest.importorskip("nltk.data")

INSTALLED = find_wordnet()  # before nltk is told of others

thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class NoWordNet:
    """What nltk is given for the exact and stem stages alone."""

    def synsets(self, word):
        return []


class Reader(reader.WordNetCorpusReader):
    """nltk's reader, without the table of the sense keys of other versions, which Debian's package does not have."""

    def map_wn(self, version="wordnet"):
        return None


def nltk_reader(folder, into):
    """nltk's reader of a copy of these files in a folder where it agrees to read."""
    place = into / "corpora" / "wordnet"
    if place != folder:
        place.mkdir(parents=True)
        for file in folder.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
    if not (place / "lexnames").exists():
        (place / "lexnames").write_text("".join(f"{i:02d}\tname\t1\n" for i in range(45)), encoding="utf-8")
    data.path.append(str(into))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Reader(data.find("corpora/wordnet", [str(into)]), None)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    into = tmp_path_factory.mktemp("nltk_data")
    folder = write_wordnet(into / "corpora" / "wordnet")
    yield folder, nltk_reader(folder, into)
    data.path.remove(str(into))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = INSTALLED
    if folder is None or not folder.is_dir():
        pytest.skip("no WordNet on this machine (Debian: apt install wordnet-base)")
    into = tmp_path_factory.mktemp("real_nltk_data")
    yield folder, nltk_reader(folder, into)
    data.path.remove(str(into))


def assert_equal_to_nltk(predictions, references, ours, wordnet):
    expected = [theirs.meteor_score([text.split() for text in item], prediction.split(), wordnet=wordnet)
                for prediction, item in zip(predictions, references)]
    measured = Meteor(wordnet=ours).over(predictions, references)
    assert measured.per_item.tolist() == pytest.approx(expected, abs=1e-12)
    assert measured.value == pytest.approx(sum(expected) / len(expected), abs=1e-12)


@pytest.mark.parametrize("system", ["KIT.4950", "online-A.0"])
def test_exact_and_stem_on_real_text_with_two_references(shared_data, system):
    names = (f"newstest2017.{system}.en-de", "reference.de", "newstest2017.SYSTRAN.4847.en-de")
    mine, one, two = (shared_data(f"wmt17_ende/{name}.txt").read_bytes().decode("utf-8").split("\n")[:500] for name in names)
    assert_equal_to_nltk(mine, [[a, b][:1 + i % 2] for i, (a, b) in enumerate(zip(one, two))], "off", NoWordNet())


def test_english_summaries_with_synonyms_of_a_small_wordnet(shared_data, small):
    rows = json.loads(shared_data("qags/qags_cnndm.json").read_text("utf-8"))[:60]
    swap = {"people": "dog", "said": "chase", "the": "big", "police": "track", "was": "flew", "in": "immense"}
    predictions = [" ".join(swap.get(word, word) for word in row["system_output"].split()) for row in rows]
    assert_equal_to_nltk(predictions, [[row["reference"]] for row in rows], small[0], small[1])


WORDS = ("dog dogs Dog chase track frump chased geese goose big large immense bigger fly flies flew wing nice run running the "
         "a . über ß men man boxes package İ")
ENDINGS = ("", "s", "es", "ed", "ing", "er", "est")
words = st.sampled_from(WORDS.split(" "))
text = st.lists(words, max_size=9).map(" ".join) | st.text(max_size=8)


@thorough
@given(st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_made_texts(small, items):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_nltk(predictions, references, small[0], small[1])
    assert_equal_to_nltk(predictions, references, "off", NoWordNet())


def assert_same_synonyms(words, folder, wordnet):
    ours = open_wordnet(folder)
    for word in words:
        names = {lemma.name() for synset in wordnet.synsets(word) for lemma in synset.lemmas()}
        assert ours.synonyms(word) == {name for name in names if "_" not in name}, word


@thorough
@given(st.lists(st.tuples(words, st.sampled_from(ENDINGS)).map("".join) | words.map(str.upper) | st.text(max_size=5),
                max_size=6))
def test_forms_in_a_small_wordnet(small, forms):
    assert_same_synonyms(forms, *small)


def test_forms_in_the_real_wordnet(shared_data, real):
    found = sorted(set(re.findall("[a-z]+", shared_data("wikitext2/test.txt").read_text("utf-8").lower())))
    exceptions = [line.split()[0] for name in ("noun", "verb", "adj", "adv")
                  for line in Path(real[0], f"{name}.exc").read_text("utf-8").splitlines()]
    assert_same_synonyms([*found[::3], *exceptions[::5]], *real)


def test_real_text_with_the_real_wordnet(shared_data, real):
    rows = json.loads(shared_data("qags/qags_cnndm.json").read_text("utf-8"))[:80]
    assert_equal_to_nltk([row["system_output"] for row in rows], [[row["reference"]] for row in rows], *real)


def test_the_example_of_nlg_eval(shared_data):
    """nlg-eval prints 0.295797: that is METEOR 1.5, the Java programme, with paraphrase tables; nltk's definition: .481694."""
    texts = [shared_data(f"nlgeval_examples/{name}.txt").read_text("utf-8").splitlines() for name in ("hyp", "ref1", "ref2")]
    value = Meteor(wordnet="off").over(texts[0], list(zip(*texts[1:]))).value
    assert value == pytest.approx(0.481694, abs=5e-7)
