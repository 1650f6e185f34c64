"""Variance components against REML of statsmodels, on balanced data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from harness.stats.components import variance_components

pandas = pytest.importorskip("pandas")
formula = pytest.importorskip("statsmodels.formula.api")


def reml(values):
    items, repeats = values.shape
    frame = pandas.DataFrame({
        "value": values.ravel(), "item": np.repeat(np.arange(items), repeats), "repeat": np.tile(np.arange(repeats), items),
        "all": 1,
    })
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the optimiser, on its way
        model = formula.mixedlm("value ~ 1", frame, groups="all", re_formula="0",
                                vc_formula={"item": "0 + C(item)", "repeat": "0 + C(repeat)"})
        fitted = model.fit(reml=True, gtol=1e-10)
    named = dict(zip(model.exog_vc.names, fitted.vcomp))
    return named["item"], named["repeat"], fitted.scale, float(fitted.bse_fe.iloc[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_crossed_items_and_repeats(seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((15, 1)) + 0.5 * rng.standard_normal((1, 6)) + 0.7 * rng.standard_normal((15, 6))
    found = variance_components(values)
    assert found.truncated == ()
    item, repeat, residual, error = reml(values)
    assert (found.item, found.repeat, found.residual) == pytest.approx((item, repeat, residual), rel=1e-4)
    assert found.error == pytest.approx(error, rel=1e-4)
