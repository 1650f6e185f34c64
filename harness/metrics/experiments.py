"""A/B tests: the difference that a variant makes, with CUPED and by unit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.arms import Arms, adjusted_means, arm_rows, n_columns
from harness.metrics.sampleratio import Log, told_of
from harness.protocols import Interval, Metric, Scope
from harness.types import FloatArray, Key, Outcomes, Output, Sample, Scores, Table


@dataclass(frozen=True, repr=False)
class Experiment(Metric):
    """Base of the metrics of a variant against the control. Their rows are sums of each arm, so that values are functions of
    sums and the delta method over units gives the intervals."""

    family: ClassVar[str] = "experiments"
    needs: ClassVar[frozenset[str]] = frozenset({"outcomes"})
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    interval: ClassVar[Interval] = "delta"
    scope: ClassVar[Scope] = "corpus"

    outcome: str = ""
    cuped: bool = False
    covariates: tuple[str, ...] = field(default=(), kw_only=True)
    per: str = field(default="", kw_only=True)
    control: str | None = field(default=None, kw_only=True)
    treatment: str | None = field(default=None, kw_only=True)
    names: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    told: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(not (self.cuped and self.per), "per", "left out with cuped=true, which is of means over units")
        self.require(self.cuped or not self.covariates, "covariates", "left out unless cuped=true")
        self.require(self.control is None or self.control != self.treatment, "treatment", "another variant than control")

    def warnings(self) -> tuple[str, ...]:
        """After scoring: a sample ratio that chance does not explain, units in two variants."""
        return self.told

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: weight, outcome (and covariates, products) under its own arm, 0 under the other one. Rows of other
        variants are left out. Raises MetricError for a variant, an outcome or a covariate that is not there."""
        log = Log.of(samples, outputs)
        missing, left_out = dict(log.missing), set[int]()
        if not log.rows:
            return Scores(np.full((len(samples), n_columns(0)), np.nan), missing)
        control, treatment = self._arms(log)
        outcome, names = self._outcome(log), self._covariates(log)
        kept: list[int] = []
        for at, answer in enumerate(log.answers):
            if answer.variant not in (control, treatment):
                left_out.add(log.rows[at])
            elif any(_number(answer, name) is None for name in (outcome, self.per) if name):
                missing[log.rows[at]] = f"no {outcome if _number(answer, outcome) is None else self.per}"
            else:
                kept.append(at)
        stats = np.full((len(samples), n_columns(len(names))), np.nan)
        if kept:
            stats[[log.rows[at] for at in kept]] = self._rows(log, kept, control, outcome, names)
        bound = dataclasses.replace(self, names=(control, treatment), told=told_of(log))
        return Scores(stats, missing, bound=bound, left_out=frozenset(left_out))

    def finish(self, totals: FloatArray) -> FloatArray:
        """The value of the two arms' means."""
        return self.of_means(*adjusted_means(totals))

    def of_means(self, control: FloatArray, treatment: FloatArray) -> FloatArray:
        """The value; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.of_means")

    def why_undefined(self, stats: FloatArray) -> str | None:
        if not self.names or not len(stats):
            return None
        arms = Arms.of(stats.sum(axis=0))
        return next((f"no row of variant {name!r}" for name, n in zip(self.names, arms.weights) if not n > 0), None)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``arms``: weight (units, or the sum of ``per``), mean and, with CUPED, adjusted mean of each."""
        if not self.names:
            return {}
        totals = stats.sum(axis=0)
        arms, adjusted = Arms.of(totals), adjusted_means(totals)
        rows = [(name, round(float(n), 9), _shown(float(y / n)) if n else None, _shown(float(mean)))
                for name, n, y, mean in zip(self.names, arms.weights, arms.sums, adjusted)]  # fmt: skip
        return {"arms": Table(("variant", self.per or "units", "mean", "adjusted mean"), tuple(rows))}

    def _rows(self, log: Log, kept: Sequence[int], control: str, outcome: str, names: Sequence[str]) -> FloatArray:
        answers, units = [log.answers[at] for at in kept], [log.units[at] for at in kept]
        codes = {unit: code for code, unit in enumerate(dict.fromkeys(units))}
        unit_of = np.array([codes[unit] for unit in units], dtype=np.int64)
        value = np.array([_number(answer, outcome) for answer in answers], dtype=np.float64)
        x = np.array([[_number(answer, name) for name in names] for answer in answers], dtype=np.float64)
        is_treated = np.array([answer.variant != control for answer in answers])
        per = np.array([_number(answer, self.per) for answer in answers], dtype=np.float64) if self.per else None
        return arm_rows(value, is_treated, unit_of, x.reshape(len(kept), len(names)), per)

    def _arms(self, log: Log) -> tuple[str, str]:
        """Control and treatment."""
        there = log.sizes()
        named = self.control or next((answer.control for answer in log.answers if answer.control is not None), None)
        control = named or ("control" if "control" in there else None)
        if control is None or control not in there:
            what = "be given" if control is None else f"be a variant of the log, got {control!r}{did_you_mean(control, there)}"
            shown = f"; its variants: {', '.join(there)}" if control is None else ""
            raise MetricError(f"{self.name}: control must {what}{shown}")
        others = [name for name in there if name != control]
        if not others:
            raise MetricError(f"{self.name}: the log must have units of two variants, and all of them are of {control!r}")
        if self.treatment is not None and self.treatment not in others:
            raise MetricError(f"{self.name}: treatment must be another variant of the log, got {self.treatment!r}"
                              f"{did_you_mean(self.treatment, others)}")
        if self.treatment is None and len(others) != 1:
            raise MetricError(f"{self.name}: treatment must be given unless there is one beside {control!r}, "
                              f"got {', '.join(others)}")
        return control, self.treatment or others[0]

    def _outcome(self, log: Log) -> str:
        there = _names(answer.outcomes for answer in log.answers)
        for key in ("outcome", "per"):
            name = getattr(self, key)
            if name and name not in there:
                raise MetricError(f"{self.name}: {key} must be an outcome of the log, got {name!r}{did_you_mean(name, there)}")
        if not self.outcome and len(there) != 1:
            raise MetricError(f"{self.name}: outcome must be given unless there is one, got {', '.join(there) or 'none'}")
        return self.outcome or there[0]

    def _covariates(self, log: Log) -> tuple[str, ...]:
        """Those that are named, else all that the log declares."""
        if not self.cuped:
            return ()
        declared = _names(answer.covariates for answer in log.answers)
        there = [*declared, *_names(answer.outcomes for answer in log.answers)]
        for name in self.covariates:
            if name not in there:
                raise MetricError(f"{self.name}: covariates must be of the log, got {name!r}{did_you_mean(name, there)}")
        if not (self.covariates or declared):
            raise MetricError(f"{self.name}: cuped needs a covariate, and the log declares none: name it with covariates=")
        return self.covariates or tuple(declared)


@dataclass(frozen=True, repr=False)
class ABDifference(Experiment):
    """Treatment minus control: the difference of the means of ``outcome`` over units, with its interval.

    ``ab_difference(revenue)``, ``ab_difference(revenue,cuped=true)``, ``ab_difference(clicks,per=views)``. Rows of one unit
    (the samples' group) are averaged, and the interval is the delta method's over units, arms of different variances and
    sizes included; an arm of one unit leaves none, and one of three units covers some 87 % (ten: 95 %). With ``per`` it is a
    ratio metric: the difference of Σ outcome / Σ per of each arm, clustered by unit all the same.

    ``cuped``: means are adjusted by ``covariates`` (by default all that the log declares), which were known before the
    assignment: ȳ − θ (x̄ − x̄ of both arms), θ the slope within arms, pooled: the coefficient of the treatment in a linear
    regression on arm and covariates. It leaves the expected difference and takes the share ρ² of the variance away. A unit
    without a covariate has the mean of the others.

    ``control``: by default the one that the log names, or the variant "control"; ``treatment``: the other one, to be named
    where there are several. Rows of further variants are left out. Rows of a unit that is in two variants are missing, and so
    are rows without the outcome. Neither more nor less is better. Where the log says what the split was to be, a sample ratio
    that chance does not explain (p < .001) is told: such a difference must not be trusted. Table ``arms``.
    """

    name: ClassVar[str] = "ab_difference"
    summary: ClassVar[str] = "treatment minus control of an A/B test, by unit, with CUPED"
    formula: ClassVar[str] = "(ȳ_t − θ x̄_t) − (ȳ_c − θ x̄_c), θ = Σ_arms cov(x, y) / Σ_arms var(x); θ = 0 without CUPED"
    reference: ClassVar[str] = "scipy.stats.ttest_ind(equal_var=False); statsmodels OLS on arm and covariates"
    paper: ClassVar[str] = "Deng, Xu, Kohavi and Walker 2013, Improving the Sensitivity of Online Controlled Experiments"

    def of_means(self, control: FloatArray, treatment: FloatArray) -> FloatArray:
        return treatment - control


@dataclass(frozen=True, repr=False)
class ABLift(Experiment):
    """The difference over the control's mean: 0.05 is five per cent more; parameters as of ABDifference.

    Undefined where the control's mean is 0; of a negative one the absolute value is taken, so that more is above 0.
    """

    name: ClassVar[str] = "ab_lift"
    summary: ClassVar[str] = "relative difference of treatment and control of an A/B test"
    formula: ClassVar[str] = "(treatment − control) / |control|"
    reference: ClassVar[str] = "hand-worked; the interval by simulation"
    paper: ClassVar[str] = "Deng, Knoblich and Lu 2018, Applying the Delta Method in Metric Analytics"

    def of_means(self, control: FloatArray, treatment: FloatArray) -> FloatArray:
        size = np.abs(control)
        return np.asarray(np.divide(treatment - control, size, out=np.full_like(size, np.nan), where=size > 0))


def _number(answer: Outcomes, name: str) -> float | None:
    value = answer.covariates.get(name)
    return answer.outcomes.get(name) if value is None else value


def _names(tables: Iterable[Mapping[str, float | None]]) -> list[str]:
    """The names that have a number somewhere."""
    return list(dict.fromkeys(name for table in tables for name, value in table.items() if value is not None))


def _shown(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def ab_difference(
    outcome: Sequence[float], variant: Sequence[Any], *, control: Any, treatment: Any = None,
    units: Sequence[Any] | None = None, covariate: Sequence[float] | None = None,
) -> float:
    """Treatment minus control of the means over units, adjusted by the covariate if there is one; see ABDifference.

    >>> ab_difference([1.0, 3.0, 4.0, 6.0], ["a", "a", "b", "b"], control="a")
    3.0
    """
    return _over(ABDifference(**_arguments(control, treatment, covariate)), outcome, variant, units, covariate)


def ab_lift(
    outcome: Sequence[float], variant: Sequence[Any], *, control: Any, treatment: Any = None,
    units: Sequence[Any] | None = None, covariate: Sequence[float] | None = None,
) -> float:
    """The difference over the control's mean; see ABLift.

    >>> ab_lift([1.0, 3.0, 4.0, 6.0], ["a", "a", "b", "b"], control="a")
    1.5
    """
    return _over(ABLift(**_arguments(control, treatment, covariate)), outcome, variant, units, covariate)


def _arguments(control: Any, treatment: Any, covariate: Any) -> dict[str, Any]:
    return {"outcome": "y", "control": str(control), "treatment": None if treatment is None else str(treatment),
            "cuped": covariate is not None}  # fmt: skip


def _over(
    metric: Experiment, outcome: Sequence[float], variant: Sequence[Any], units: Sequence[Any] | None, covariate: Any
) -> float:
    columns = [column for column in (outcome, variant, units, covariate) if column is not None]
    if len({len(column) for column in columns}) > 1:
        raise MetricError(f"{metric.name}: outcomes, variants, units and covariates must be equally many, "
                          f"got {', '.join(str(len(column)) for column in columns)}")
    samples = [Sample(str(row), group=None if units is None else str(units[row])) for row in range(len(outcome))]
    outputs = [Output(Key(str(row)), Outcomes(str(variant[row]), {"y": float(outcome[row])},
                                              {} if covariate is None else {"x": float(covariate[row])}))
               for row in range(len(outcome))]  # fmt: skip
    scores = metric.score(samples, outputs)
    kept = np.delete(scores.stats, [*scores.missing, *scores.left_out], axis=0)
    return float(metric.finish(kept.sum(axis=0))) if len(kept) else math.nan
