"""Cross-fitted calibration and thresholds against scikit-learn, on the same folds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, f1_score
from sklearn.model_selection import PredefinedSplit, StratifiedKFold, TunedThresholdClassifierCV, cross_val_predict

from harness.engine.scoring import Scorer, make_settings
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample

N = 400


class Given(ClassifierMixin, BaseEstimator):
    """Scores that are there already: the first column."""

    def fit(self, x, y):
        self.classes_, self.fitted_ = np.array([0, 1]), True
        return self

    def decision_function(self, x):
        return x[:, 0]

    def predict_proba(self, x):
        return np.column_stack([1 - x[:, 0], x[:, 0]])

    def predict(self, x):
        return (x[:, 0] > 0.5).astype(int)


@pytest.fixture(scope="module")
def rows():
    x, y = make_classification(N, n_features=8, n_informative=3, flip_y=0.2, class_sep=0.7, weights=[0.65], random_state=3)
    return y, LogisticRegression().fit(x[:150], y[:150]).predict_proba(x)[:, 1]


def scored(spec, y, scores):
    samples = [Sample(f"s{i}", target=str(t)) for i, t in enumerate(y)]
    outputs = [Output(Key(f"s{i}"), Label("1" if s > 0.5 else "0", {"0": 1 - s, "1": s}))
               for i, s in enumerate(scores.tolist())]
    scorer = Scorer({"m": metric(spec)}, samples)
    scorer.add(samples, outputs)
    value = scorer.estimates(make_settings(0, 0.95, 20))["m"].value
    return value, np.array([scorer.metrics["m"].parts.of[sample.id][0] for sample in samples])


@pytest.mark.parametrize(("by", "method", "tolerance"), [("platt", "sigmoid", 1e-5), ("isotonic", "isotonic", 1e-12)])
def test_calibration_equals_cross_val_predict_of_a_calibrated_classifier(rows, by, method, tolerance):
    y, scores = rows
    value, folds = scored(f"calibrated(brier,by={by})", y, scores)
    frozen = CalibratedClassifierCV(FrozenEstimator(Given().fit(None, None)), method=method)
    theirs = cross_val_predict(frozen, scores[:, None], y, cv=PredefinedSplit(folds), method="predict_proba")[:, 1]
    assert value == pytest.approx(brier_score_loss(y, theirs), abs=tolerance)


def test_thresholds_equal_those_of_a_tuned_classifier(rows):
    y, scores = (column[:120] for column in rows)
    value, folds = scored("thresholded(f1(average=binary))", y, scores)
    predicted = np.zeros(len(y), dtype=int)
    for fold in range(5):
        others, own = folds != fold, folds == fold
        tuned = TunedThresholdClassifierCV(
            FrozenEstimator(Given().fit(None, None)), scoring="f1", cv="prefit", refit=False, response_method="predict_proba",
            thresholds=np.unique(scores[others]),
        ).fit(scores[others][:, None], y[others])
        predicted[own] = tuned.predict(scores[own][:, None])
    assert value == pytest.approx(f1_score(y, predicted), abs=1e-12)


def test_folds_are_as_even_as_those_of_a_stratified_k_fold(rows):
    y, scores = rows
    _, folds = scored("calibrated(brier)", y, scores)
    theirs = [sorted(np.bincount(y[test]).tolist()) for _, test in StratifiedKFold(5).split(scores, y)]
    ours = [sorted(np.bincount(y[folds == fold]).tolist()) for fold in range(5)]
    assert np.abs(np.sort(ours, axis=0) - np.sort(theirs, axis=0)).max() <= 1
