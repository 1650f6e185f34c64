"""Change points against published ones and against ruptures."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.changes import page_hinkley, pelt


def test_the_nile_drops_in_1899():
    """Killick and Eckley 2014 and every text since: annual flow at Aswan, one change after 1898, 1097.75 to 849.97."""
    datasets = pytest.importorskip("statsmodels.datasets")
    flow = datasets.nile.load_pandas().data["volume"].to_numpy(dtype=float)
    for cost in ("mean", "mean_variance"):
        (change,) = pelt(flow, cost=cost)
        assert 1871 + change.at == 1899
        assert (change.before, change.after) == (pytest.approx(1097.75), pytest.approx(849.97, abs=0.005))
    assert [1871 + change.at for change in page_hinkley(flow)] == [1899]


@pytest.mark.parametrize(("penalty", "points"), [(20.0, [19, 46]), (60.0, [19, 46]), (200.0, [46])])
def test_the_segments_of_ruptures(penalty, points):
    # ruptures 1.1.10: Pelt(model="l2", min_size=1, jump=1).fit(values).predict(penalty), less the end.
    values = np.array([((7 * i * i + 3 * i) % 11) / 2 + (3 if 20 <= i < 45 else -2 if i >= 45 else 0) for i in range(70)])
    assert [change.at for change in pelt(values, errors=np.ones(70), penalty=penalty)] == points
