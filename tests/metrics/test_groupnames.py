"""A slice or group that no sample has is an error that names those there are, not a value that is missing everywhere."""

from __future__ import annotations

import pytest

from harness.errors import MetricError
from harness.metrics.robustness import ConsistencyUnder
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample

SAMPLES = [Sample(f"s{i}", {"age": "old"}, target="ab"[i % 2], choices=("a", "b"), slices={"sex": "fm"[i % 2]}, group="g")
           for i in range(4)]

BY = ["group_gap(accuracy,by={})", "worst_group(accuracy,by={})", "demographic_parity(by={})", "bias_amplification(by={})",
      "ood_auroc(by={})", "counterfactual_flip_rate(by={})", "consistency_under(typo,by={})"]


@pytest.mark.parametrize("spec", BY)
def test_by_must_name_something_there_is(spec):
    with pytest.raises(MetricError, match=r"by must name a slice or a field of the samples, got 'nope'; known: age, sex"):
        metric(spec.format("nope")).prepare(SAMPLES)
    with pytest.raises(MetricError, match=r"got 'sexx'; did you mean 'sex'\?"):
        metric(spec.format("sexx")).prepare(SAMPLES)


@pytest.mark.parametrize("spec", BY[:6])
def test_slices_fields_and_no_samples_at_all_are_fine(spec):
    for by in ("sex", "age"):
        metric(spec.format(by)).prepare(SAMPLES)
    metric(spec.format("nope").replace("demographic_parity(", "demographic_parity(positive=b,") if "parity" not in spec
           else "demographic_parity(by=nope)").prepare([])


@pytest.mark.parametrize("name", ["counterfactual_flip_rate", "consistency_under", "prompt_sensitivity", "attack_success_rate",
                                  "perturbation_size"])
def test_variants_need_groups(name):
    with pytest.raises(MetricError, match=f"{name}: needs samples in groups.*name the column .* with --group, or give group: "):
        metric(name).prepare([Sample("a"), Sample("b")])


KINDS = [Sample("a", slices={"kind": "original"}, group="g"), Sample("b", slices={"kind": "typo"}, group="g"),
         Sample("c", slices={"kind": "case"}, group="g")]
ANSWERS = [Output(Key(name), Label(label)) for name, label in (("a", "x"), ("b", "x"), ("c", "y"))]


def test_a_perturbation_is_looked_up_in_the_only_slice():
    for spec, value in (("consistency_under(typo)", 1.0), ("consistency_under(case)", 0.0), ("consistency_under", 0.5)):
        found = metric(spec).prepare(KINDS)
        stats = found.score(KINDS, ANSWERS).stats
        assert float(found.finish(stats.sum(axis=0))) == value


def test_a_perturbation_that_no_sample_has():
    with pytest.raises(MetricError, match="perturbation must be one of the samples', got 'tipo'; did you mean 'typo'"):
        ConsistencyUnder("tipo").prepare(KINDS)
    with pytest.raises(MetricError, match="name the slice or field that holds it with by="):
        ConsistencyUnder("typo").prepare([Sample("a", slices={"x": "1", "y": "2"}, group="g")])
