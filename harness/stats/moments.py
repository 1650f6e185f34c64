"""What an error says of itself: how it grows with the value, and how well it is known, from the moments of contributions.

A contribution is what one unit adds to a value (:mod:`harness.stats.influence`); here it stands for a unit, a cluster, or a
random group of many.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from harness.types import FloatArray

_FITS = 8.0
"""Times that the variance of squared contributions may grow when a proportion's own dependence on the mean is taken out. It
shrinks for anything like a mean of values between bounds, and grows a hundredfold for a gap near 0, whose error does not
vanish there."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The root of the second cumulant of a value, and the third and fourth in units of it, from contributions of ``n`` units in
    ``pieces`` pieces: sums over units, which stay what they are, but for noise, when units are put together to pieces."""

    norm: float
    skew: float
    excess: float
    n: int
    pieces: int

    @classmethod
    def of(cls, contributions: FloatArray, n: int) -> Moments:
        """``float64[pieces]`` contributions of ``n`` units. Where they are all equal nothing is skewed."""
        pieces, widest = len(contributions), float(np.ptp(contributions))
        if not widest > 0:
            return cls(0.0, 0.0, 0.0, n, pieces)
        apart = (contributions - contributions[0]) / widest  # so that no sum or power is too large or too small to be written
        apart -= apart.mean()
        norm = sqrt(float(apart @ apart))
        squares = (apart / norm) ** 2
        return cls(widest * norm, float(squares @ apart) / norm, float(squares @ squares) - 3 / pieces, n, pieces)

    @property
    def error(self) -> float:
        """The standard error of the value."""
        return self.norm * sqrt(self.pieces / (self.pieces - 1))

    @property
    def acceleration(self) -> float:
        """A sixth of the skewness, for :func:`harness.stats.resampled.bca_interval`."""
        return self.skew / 6

    @property
    def dof(self) -> float:
        """Degrees of freedom of the error, at most n - 1: 2 / its relative variance, which heavy tails raise."""
        return self._dof(self._relative_variance)

    def dof_beyond(self, slope: float) -> float | None:
        """The same for an error that is known to grow with the value: ``slope`` is the derivative of the log of its square.
        Only what that leaves open counts: nothing, for hits and misses and the slope of a proportion. None where the
        contributions belie the slope."""
        relative, growth = self._relative_variance, slope * self.norm
        left = relative - 2 * growth * self.skew + growth * growth
        if not left <= max(_FITS * relative, _FITS / 2 / self.n):
            return None
        return self._dof(left)

    @property
    def _relative_variance(self) -> float:
        return max(2 / self.n + self.excess, 0.0)

    def _dof(self, relative: float) -> float:
        return max(1.0, min(self.n - 1.0, 2 / relative if relative > 0 else inf))


def in_pieces(n: int, most: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A random piece of about equal size for each of n units, ``int64[n]``; where they are at most ``most``, each by itself."""
    if n <= most:
        return np.arange(n)
    return rng.permutation(n) % most
