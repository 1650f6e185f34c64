"""Rows that a metric does not measure: neither scored nor missing, in whatever chunks they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.engine.blocks import joined, score_block
from harness.engine.scoring import Scorer, make_settings
from harness.protocols import Metric
from harness.types import FloatArray, Key, Number, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class MeanOfTest(Metric):
    """The mean of the numbers of all samples but those of the slice dev."""

    name: ClassVar[str] = "mean_of_test"
    columns: ClassVar[tuple[str, ...]] = ("value", "rows")
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        stats = np.array([[output.answer.value, 1.0] for output in outputs]).reshape(len(outputs), 2)  # type: ignore[union-attr]
        left_out = [row for row, sample in enumerate(samples) if sample.slices["split"] == "dev"]
        stats[left_out] = np.nan
        return Scores(stats, left_out=frozenset(left_out))

    def finish(self, totals: FloatArray) -> FloatArray:
        return np.asarray(totals[..., 0] / totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        return np.array([0.0, 1.0]), np.array([100.0, 1.0])


def rows(n: int = 12, failed: Sequence[int] = ()) -> tuple[list[Sample], list[Output]]:
    """Every third is dev and far from all others, which are 0, 1, 2, …"""
    samples = [Sample(f"s{i}", slices={"split": "test" if i % 3 else "dev"}) for i in range(n)]
    outputs = [Output(Key(f"s{i}"), None, error="timeout") if i in failed
               else Output(Key(f"s{i}"), Number(float(i) if i % 3 else 99.0)) for i in range(n)]  # fmt: skip
    return samples, outputs


def scored(samples: list[Sample], outputs: list[Output], chunk: int) -> Scorer:
    scorer = Scorer({"m": MeanOfTest()}, samples)
    for start in range(0, len(samples), chunk):
        scorer.add(samples[start : start + chunk], outputs[start : start + chunk])
    return scorer


def test_rows_that_are_left_out_do_not_count_in_whatever_chunks_they_come() -> None:
    samples, outputs = rows()
    settings = make_settings(0, 0.95, 50)
    for chunk in (12, 5, 1):
        found = scored(samples, outputs, chunk).estimates(settings)["m"]
        assert found.value == np.mean([1, 2, 4, 5, 7, 8, 10, 11])
        assert (found.n, found.n_missing, found.worst_case) == (8, 0, found.value)
        assert found.reason is None


def test_what_is_missing_of_the_others_is_still_missing() -> None:
    samples, outputs = rows(failed=[1])
    found = scored(samples, outputs, 5).estimates(make_settings(0, 0.95, 50))["m"]
    assert (found.n, found.n_missing) == (7, 1)
    assert (found.worst_case, found.best_case) == (47 / 8, 147 / 8)


def test_a_block_names_them_apart_from_the_missing() -> None:
    samples, outputs = rows(failed=[1])
    block = score_block(MeanOfTest(), samples, outputs)
    assert block.left_out == {0, 3, 6, 9}
    assert block.missing == {1: "timeout"}
    assert np.isnan(block.stats[[0, 1, 3, 6, 9]]).all()
    assert np.isnan(block.values[0])
    assert len(block.extremes[0]) == 1  # type: ignore[index]
    halves = [score_block(MeanOfTest(), samples[part], outputs[part]) for part in (slice(0, 5), slice(5, 12))]
    whole = joined(halves)
    assert (whole.left_out, whole.missing) == (block.left_out, block.missing)


def test_a_slice_of_nothing_but_left_out_rows_has_no_samples() -> None:
    slices = {value: estimate for _, value, _, estimate in scored(*rows(), 5).slices(make_settings(0, 0.95, 50))}
    assert (slices["dev"].value, slices["dev"].n, slices["dev"].n_missing) == (None, 0, 0)
    assert slices["test"].n == 8
