"""A/B tests: what came of the assignments that a production log holds. Nobody is asked anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from harness.errors import ConfigError, DataError, HarnessError, did_you_mean
from harness.protocols import Play, TaskData
from harness.suites.prompting import sample_context
from harness.templates import Render, compile_template
from harness.types import Outcomes, Request, Sample

_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True)
class AB:
    """A row of the log is a sample; no model is asked, so that any entry will do (``models: {log: {backend: "null"}}``).

    - ``unit``: the template of what was assigned (a user), which may have many rows: ``"{{ user }}"``. It is the samples'
      group, so that every interval resamples units, unless ``sample.group`` says otherwise; without it each row is a unit.
    - ``variant``: the template of the variant that the unit got.
    - ``outcomes``: name → template of a number: ``{revenue: "{{ revenue }}", bought: "{{ orders > 0 }}"}``. Yes and no are 1
      and 0; what is empty or null is no outcome.
    - ``covariates``: name → template of a number that was known before the assignment, for ``cuped=true``.
    - ``control``: the variant that the others are compared with.
    - ``split``: variant → the share of units that it was to get, for the check of the sample ratio: ``{A: 0.5, B: 0.5}``. A
      row of a variant that it does not name is an error.

    Templates see the fields of the row (of the sample's input). Metrics: ``ab_difference``, ``ab_lift``, ``srm``.
    """

    name: ClassVar[str] = "ab"
    summary: ClassVar[str] = "an A/B test from a log: units, variants, outcomes; no model is asked"

    variant: str
    outcomes: Mapping[str, str]
    unit: str = ""
    covariates: Mapping[str, str] = field(default_factory=dict)
    control: str | None = None
    split: Mapping[str, float] = field(default_factory=dict)
    _renders: Mapping[tuple[str, str], Render] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise ConfigError("outcomes must name at least one number, such as {revenue: \"{{ revenue }}\"}")
        both = sorted(self.outcomes.keys() & self.covariates.keys())
        if both:
            raise ConfigError(f"covariates must have names of their own, and {both[0]!r} is an outcome")
        shares = list(self.split.values())
        if shares and not (len(shares) > 1 and all(share > 0 for share in shares) and math.isclose(sum(shares), 1.0)):
            raise ConfigError(f"split must give two variants or more shares above 0 that sum to 1, got {dict(self.split)}")
        if shares and self.control is not None and self.control not in self.split:
            raise ConfigError(f"control must be one of the variants of split, got {self.control!r}"
                              f"{did_you_mean(self.control, map(str, self.split))}")

    def needs(self) -> frozenset[type]:
        return frozenset()

    def gives(self) -> frozenset[str]:
        return frozenset({"outcomes"})

    def prepare(self, data: TaskData) -> AB:
        ready = replace(self)
        renders = {("", "variant"): compile_template(self.variant)}
        for kind, templates in (("outcomes", self.outcomes), ("covariates", self.covariates)):
            renders |= {(kind, name): compile_template(str(template)) for name, template in templates.items()}
        object.__setattr__(ready, "_renders", renders)
        return ready

    def play(self, sample: Sample) -> Play:
        if False:  # a generator, as every play, that asks nothing
            yield _NO_REQUEST
        found = {key: self._value(sample, *key) for key in self._renders}
        variant = found.pop(("", "variant"))
        if variant is None or str(variant).strip() == "":
            raise ValueError("the row has no variant")
        if self.split and str(variant) not in self.split:
            raise ValueError(f"variant {str(variant)!r} is not one of split: {', '.join(map(str, self.split))}")
        of = {kind: {name: _number(value, f"{kind}.{name}") for (where, name), value in found.items() if where == kind}
              for kind in ("outcomes", "covariates")}  # fmt: skip
        return Outcomes(str(variant), of["outcomes"], of["covariates"], self.control, self.split.get(str(variant)))

    def _value(self, sample: Sample, kind: str, name: str) -> Any:
        try:
            return self._renders[kind, name](sample_context(sample))
        except HarnessError as error:
            raise DataError(f"sample {sample.id!r}: {kind}{'.' if kind else ''}{name}: {error}") from error


_NO_REQUEST: Request = None  # type: ignore[assignment]


def _number(value: Any, what: str) -> float | None:
    """The number that a field holds; None where it holds nothing. Raises ValueError for anything else."""
    text = "" if value is None else str(value).strip().lower()
    if text in _NOTHING:
        return None
    if text in ("true", "false"):
        return float(text == "true")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number, got {value!r:.40}")
    return number
