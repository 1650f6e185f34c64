"""``score``: what is read how, what is paired with what, and that the numbers are those worked out by hand or by others."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.engine.score import Reading, ScoreResult, score
from harness.errors import DataError, HarnessError, UsageError
from harness.types import Key, Label, Output, Ranking, Sample

HYPOTHESES = ["the cat sat on the mat", "a dog"]
REFERENCES = ["the cat sat on a mat", "the dog"]


def only(results: list[ScoreResult]) -> ScoreResult:
    [result] = results
    return result


def value(results: list[ScoreResult]) -> float:
    found = only(results).value
    assert found is not None
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return make


Write = Callable[[str, str], Path]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


# ── in memory ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lists_of_texts_give_what_sacrebleu_gives() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert value(score("bleu", HYPOTHESES, REFERENCES)) == pytest.approx(expected, abs=1e-9)


def test_several_references_an_item() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    second = ["a cat sat on the mat", "a dog"]
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES, second]).score
    assert value(score("bleu", HYPOTHESES, list(zip(REFERENCES, second)))) == pytest.approx(expected, abs=1e-9)


def test_several_metrics_come_in_their_order_with_their_specs_as_written() -> None:
    results = score(["exact_match(none)", "rouge(type=1)", "exact_match"], ["The x", "b"], ["x", "b"])
    assert [result.metric for result in results] == ["exact_match(none)", "rouge(type=1)", "exact_match"]
    assert [result.value for result in results] == [0.5, pytest.approx((2 / 3 + 1) / 2), 1.0]


def test_labels_integers_and_booleans_pair_with_their_like() -> None:
    assert value(score("accuracy", ["a", "b", "b"], ["a", "b", "a"])) == pytest.approx(2 / 3)
    assert value(score("accuracy", [0, 1, 1], np.array([0, 1, 0]))) == pytest.approx(2 / 3)
    assert value(score("accuracy", np.array([True, False]), [True, True])) == 0.5


def test_one_score_an_answer_is_of_the_label_that_sorts_last() -> None:
    assert value(score("roc_auc", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])) == pytest.approx(0.75)  # scikit-learn's own example
    assert value(score("roc_auc", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], reading=Reading(positive="0"))) == pytest.approx(0.25)


def test_scores_need_not_be_probabilities() -> None:
    assert value(score("roc_auc", [-3, 7, 5, 40], [0, 0, 1, 1])) == pytest.approx(0.75)


def test_one_score_does_not_fit_three_labels() -> None:
    with pytest.raises(UsageError, match=r"fits two labels, the targets have 3 \(a, b, c\)"):
        score("log_loss", [0.1, 0.2, 0.3], ["a", "b", "c"])


def test_probabilities_as_mappings() -> None:
    given = [{"spam": 0.9, "ham": 0.1}, {"spam": 0.2, "ham": 0.8}]
    loss, accuracy = score(["log_loss", "accuracy"], given, ["spam", "spam"])
    assert loss.value == pytest.approx(-(math.log(0.9) + math.log(0.2)) / 2)
    assert accuracy.value == 0.5


def test_rankings_are_scored_for_the_queries_on_both_sides() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}, "unasked": {"c": 1}}
    run = {"q1": {"a": 0.1, "x": 0.9}, "q2": Ranking(("b",), (1.0,)), "stray": {"a": 1.0}}
    result = only(score("mrr", run, qrels))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (0.75, 2, 0)
    assert len(result.notes) == 2
    assert result.notes[0].startswith("1 query of predictions left out")
    assert result.notes[1].startswith("1 topic of references left out")


def test_mappings_are_paired_by_key_and_an_unanswered_one_is_missing() -> None:
    references = {"q1": ["Paris"], "q2": ["Milan"], "q3": ["Bern"]}
    result = only(score("exact_match", {"q2": "Rome", "q1": "Paris", "q9": "Oslo"}, references))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (0.5, 2, 1)
    assert (result.estimate.worst_case, result.estimate.best_case) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert [note.split(" of ")[0] for note in result.notes] == ["1 prediction", "1 sample"]


def test_samples_and_outputs_stand_for_themselves() -> None:
    samples = [Sample("x", target="a"), Sample("y", target="b")]
    outputs = [Output(Key("y"), Label("b")), Output(Key("x"), None, error="timeout")]
    result = only(score("accuracy", outputs, samples))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (1.0, 1, 1)


def test_repeats_of_a_sample_share_one_vote() -> None:
    outputs = [Output(Key("x", 0), Label("a")), Output(Key("x", 1), Label("b")), Output(Key("y"), Label("b"))]
    result = only(score("accuracy", outputs, {"x": "a", "y": "b"}))
    assert (result.value, result.estimate.n) == (0.75, 2)


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_text_lines_keep_byte_order_mark_and_odd_separators(write: Write) -> None:
    hyp = write("h.txt", "\ufeffone\u2028two\n\nthree  \n")
    ref = write("r.txt", "\ufeffone\u2028two\n\nthree\n")
    result = only(score("exact_match(normalize=none)", hyp, ref))
    assert (result.value, result.estimate.n) == (1.0, 3)
    without_mark = write("w.txt", "one\u2028two\n\nthree\n")
    assert value(score("exact_match(normalize=none)", hyp, without_mark)) == pytest.approx(2 / 3)


def test_a_stream_and_several_files_of_references(write: Write) -> None:
    first, second = write("1.txt", "a x\nb\n"), write("2.txt", "c\nd\n")
    stream = io.BytesIO(b"c\nb\n")  # the first is in the second file, the second in the first
    assert value(score("exact_match", stream, [first, str(second)])) == 1.0


def test_json_objects_are_recognised_and_hold_their_own_references(write: Write) -> None:
    failed = {"id": 8, "error": "timeout", "references": "x"}
    path = write("out", lines({"id": 7, "text": "Paris", "references": ["Paris", "paris"]}, failed))
    result = only(score("exact_match", path))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (1.0, 1, 1)
    assert result.samples is not None
    assert result.samples.to_json() == [
        {"id": "7", "value": 1.0, "missing": None}, {"id": "8", "value": None, "missing": "timeout"},
    ]  # fmt: skip


def test_lines_that_look_like_json_can_be_text(write: Write) -> None:
    hyp, ref = write("h", '{"a": 1}\n{"b": 2}\n'), write("r", '{"a": 1}\n{"b": 3}\n')
    assert value(score("exact_match(none)", hyp, ref, reading=Reading("text"))) == 0.5


def test_named_fields_of_json_objects(write: Write) -> None:
    path = write("o.jsonl", lines({"out": {"answer": "Rome"}, "gold": "Rome"}, {"out": {"answer": "Oslo"}, "gold": "Bern"}))
    assert value(score("exact_match", path, reading=Reading(field="out.answer", target="gold"))) == 0.5


def test_json_objects_pair_by_id_with_references_in_another_order(write: Write) -> None:
    hyp = write("h", lines({"id": "a", "text": "1"}, {"id": "b", "text": "2"}))
    ref = write("r", lines({"id": "b", "references": ["2"]}, {"id": "a", "references": ["1"]}))
    assert value(score("exact_match", hyp, ref)) == 1.0


def test_json_objects_pair_in_order_with_lines(write: Write) -> None:
    hyp = write("h", lines({"id": "a", "text": "1"}, {"id": "b", "text": "2"}))
    result = only(score("exact_match", hyp, write("r", "1\nx\n")))
    assert result.samples is not None
    assert (list(result.samples.ids), result.samples.values.tolist()) == (["a", "b"], [1.0, 0.0])


CSV = "target,prediction,score\nham,ham,0.1\nham,spam,0.4\nspam,ham,0.35\nspam,spam,0.8\n"


def test_a_table_of_targets_predictions_and_scores(write: Write) -> None:
    accuracy, auc = score(["accuracy", "roc_auc"], write("s.txt", CSV))
    assert (accuracy.value, auc.value) == (0.5, pytest.approx(0.75))


def test_named_columns_and_targets_in_a_file_of_their_own(write: Write) -> None:
    table = write("s.csv", "id,guess,p\n1,a,0.1\n2,b,0.7\n")
    gold = write("g.csv", "id,gold\n2,b\n1,b\n")
    assert value(score("accuracy", table, gold, reading=Reading(label="guess", target="gold"))) == 0.5
    table, gold = write("p.csv", "guess\na\nb\n"), write("g", "b\nb\n")
    assert value(score("accuracy", table, gold, reading=Reading(label="guess"))) == 0.5


def test_where_only_scores_are_measured_the_label_is_the_truth(write: Write) -> None:
    path = write("s.csv", "label,score\n0,0.1\n0,0.4\n1,0.35\n1,0.8\n")
    assert value(score("roc_auc", path, reading=Reading(label="label", score="score"))) == pytest.approx(0.75)


def test_tabs_and_texts_in_tables(write: Write) -> None:
    path = write("t", 'hyp\tref\n"a b\t"a b\nc\td\n')
    assert value(score("exact_match", path, reading=Reading("tsv", field="hyp", target="ref"))) == 0.5
    path = write("c", 'hyp,ref\n"a, b","a, b"\nc,d\n')
    assert value(score("exact_match", path, reading=Reading(field="hyp", target="ref"))) == 0.5


def test_labels_and_scores_line_by_line(write: Write) -> None:
    labels = write("l", "0\n0\n1\n1\n")
    assert value(score("accuracy", write("p", "0\n1\n1\n1\n"), labels)) == 0.75
    assert value(score("roc_auc", write("s", "0.1\n0.4\n0.35\n0.8\n"), labels)) == pytest.approx(0.75)


def test_stored_rows_of_labels_rankings_and_likelihoods(write: Write) -> None:
    likely = {"id": 1, "target": "a", "probabilities": {"a": 0.7, "b": 0.3}}
    labels = write("l", lines(likely, {"id": 2, "target": "b", "label": "a"}))
    assert value(score("accuracy", labels)) == 0.5
    ranks = write("k", lines({"id": "q", "ranking": [["x", 2], ["y", 1]]}, {"id": "r", "ranking": []}))
    assert value(score("mrr", ranks, write("q", "q 0 y 1\nr 0 y 1\n"))) == 0.25
    likelihoods = {"type": "likelihoods", "logprobs": [math.log(1 / 8)], "n_tokens": [3]}
    assert value(score("perplexity", write("p", lines({"id": 1, "answer": likelihoods})))) == pytest.approx(2.0)


def test_timings_go_with_any_answers(write: Write) -> None:
    first = {"id": 1, "text": "a", "references": "a", "latency_s": 1}
    path = write("o", lines(first, {"id": 2, "text": "b", "references": "c", "latency_s": 3}))
    match, latency = score(["exact_match", "latency"], path)
    assert (match.value, latency.value) == (0.5, 2.0)
    assert value(score("latency(q=1)", path)) == 3.0


def test_a_trec_run_with_ties_and_a_rank_column_that_lies(write: Write) -> None:
    run = write("run", "q Q0 a 1 0.5 t\nq Q0 b 2 0.5 t\nq Q0 c 3 0.9 t\n")  # trec_eval's order: c, then b before a
    assert value(score("mrr", run, write("qrels", "q 0 b 1\n"))) == 0.5


# ── estimates ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_seed_fixes_the_interval_and_the_level_widens_it() -> None:
    rng = np.random.default_rng(0)
    predictions = [" ".join(rng.choice(list("abcdef"), 8)) for _ in range(60)]
    references = [" ".join(rng.choice(list("abcdef"), 8)) for _ in range(60)]

    def interval(**settings: float) -> tuple[float, float]:
        estimate = only(score("bleu", predictions, references, n_bootstrap=300, **settings)).estimate  # type: ignore[arg-type]
        assert estimate.low is not None and estimate.high is not None and estimate.value is not None  # noqa: PT018
        assert estimate.low <= estimate.value <= estimate.high
        return estimate.low, estimate.high

    assert interval(seed=1) == interval(seed=1) != interval(seed=2)
    narrow, wide = interval(level=0.5), interval(level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_an_undefined_value_is_null_with_its_reason_in_json() -> None:
    result = only(score("roc_auc", [0.2, 0.3], ["a", "a"], reading=Reading(positive="a")))
    document = json.loads(json.dumps(result.to_json(per_sample=True)))
    assert document["value"] is None
    assert document["reason"]
    assert [row["value"] for row in document["samples"]] == [None, None]


def test_the_json_object_has_the_documented_keys() -> None:
    document = only(score("macro_f1", ["a", "b"], ["a", "a"])).to_json(per_sample=True)
    wanted = {"metric", "signature", "value", "low", "high", "level", "n", "n_missing", "tables", "samples"}
    assert wanted <= set(document)
    assert document["metric"] == "macro_f1"
    assert set(document["tables"]) == {"per_class", "confusion"}
    assert document["tables"]["per_class"]["columns"][0] == "label"


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def check(error: type[HarnessError], message: str, *arguments: object, reading: Reading | None = None) -> None:
    with pytest.raises(error) as caught:
        score(*arguments, reading=reading or Reading())  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_metrics_of_different_answers_do_not_go_together() -> None:
    check(UsageError, "bleu needs texts and ndcg@10 needs rankings", ["bleu", "ndcg@10"], ["a"], ["a"])


@pytest.mark.parametrize(
    ("message", "hyp", "ref", "specs", "reading"),
    [
        ("references file {r} has 1 line, predictions {h} 2", "a\nb\n", "a\n", "bleu", Reading()),
        ("{h}: no lines in it", "", "a\n", "bleu", Reading()),
        ("{r}: no lines in it", "a\n", "", "bleu", Reading()),
        ("{h}: no rows in it", "", "a\n", "accuracy", Reading("csv")),
        ("{h}:2: not JSON", '{"id": 1, "text": "a"}\n{"id": \n', "a\nb\n", "bleu", Reading("jsonl")),
        ("{h}:1: text must be a string, got 3", '{"id": 1, "text": 3}\n', "a\n", "bleu", Reading()),
        ("{h}:2: bleu cannot take label answers", '{"text": "a"}\n{"label": "a"}\n', "a\nb\n", "bleu", Reading()),
        ("{h} has no field 'txt'; its fields: id, text; did you mean 'text'?",
         '{"id": 1, "text": "a"}\n', "a\n", "bleu", Reading(field="txt")),
        ("id 'x' is there twice", '{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n', "a\nb\n", "bleu", Reading()),
        ("no id in common", '{"id": "x", "text": "a"}\n', '{"id": "y", "text": "a"}\n', "bleu", Reading()),
        ("which column is the predicted label?", "guess\na\n", "a\n", "accuracy", Reading("csv")),
        ("{h}:3: score must be a number, got 'high'", "score\n0.1\nhigh\n", "a\nb\n", "roc_auc", Reading(score="score")),
        ("{h}:2: the score must be a number, got 'high'", "0.1\nhigh\n", "a\nb\n", "roc_auc", Reading()),
        ("expected 6 columns", "q Q0 d 1\n", "q 0 d 1\n", "mrr", Reading()),
        ("{r}:2: the grade must be an integer, got 'x'", "q Q0 d 1 1.0 t\n", "q 0 d 1\nq 0 e x\n", "mrr", Reading()),
        ("no id in common", "q Q0 d 1 1.0 t\n", "z 0 d 1\n", "mrr", Reading()),
        ("can be read from trec or jsonl, not from csv", "q Q0 d 1 1.0 t\n", "q 0 d 1\n", "mrr", Reading("csv")),
        ("--score is for metrics of labels; bleu needs texts", "a\n", "a\n", "bleu", Reading(score="s")),
    ],
)
def test_bad_files(write: Write, message: str, hyp: str, ref: str, specs: str, reading: Reading) -> None:
    h, r = write("h", hyp), write("r", ref)
    check((DataError, UsageError), message.format(h=h, r=r), specs, h, r, reading=reading)  # type: ignore[arg-type]


def test_what_is_not_there(write: Write, tmp_path: Path) -> None:
    hyp = write("h", "a\n")
    check(DataError, "nope: cannot be read", "bleu", tmp_path / "nope", hyp)
    check(UsageError, "bleu needs references beside", "bleu", hyp)
    check(UsageError, "mrr needs relevance judgements", "mrr", write("run", "q Q0 d 1 1.0 t\n"))
    check(UsageError, "accuracy needs target", "accuracy", write("t.csv", "prediction,truth\na,a\n"))
    check(UsageError, "bleu needs references: give references", "bleu", ["a"])
    check(DataError, "1 reference for 2 predictions", "bleu", ["a", "b"], ["a"])
    check(UsageError, "takes one file of references, got 2", "accuracy", hyp, [hyp, hyp])
    check(DataError, "predictions[2]: bleu cannot take 3 (int)", "bleu", ["a", 3], ["a", "b"])
    check(UsageError, "must be opened in binary mode", "bleu", io.StringIO("a"), hyp)


@pytest.mark.parametrize("bad", [{"level": 95}, {"level": 0}, {"n_bootstrap": 0}, {"n_bootstrap": 1_000_001}, {"seed": -1}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        score("bleu", ["a"], ["a"], **bad)  # type: ignore[arg-type]


def test_an_unknown_form_lists_the_forms_once() -> None:
    forms = "text, jsonl, csv, tsv, trec, conll, npy"
    for written, hint in {"json": "; did you mean 'jsonl'?", "foo": ""}.items():
        with pytest.raises(UsageError) as refused:
            Reading(written)
        assert str(refused.value) == f"score: input format must be one of {forms}, got {written!r}{hint}"


TABLE = "id,guess,prob,gold\n1,a,0.2,a\n2,b,0.9,b\n"
OF_TABLE = "its columns: id, guess, prob, gold"
OBJECTS = '{"id": 1, "text": "a", "references": ["a"], "more": {"x": "a"}}\n'


@pytest.mark.parametrize(
    ("spec", "text", "reading", "says"),
    [
        ("accuracy", TABLE, Reading(label="nope", target="gold"), f"has no column 'nope'; {OF_TABLE}"),
        ("accuracy", TABLE, Reading(label="guess", target="golds"), f"has no column 'golds'; {OF_TABLE}; did you mean 'gold'?"),
        ("accuracy", TABLE, Reading(label="guess", target="gold", score="nope"), f"has no column 'nope'; {OF_TABLE}"),
        ("roc_auc", TABLE, Reading(score="nope", target="gold"), f"has no column 'nope'; {OF_TABLE}"),
        ("roc_auc", TABLE, Reading(score="prob", target="gold", label="nope"), f"has no column 'nope'; {OF_TABLE}"),
        ("roc_auc", TABLE, Reading(score="prob", label="nope"), f"has no column 'nope'; {OF_TABLE}"),
        ("bleu", TABLE, Reading(field="gess", target="gold"), f"has no column 'gess'; {OF_TABLE}; did you mean 'guess'?"),
        ("bleu", OBJECTS, Reading(target="nope"), "has no field 'nope'; its fields: id, text, references, more"),
        ("bleu", OBJECTS, Reading(field="more.y"),
         "has no field 'more.y'; its fields: id, text, references, more; did you mean 'more'?"),
    ],
)
def test_a_column_that_is_named_and_absent_is_refused(
    tmp_path: Path, spec: str, text: str, reading: Reading, says: str
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as refused:
        score(spec, path, reading=reading)
    assert str(refused.value) == f"{path} {says}"


def test_an_absent_column_beside_references_is_refused(tmp_path: Path) -> None:
    path, truth = tmp_path / "scores.csv", tmp_path / "gold.jsonl"
    path.write_text(TABLE, encoding="utf-8")
    truth.write_text('{"id": 1, "target": "a", "other": "b"}\n{"id": 2, "target": "b", "other": "a"}\n', encoding="utf-8")
    assert only(score("roc_auc", path, truth, reading=Reading(score="prob", label="guess"))).value == 1.0
    with pytest.raises(DataError, match=f"scores.csv has no column 'nope'; {OF_TABLE}$"):
        score("roc_auc", path, truth, reading=Reading(score="prob", label="nope"))
    with pytest.raises(DataError, match=r"gold.jsonl has no field 'nope'; its fields: id, target, other$"):
        score("accuracy", path, truth, reading=Reading(label="guess", target="nope"))


def test_a_target_that_no_metric_or_line_has_use_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h.txt"
    path.write_text("a\n", encoding="utf-8")
    with pytest.raises(UsageError, match="lines of plain text have no fields"):
        score("bleu", path, path, reading=Reading("text", target="nope"))


@pytest.mark.parametrize(
    ("spec", "fields"),
    [("perplexity", "logprob and n_tokens (or an answer of type likelihoods)"), ("latency_p95", "latency_s")],
)
def test_plain_text_for_what_needs_json_lines_says_so(tmp_path: Path, spec: str, fields: str) -> None:
    path = tmp_path / "h.txt"
    path.write_text("\na b\nc\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        score(spec, path)
    assert str(refused.value) == f"score: {spec} needs JSON lines with {fields}; {path} holds other text"


def test_of_several_answers_in_a_row_the_metric_takes_its_own(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    rows: list[dict[str, object]] = [
        {"id": 1, "text": "Rome", "label": "y", "ranking": [["d", 1]], "target": "y"},
        {"id": 2, "text": "Oslo", "label": "n", "ranking": [["e", 1]], "target": "n"},
    ]
    shared = {"references": ["Rome"], "qrels": {"d": 1}}
    path.write_text("".join(json.dumps({**row, **shared}) + "\n" for row in rows), encoding="utf-8")
    assert only(score("exact_match", path)).value == 0.5
    assert only(score("accuracy", path)).value == 1.0
    assert only(score("ndcg@10", path, reading=Reading("jsonl"))).value == 0.5
