"""What changed between two runs besides the scores: their inputs, their outputs, and how the service behaved."""

from harness.drift.drift import Drift, Evidence, drift
from harness.drift.measures import MEASURES, Measure

__all__ = ["MEASURES", "Drift", "Evidence", "Measure", "drift"]
