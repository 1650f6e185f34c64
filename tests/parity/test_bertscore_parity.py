"""BERTScore and embedding similarity equal bert-score and sentence-transformers with the same weights, on real translations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BackendError, DataError, MetricError
from harness.metrics.bertscore import BertScore, bertscore
from harness.metrics.embeddingtexts import EmbeddingSimilarity, embedding_similarity
from harness.plugins import metric
from harness.types import Embed, Key, Output, Sample, Text
from tests.parity.embedded import encoder

SharedData = Callable[[str], Path]
Pairs = tuple[list[str], list[list[str]]]


@pytest.fixture(scope="module")
def pairs(shared_data: SharedData) -> Pairs:
    """Real translations with one, two and three references, of which the first is right; an empty one, emoji, a long one."""
    lines = [(shared_data("wmt17_ende") / name).read_text("utf-8").split("\n")
             for name in ("newstest2017.uedin-nmt.4722.en-de.txt", "reference.de.txt", "newstest2017.KIT.4950.en-de.txt")]
    texts = [*lines[0][:12], "", "Grüße 😀", "Wort " * 520, lines[0][3]]
    references = [lines[1][i : i + 1] + lines[2][i : i + i % 3] for i in range(12)]
    return texts, [*references, ["nichts"], ["Gruß 😀", ""], [" ".join(lines[1][:12])], [lines[0][3]]]


def folder() -> str:
    return str(encoder()._require().model.tokenizer.name_or_path)


@pytest.mark.parametrize(("layer", "idf"), [
    (6, False), pytest.param(6, True, marks=pytest.mark.slow), pytest.param(3, False, marks=pytest.mark.slow),
])
def test_bertscore(pairs: Pairs, layer: int, idf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("bert_score")
    tokenizer = encoder()._require().model.tokenizer  # bert-score asks of it what transformers 5 no longer has
    monkeypatch.setattr(type(tokenizer), "build_inputs_with_special_tokens",
                        lambda self, ids: [self.cls_token_id, *ids, self.sep_token_id], raising=False)  # fmt: skip
    texts, references = pairs
    flat = [text for item in references for text in item]
    theirs = package.BERTScorer(model_type=folder(), num_layers=layer, device="cpu", nthreads=0, idf=idf, idf_sents=flat)
    expected = np.stack([side.numpy() for side in theirs.score(texts, references)], axis=1)
    found = bertscore(texts, references, encoder(), layer=layer, idf=idf)
    np.testing.assert_allclose(found.stats[:, :3], expected, atol=1e-5)
    assert found.stats[12, :3].tolist() == [0, 0, 0]
    assert found.stats[-1, :3] == pytest.approx(1, abs=1e-6)
    assert found.value == pytest.approx(expected[:, 2].mean(), abs=1e-5)
    assert np.ptp(expected[:12, 2]) > 0.05


def test_through_the_metric_with_a_baseline(pairs: Pairs, tmp_path: Path) -> None:
    """Roles opened, idf learnt from the references of the task, (x - b) / (1 - b)."""
    texts, references = pairs[0][:12], pairs[1][:12]
    baseline = tmp_path / "baseline.tsv"
    baseline.write_text("LAYER,P,R,F\n5,0.1,0.1,0.1\n6,0.3,0.2,0.25\n", encoding="utf-8")
    samples = [Sample(str(i), references=tuple(item)) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    for measure, base in (("p", 0.3), ("r", 0.2), ("f", 0.25)):
        spec = f"bertscore(idf=true,layer=6,measure={measure},rescale={baseline})"
        assert metric(spec).needs_roles() == {"encoder": Embed}
        opened = metric(spec).open({"encoder": encoder()}).prepare(samples)
        stats = opened.score(samples, outputs).stats
        plain = bertscore(texts, references, encoder(), layer=6, idf=True, measure=measure)
        column = "prf".index(measure)
        np.testing.assert_allclose(stats[:, column], (plain.stats[:, column] - base) / (1 - base), atol=1e-9)
        assert float(opened.finish(stats.sum(axis=0))) == pytest.approx((plain.value - base) / (1 - base), abs=1e-9)


@pytest.mark.slow
def test_embedding_similarity(pairs: Pairs) -> None:
    package = pytest.importorskip("sentence_transformers")
    texts, references = pairs[0][:20], pairs[1][:20]
    model = package.SentenceTransformer(folder(), device="cpu", local_files_only=True)
    cosines = [package.util.cos_sim(model.encode([text]), model.encode(item)) for text, item in zip(texts, references)]
    expected = [float(row.max()) for row in cosines]
    found = embedding_similarity(texts, references, encoder())
    np.testing.assert_allclose(found.per_item, expected, atol=1e-5)
    samples = [Sample(str(i), references=tuple(item)) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    stats = metric("embedding_similarity(model=e)").open({"e": encoder()}).score(samples, outputs).stats
    np.testing.assert_array_equal(stats[:, 0], found.stats[:, 0])


def test_token_vectors_do_not_depend_on_their_company() -> None:
    """Each text alone through the transformer; ids and the tokens around the text as the tokenizer gives them."""
    texts = ["a cat", "", "a much longer text about dogs, cats and mice " * 5, "a cat"]
    together = encoder().token_vectors(texts, layer=2)
    assert [len(ids) for ids, _, _ in together] == [4, 2, len(together[2][0]), 4]
    assert together[0][1].tolist() == [False, True, True, False]
    assert not together[1][1].any()
    for text, (ids, _, vectors) in zip(texts, together):
        [(alone_ids, _, alone)] = encoder().token_vectors([text], layer=2)
        assert ids.tolist() == alone_ids.tolist()
        np.testing.assert_allclose(vectors, alone, atol=2e-5)
    assert not np.allclose(together[0][2], encoder().token_vectors(texts, layer=3)[0][2], atol=0.01)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="layer must be between 0 and 6, got 7"):
        bertscore(["a"], ["b"], encoder(), layer=7)
    with pytest.raises(MetricError, match="bertscore: predictions and references must have the same length, got 1 and 2"):
        bertscore(["a"], ["b", "c"], encoder())
    with pytest.raises(MetricError, match="bertscore: layer must be an integer ≥ 0 or none, got -1"):
        metric("bertscore(layer=-1)")
    with pytest.raises(MetricError, match=r"open\(\) it with the model 'encoder' first"):
        BertScore().statistics(["a"], [["b"]])
    with pytest.raises(MetricError, match=r"open\(\) it with the model 'encoder' first"):
        EmbeddingSimilarity().statistics(["a"], [["b"]])
    (tmp_path / "none.tsv").write_text("LAYER,P,R,F\n", encoding="utf-8")
    with pytest.raises(DataError, match="no baselines"):
        bertscore(["a"], ["b"], encoder(), rescale=tmp_path / "none.tsv")
