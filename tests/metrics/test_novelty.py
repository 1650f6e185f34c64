"""What a file does not have: out-of-vocabulary words, novel n-grams, novel texts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.novelty import Novelty, OovRate, novelty, oov_rate
from harness.plugins import metric
from harness.types import Key, Number, Output, Sample, Text

lines = st.lists(st.text(alphabet="ab c", max_size=10), max_size=5)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text("The cat sat on the mat.\nA dog ran!\n", encoding="utf-8")
    return path


def test_hand_worked(source: Path) -> None:
    outputs = ["the CAT sat", "the cat ran", "a dog ran", "sat on the mat a dog"]
    assert oov_rate(outputs, vocabulary=source) == 0
    assert oov_rate(["a bird sat"], vocabulary=source) == 1 / 3
    # New bigrams: cat-ran, mat-a (of different lines).
    assert novelty(outputs, against=source, n=2) == 2 / (2 + 2 + 2 + 5)
    # New trigrams: the-cat-ran, the-mat-a, mat-a-dog.
    assert novelty(outputs, against=source, n=3) == 3 / (1 + 1 + 1 + 4)
    assert novelty(outputs, against=source, of="text") == 3 / 4
    assert math.isnan(novelty(["a b c"], against=source))
    assert math.isnan(oov_rate(["", "?"], vocabulary=source))


@given(lines, lines, st.integers(1, 3))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_a_plain_set(tmp_path: Path, outputs: list[str], known: list[str], n: int) -> None:
    path = tmp_path / "known.txt"
    path.write_text("\n".join(known), encoding="utf-8")

    def grams(text: str) -> list[tuple[str, ...]]:
        tokens = text.split()
        return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]

    seen = {gram for line in known for gram in grams(line)}
    all_grams = [gram for text in outputs for gram in grams(text)]
    expected = sum(gram not in seen for gram in all_grams) / len(all_grams) if all_grams else math.nan
    assert novelty(outputs, against=path, n=n) == pytest.approx(expected, nan_ok=True)
    whole = {tuple(line.split()) for line in known} | ({()} if not known else set())
    new = [tuple(text.split()) not in whole for text in outputs]
    assert novelty(outputs, against=path, of="text") == pytest.approx(np.mean(new) if new else math.nan, nan_ok=True)


def test_rows_of_the_metric(source: Path) -> None:
    m = Novelty(source, n=2)
    samples = [Sample(str(i)) for i in range(3)]
    outputs = [Output(Key("0"), Text("the cat ran")), Output(Key("1"), Number(1)), Output(Key("2"), Text("cat"))]
    found = m.score(samples, outputs)
    assert found.missing == {1: "the answer is Number, not Text"}
    assert found.stats[[0, 2]].tolist() == [[1, 2], [0, 0]]
    assert m.rows(found.stats[[0, 2]]).tolist() == pytest.approx([0.5, math.nan], nan_ok=True)
    assert m.finish(found.stats[[0, 2]].sum(axis=0)) == 0.5


def test_without_a_file_the_references_of_all_samples_take_its_place() -> None:
    samples = [Sample("0", references=("the cat sat",)), Sample("1", references=("a dog ran", "a dog sat"))]
    outputs = [Output(Key("0"), Text("the dog ran")), Output(Key("1"), Text("the bird ran"))]
    assert metric("oov_rate").prepare(samples).score(samples, outputs).stats.tolist() == [[0, 3], [1, 3]]
    m = metric("novelty(n=2)").prepare(samples)
    assert m.score(samples, outputs).stats.tolist() == [[1, 2], [2, 2]]
    # What is known does not depend on which outputs there are.
    assert m.score(samples[:1], outputs[:1]).stats.tolist() == [[1, 2]]
    assert m.signature() == "novelty(against=none,n=2,of=ngram,tokenize=ascii)#v1"
    assert m.needs == metric("oov_rate").needs == {"text", "references"}
    assert Novelty(Path("train.txt")).needs == Novelty.needs == {"text"}
    nothing = metric("novelty").prepare([Sample("0")]).score([Sample("0")], outputs[:1])
    assert nothing.missing == {0: "there is neither a file nor a reference to hold the outputs against"}


def test_the_words_of_the_file_are_cut_as_the_outputs_are(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeffÜber\n东京\n", encoding="utf-8")
    assert oov_rate(["über"], vocabulary=path, tokenize="unicode") == 0
    assert oov_rate(["京 东"], vocabulary=path, tokenize="zh") == 0
    assert oov_rate(["京 东"], vocabulary=path, tokenize="unicode") == 1


def test_the_signature_names_the_content_of_the_file(source: Path) -> None:
    m = metric(f'oov_rate(vocabulary="{source}")')
    assert m == OovRate(source)
    before = m.signature()
    assert before.startswith('oov_rate(tokenize=ascii,vocabulary="train.txt#sha256:')
    source.write_text("other", encoding="utf-8")
    assert m.signature() != before
    assert metric(f'novelty("{source}", n=3)') == Novelty(source, 3)


def test_bad_input(tmp_path: Path, source: Path) -> None:
    with pytest.raises(MetricError, match=r"^oov_rate: texts\[0\] must be a text, got 1$"):
        oov_rate(["a"], vocabulary=[1])  # type: ignore[list-item]
    with pytest.raises(MetricError, match=r"^novelty: n must be a positive integer, got 0$"):
        Novelty(source, 0)
    with pytest.raises(MetricError, match=r"^novelty: of must be one of ngram, text, got 'line'$"):
        Novelty(source, of="line")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match=r"^novelty: the file must be readable UTF-8 text, got '.*none.txt'"):
        novelty(["a"], against=tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(MetricError, match=r"^oov_rate: the file must be readable UTF-8 text, got '.*latin.txt'"):
        oov_rate(["a"], vocabulary=tmp_path / "latin.txt")
