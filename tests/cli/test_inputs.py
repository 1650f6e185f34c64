"""The command that ``harness list metrics NAME`` proposes: it runs as it stands on files of those names."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from harness.cli.inputs import command_for
from harness.plugins import example_spec, metric_names
from harness.protocols import Metric
from tests.cli.inputs import write_inputs
from tests.cli.projects import Harness

_NO_FIELD_FOR_IT = {"token_entropy"}  # rows have entropies inside an answer object alone


def test_every_metrics_command_gives_a_value(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    asked = 0
    for name, (cls, _) in metric_names().items():
        command = command_for(example_spec(name)) if issubclass(cls, Metric) else "--encoder"
        if "--encoder" in command:
            continue
        said = harness(*shlex.split(command)[1:], "--n-bootstrap", "5", "--json")
        assert (name, said.code, said.err) == (name, 0, "")
        assert name in _NO_FIELD_FOR_IT or said.json["results"][0]["value"] is not None, command
        asked += 1
    assert asked > 250


@pytest.mark.parametrize(
    ("spec", "rest"),
    [
        ("self_bleu", "self_bleu -p outputs.txt"),
        ("ndcg@10", "ndcg@10 -p run.trec -r qrels.txt"),
        ("roc_auc", "roc_auc -p scores.csv --target label --score score"),
        ("krippendorff_alpha", "krippendorff_alpha -p ratings.csv"),
        ("ner_f1", "ner_f1 -p tagged.conll -r gold.conll"),
        ("perplexity", "perplexity -p likelihoods.jsonl"),
        ("support", "support -p answers.jsonl"),
        ("latency", "latency -p outputs.jsonl"),
        ("fid", "fid -p generated.npy -r real.npy"),
        ("sts_pearson", "sts_pearson -p pairs.jsonl"),
        ("worst_group(accuracy)", "'worst_group(by=group,metric=accuracy)' -p predictions.csv"),
        ("rbo", "rbo -p a.jsonl -r b.jsonl"),
        ("f1(average=micro)", "'f1(average=micro)' -p predictions.csv"),
        ("bertscore", "bertscore -p outputs.txt -r references.txt --encoder path:DIR"),
        ("elo", "elo -p preferences.csv"),
    ],
)
def test_the_command_of(harness: Harness, spec: str, rest: str) -> None:
    assert harness("list", "metrics", spec).out.splitlines()[-1] == f"next: harness score {rest}"
