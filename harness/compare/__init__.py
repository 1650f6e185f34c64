"""Two runs and more against each other, sample by sample: what moved, by how much, how sure, and what else changed."""

from harness.compare.comparable import ALLOWED, NotComparable
from harness.compare.compared import CompareOptions, PairFacts, Report, compare_runs
from harness.compare.flips import Flip, FlipCount, flip_metric, flips
from harness.compare.naming import named_run, named_runs
from harness.compare.provenance import Change, provenance
from harness.compare.runs import StoredRun
from harness.compare.tasks import PairedTask, Resampling, paired_tasks
from harness.compare.verdicts import CORRECTIONS, TESTS, Compared

__all__ = [
    "ALLOWED",
    "CORRECTIONS",
    "TESTS",
    "Change",
    "CompareOptions",
    "Compared",
    "Flip",
    "FlipCount",
    "NotComparable",
    "PairFacts",
    "PairedTask",
    "Report",
    "Resampling",
    "StoredRun",
    "compare_runs",
    "flip_metric",
    "flips",
    "named_run",
    "named_runs",
    "paired_tasks",
    "provenance",
]
