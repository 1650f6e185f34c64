"""Spec strings: the grammar, the objects they stand for, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.errors import HarnessError, MetricError, UnknownName, UsageError
from harness.plugins import Spec, catalogue, example_spec, find, metric, metric_names, parse_spec
from harness.protocols import Metric


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
        ("recal@10", "unknown metric 'recal@10'; did you mean 'recall'?"),
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


def test_every_plugin_says_what_it_is() -> None:
    for kind in ("metric", "suite", "backend", "format"):
        for name, cls in catalogue(kind).items():
            assert vars(cls).get("summary"), f"{kind} {name} has no summary"
            assert cls.__doc__, f"{kind} {name} has no docstring"
