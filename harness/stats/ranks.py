"""Ranks that know about noise: models whose paired difference may be zero share their rank."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import percentile_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.types import FloatArray


def ranks_with_ties(
    replicates: FloatArray, values: FloatArray, higher_is_better: bool | None, level: float = 0.95
) -> list[int | None]:
    """The rank of each model: 1 + the number of models that are better beyond doubt.

    One model is better than another where the ``level`` percentile interval of their paired replicate differences lies
    strictly on the better side of 0. Being tied is not transitive: 1, 1, 2 may mean that the second is tied with both.

    ``replicates`` is ``float64[models, B]`` from the same resamplings for every model; a pair is compared on those that
    both define. A model whose value is NaN, and every model where no direction is better (``higher_is_better`` None),
    has the rank None and is not counted. Replicates that resampling cannot move (a single sample) carry no doubt: give NaN
    in their place, and they tie with everything.

    Raises UsageError if the arrays do not fit each other.
    """
    if replicates.ndim != 2 or values.shape != (len(replicates),):
        raise UsageError(f"ranks_with_ties: replicates must be (models, B) and values (models,), "
                         f"got {replicates.shape} and {values.shape}")
    if higher_is_better is None:
        return [None] * len(values)
    goodness = replicates if higher_is_better else -replicates
    defined = [index for index, value in enumerate(values) if not math.isnan(value)]
    return [
        1 + sum(_is_better(goodness[other], goodness[index], level) for other in defined if other != index)
        if index in defined else None
        for index in range(len(values))
    ]


def mean_ranks(ranks: Sequence[Sequence[int | None]]) -> list[float | None]:
    """The mean rank of each model over the tasks that rank it; None where none does.

    ``ranks[task][model]``, every task with the same models in the same order. Raises UsageError if they are not as many.
    """
    if len({len(row) for row in ranks}) > 1:
        raise UsageError(f"mean_ranks: every task must rank the same models, got {[len(row) for row in ranks]} ranks")
    columns = [[rank for rank in column if rank is not None] for column in zip(*ranks)]
    return [sum(column) / len(column) if column else None for column in columns]


def _is_better(one: FloatArray, other: FloatArray, level: float) -> bool:
    with np.errstate(invalid="ignore"):
        low, _ = percentile_interval(one - other, level)
    return low > 0
