"""The base of metrics around another metric: what is asked of the outer one before it scores goes to the inner one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from harness.protocols import Backend, Metric


@dataclass(frozen=True, repr=False)
class AroundMetric(Metric):
    """A metric with another one, ``metric``, inside."""

    metric: Metric

    def for_language(self, language: str) -> Self:
        return dataclasses.replace(self, metric=self.metric.for_language(language))

    def needs_roles(self) -> Mapping[str, type]:
        return self.metric.needs_roles()

    def open(self, roles: Mapping[str, Backend]) -> Self:
        return dataclasses.replace(self, metric=self.metric.open(roles))
