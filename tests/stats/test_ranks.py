import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.ranks import mean_ranks, ranks_with_ties

NAN = math.nan


def test_ranks_from_paired_differences() -> None:
    # Every model swings by ± 0.5 together: unpaired intervals overlap, paired differences do not move at all.
    swing = np.linspace(-0.5, 0.5, 101)
    replicates = np.stack([0.9 + swing, 0.8 + swing, 0.7 + swing])
    assert ranks_with_ties(replicates, np.array([0.9, 0.8, 0.7]), True) == [1, 2, 3]
    assert ranks_with_ties(replicates, np.array([0.9, 0.8, 0.7]), False) == [3, 2, 1]


def test_a_difference_that_may_be_zero_is_a_tie() -> None:
    noise = np.linspace(-1, 1, 101)  # 2.5 % percentile of a + noise: a - 0.95
    replicates = np.stack([np.zeros(101), 0.94 + noise, 0.96 + noise])
    assert ranks_with_ties(replicates[:2], np.array([0.0, 0.94]), True) == [1, 1]
    assert ranks_with_ties(replicates[::2], np.array([0.0, 0.96]), True) == [2, 1]
    assert ranks_with_ties(replicates[:2], np.array([0.0, 0.94]), True, level=0.9) == [2, 1]


def test_equal_models_tie() -> None:
    same = np.tile(np.linspace(0, 1, 11), (2, 1))
    assert ranks_with_ties(same, np.array([0.5, 0.5]), True) == [1, 1]


def test_ties_are_not_transitive() -> None:
    wide, still = np.linspace(-1, 1, 101), np.zeros(101)
    assert ranks_with_ties(np.stack([0.5 + still, 0.0 + wide, -0.5 + still]), np.array([0.5, 0.0, -0.5]), True) == [1, 1, 2]


def test_undefined_models_and_directions() -> None:
    replicates = np.stack([np.ones(10), np.full(10, NAN), np.zeros(10)])
    assert ranks_with_ties(replicates, np.array([1.0, NAN, 0.0]), True) == [1, None, 2]
    assert ranks_with_ties(replicates, np.array([1.0, 0.5, 0.0]), True) == [1, 1, 2]  # a value without replicates ties
    assert ranks_with_ties(replicates, np.array([1.0, NAN, 0.0]), None) == [None, None, None]


def test_mean_ranks() -> None:
    assert mean_ranks([[1, 2, None], [1, 1, None], [4, None, None]]) == [2.0, 1.5, None]
    assert mean_ranks([]) == []
    with pytest.raises(UsageError, match="same models"):
        mean_ranks([[1, 2], [1]])


def test_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"got \(2, 5\) and \(3,\)"):
        ranks_with_ties(np.zeros((2, 5)), np.zeros(3), True)
