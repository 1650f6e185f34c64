"""The command line that scores with a metric: its spec, quoted, and files of the kind that the metric reads."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping

from harness.plugins import metric as metric_of
from harness.protocols import Metric, PairMetric, parameters


def command_for(spec: str) -> str:
    """What can be pasted into a shell once the files have those names.

    >>> command_for("ndcg@10"), command_for("roc_auc")[14:]
    ('harness score ndcg@10 -p run.trec -r qrels.txt', 'roc_auc -p scores.csv --target label --score score')

    Raises MetricError or UnknownName for a spec that is none.
    """
    metric = metric_of(spec)
    if "slices" in metric.needs and parameters(metric).get("by") == "" and not _is_about_scores(metric):
        metric = dataclasses.replace(metric, by="group")  # type: ignore[call-arg]
        spec = metric.spec
    encoder = " --encoder path:DIR" if "encoder" in metric.needs_roles() else ""
    return f"harness score {shlex.quote(spec)} {_files(metric)}{encoder}"


def _files(metric: Metric) -> str:
    needs = metric.needs
    if isinstance(metric, PairMetric):
        return "-p a.jsonl -r b.jsonl"
    if hasattr(metric, "against"):
        return "-p outputs.txt -r known.txt" if "text" in needs else "-p generated.npy -r real.npy"
    if "ranking" in needs:
        return f"-p run.trec -r {'exact.trec' if metric.name.startswith('recall_vs_exact') else 'qrels.txt'}"
    if metric.name in _BY_NAME:
        return f"-p {_BY_NAME[metric.name]}"
    if "by" in parameters(metric) and "slices" not in needs:
        return f"-p variants.{'csv' if needs else 'jsonl'} --group item"
    if "probabilities" in needs and "target" in needs and "label" not in needs and metric.family != "divergences":
        return "-p scores.csv --target label --score score"
    return next((files for words, files in _BY_NEEDS.items() if words <= needs), "-p outputs.jsonl")


def _is_about_scores(metric: Metric) -> bool:
    """Whether its answers are numbers or probabilities beside slices, which stand in JSON lines alone."""
    return "number|probabilities" in metric.needs


_BY_NAME: Mapping[str, str] = {
    **dict.fromkeys(("compression", "coverage", "density", "novel_ngrams"), "summaries.jsonl"),
    **dict.fromkeys(("alignment", "cosine", "cross_modal_recall@k", "contrastive_loss", "ppl_path"), "pairs.jsonl"),
    **dict.fromkeys(("dice", "iou"), "masks.jsonl"), "dtw": "series.jsonl",
    **dict.fromkeys(("triplet_accuracy", "triplet_loss"), "triplets.jsonl"),
    **dict.fromkeys(("calibrated", "thresholded"), "decisions.csv --target label --score score"),
}
"""Metrics that read what their ``needs`` do not tell: the texts that were summarised, several vectors a sample."""

_BY_NEEDS: Mapping[frozenset[str], str] = {
    frozenset({"contexts"}): "-p answers.jsonl",
    frozenset({"number|probabilities", "slices"}): "-p confidences.jsonl",
    frozenset({"slices"}): "-p predictions.csv",
    frozenset({"choices"}): "-p choices.jsonl",
    frozenset({"logprobs"}): "-p pairs.jsonl",
    frozenset({"tags"}): "-p tagged.conll -r gold.conll",
    frozenset({"references", "text"}): "-p outputs.txt -r references.txt",
    frozenset({"text"}): "-p outputs.txt",
    frozenset({"label", "target"}): "-p predictions.csv",
    frozenset({"label"}): "-p preferences.csv",
    frozenset({"label|vectors", "target"}): "-p clusters.csv",
    frozenset({"probabilities"}): "-p predictions.jsonl",
    frozenset({"number", "target"}): "-p values.csv",
    frozenset({"number"}): "-p intervals.jsonl",
    frozenset({"ratings"}): "-p ratings.csv",
    frozenset({"outcomes"}): "-p log.csv --group user",
    frozenset({"ratings|number"}): "-p ratings.jsonl",
    frozenset({"vectors|text"}): "-p pairs.jsonl",
    frozenset({"vectors"}): "-p vectors.jsonl",
    frozenset({"vectors|number"}): "-p pairs.jsonl",
    frozenset({"likelihoods"}): "-p likelihoods.jsonl",
    frozenset({"likelihoods|text"}): "-p likelihoods.jsonl",
}
"""What a metric needs -> the files that hold it; the first that fits."""
