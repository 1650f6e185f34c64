"""Spec strings: the grammar, the objects they stand for, and what is said of wrong ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness import plugins
from harness.errors import HarnessError, MetricError, UnknownName, UsageError
from harness.plugins import catalogue, example_spec, find, metric, metric_named, metric_names
from harness.protocols import Metric
from harness.specs import Spec, parse_spec


@dataclass(frozen=True, repr=False)
class Scaled(Metric):
    """A metric with every kind of parameter, used as ``tests.test_plugins:Scaled``."""

    name: ClassVar[str] = "scaled"
    k: int = 3
    factor: float = 1.0
    label: str = "x"
    flag: bool = False
    cap: int | None = None
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.require(self.k > 0, "k", "a positive integer")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("bleu", Spec("bleu")),
        ("recall@10", Spec("recall", "10")),
        ("rouge(type=L, stemmer=true)", Spec("rouge", None, (), (("type", "L"), ("stemmer", "true")))),
        (' f( "a,b" , x = \'c)\' ) ', Spec("f", None, ("a,b",), (("x", "c)"),))),
        (r'f(x="a\"b\\")', Spec("f", None, (), (("x", 'a"b\\'),))),
        ("worst_group(f1(average=macro))", Spec("worst_group", None, (Spec("f1", None, (), (("average", "macro"),)),))),
        ("g(recall@5)", Spec("g", None, (Spec("recall", "5"),))),
        ("f(x=[a, b], y=[])", Spec("f", None, (), (("x", ("a", "b")), ("y", ())))),
        ("f()", Spec("f")),
    ],
)
def test_grammar(text: str, parsed: Spec) -> None:
    assert parse_spec(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': expected a metric's name"),
        ("f(", "'f(': ends too early"),
        ("f(a b)", "'f(a b)': expected ',' or ')'"),
        ("f)x", "'f)x': unexpected ')'"),
        ("recall@", "'recall@': expected a cut-off after '@'"),
        ("f(x=1,x=2)", "'f(x=1,x=2)': parameter 'x' is given twice"),
        ('f("a)', "'f(\"a)': cannot read '\"a)'"),
        ("f(x=,)", "'f(x=,)': unexpected ','"),
        ("f(x=[a", "'f(x=[a': ends too early"),
    ],
)
def test_grammar_errors(text: str, message: str) -> None:
    with pytest.raises(MetricError) as error:
        parse_spec(text)
    assert str(error.value) == message


def test_parameters_take_their_types() -> None:
    found = metric("tests.test_plugins:Scaled(k=5, factor=2, label=7, flag=true, cap=none, words=[a,b])")
    assert found == Scaled(5, 2.0, "7", True, None, ("a", "b"))
    assert found.spec == "scaled(factor=2,flag=true,k=5,label=7,words=[a,b])"
    assert found.signature() == "scaled(cap=none,factor=2,flag=true,k=5,label=7,words=[a,b])#v1"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tests.test_plugins:Scaled(k=0)", "scaled: k must be a positive integer, got 0"),
        ("tests.test_plugins:Scaled(k=ten)", "tests.test_plugins:Scaled: k must be an integer, got 'ten'"),
        ("tests.test_plugins:Scaled(flag=yes)", "tests.test_plugins:Scaled: flag must be true or false, got 'yes'"),
        ("bleuu", "unknown metric 'bleuu'; did you mean 'bleu'?"),
        ("recal@10", "unknown metric 'recal@10'; did you mean 'recall@10'?"),
        ("zzzzqq", "unknown metric 'zzzzqq'; `harness list metrics` shows all"),
        ("ndcg@0", "ndcg@k: k must be a positive integer, got 0"),
        ("accuracy@3", "accuracy takes no @k"),
        ("hit", "hit needs a cut-off: hit@10"),
        ("rouge(typ=L)", "rouge(typ=L): rouge has no parameter 'typ'; did you mean 'type'?"),
        ("rouge(type=Q)", "rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, Lsum, S, SU, W, got 'Q'"),
    ],
)
def test_wrong_specs_say_what_is_wrong(spec: str, message: str) -> None:
    with pytest.raises(HarnessError) as error:
        metric(spec)
    assert str(error.value) == message
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("P_5", "precision@5"), ("P.5", "precision@5"), ("ndcg_cut_10", "ndcg@10"), ("recall_1000", "recall@1000"),
        ("map_cut_100", "map@100"), ("success_5", "hit@5"), ("iprec_at_recall_0.10", "iprec@0.1"), ("relative_P_5",
        "relative_precision@5"), ("rouge_1", "rouge(type=1)"), ("f2", "f_beta(beta=2)"), ("group_gap(P_5)",
        "group_gap(metric=precision@5)"),
    ],
)  # fmt: skip
def test_cut_offs_as_trec_eval_writes_them(written: str, means: str) -> None:
    assert metric(written) == metric(means)
    assert metric(written).spec == metric(means).spec


@pytest.mark.parametrize("written", ["f1.5", "accuracy_5", "bleu_5x", "rouge_10"])
def test_a_number_in_a_name_is_no_cut_off_by_itself(written: str) -> None:
    with pytest.raises(UnknownName, match=written):
        metric(written)


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("auc", "roc_auc"), ("AUROC", "roc_auc"), ("aupr", "pr_auc"), ("frechet", "fid"), ("brier_score", "brier"),
        ("sacrebleu", "bleu"), ("cosine_similarity", "cosine"), ("chrf++", "chrf_pp"), ("p@10", "P@10"), ("em", "exact_match"),
        ("ppl", "perplexity"), ("f1-score", "f1"), ("matthews_corrcoef", "mcc"), ("expected_calibration_error", "ece"),
        ("r-squared", "r2"), ("squad_f1", "token_f1"), ("rouge1", "rouge_1"), ("rougeL", "rouge_l"), ("rougeLsum",
        "rouge_lsum"), ("rouge-l", "rouge_l"), ("bleu4", "bleu"), ("accuracy_score", "accuracy"), ("hit_rate@10", "hit@10"),
        ("hit_rate_20", "hit@20"), ("mean_absolute_error", "mae"), ("mean_squared_error", "mse"), ("kappa", "cohen_kappa"),
        ("mean_reciprocal_rank@5", "mrr@5"), ("mean_iou", "iou"), ("NDCG_5", "ndcg@5"),
    ],
)  # fmt: skip
def test_names_of_other_tools_are_understood_well_enough_to_name_ours(written: str, ours: str) -> None:
    with pytest.raises(UnknownName) as error:
        metric(written)
    assert str(error.value) == f"unknown metric {written!r}; did you mean {ours!r}?"
    metric(ours)


def test_every_synonym_names_a_metric_and_is_none_itself() -> None:
    for letters, ours in plugins._SYNONYMS.items():
        assert plugins._letters(letters) == letters
        assert letters not in metric_names()
        metric(ours.replace("@k", "@10"))


def test_paths_that_cannot_be_imported() -> None:
    with pytest.raises(UsageError, match="cannot be imported"):
        find("suite", "no.such.module:Thing")
    with pytest.raises(UnknownName, match="did you mean 'generation'"):
        find("suite", "generaton")


def test_every_name_and_alias_builds_and_its_spec_parses_back() -> None:
    assert len(metric_names()) > len(catalogue("metric")) > 15
    for name in metric_names():
        if not issubclass(metric_names()[name][0], Metric):
            continue
        found = metric(example_spec(name))
        assert metric(found.spec) == found
        assert metric(found.signature().rpartition("#")[0]).signature() == found.signature()


def test_a_name_is_found_without_all_the_others() -> None:
    """The quick way gives what the whole list gives, for every name and alias; and it does not import the whole package."""
    for name, known in metric_names().items():
        assert metric_named(name) == known
    assert metric_named("no_such_metric") is None
    count = ("import sys; from harness.plugins import metric; [metric(spec) for spec in sys.argv[1:]]; "
             "print(sum(name.startswith('harness.metrics.') for name in sys.modules))")
    for specs in (["exact_match"], ["rouge_l", "macro_f1"], ["ndcg@10", "P_5"]):
        done = subprocess.run([sys.executable, "-c", count, *specs], capture_output=True, text=True, check=True)
        assert int(done.stdout) < 40


def test_every_plugin_says_what_it_is() -> None:
    for kind in ("metric", "suite", "backend", "format"):
        for name, cls in catalogue(kind).items():
            assert vars(cls).get("summary"), f"{kind} {name} has no summary"
            assert cls.__doc__, f"{kind} {name} has no docstring"
