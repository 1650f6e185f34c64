"""The exceptions of the harness: one small tree, each class tied to one exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """Base of every error that the harness raises on purpose; its text is meant for the user."""

    exit_code = 2


class UsageError(HarnessError):
    """The command line or an argument of a public function is wrong."""


class ConfigError(HarnessError):
    """One or more faults in configuration files, each already formatted ``file:line:column: message``."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(HarnessError):
    """A data file cannot be read or a row does not fit; the message names the file and the row."""


class MetricError(HarnessError):
    """A metric was given parameters or inputs that it does not take."""


class UnknownName(HarnessError):
    """A spec names a plug-in that does not exist; ``hint`` says more than the nearest of the known names would."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str | None = None) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, self.known) if hint is None else hint}")


class BackendError(HarnessError):
    """A model cannot be loaded or asked at all (a single failed request is an Output with ``error``)."""


class ServiceDown(BackendError):
    """A service answers nobody any more. What it answered is kept, and the run can go on when it is back."""

    exit_code = 4


class StoreError(HarnessError):
    """A run folder is missing, damaged, unfinished or of a newer schema."""


class Unwritable(StoreError):
    """A disk is full, or a folder must not be written. What was written before is safe, and the run can go on later."""

    exit_code = 4


class MissingDependency(HarnessError):
    """An optional package is not installed; the message says what to type."""

    def __init__(self, who: str, packages: Sequence[str], extra: str) -> None:
        super().__init__(f"{who} needs {' and '.join(packages)}: pip install 'harness-eval[{extra}]'")


class Interrupted(HarnessError):
    """A run was stopped by a signal after it had written everything that it had; it can be resumed."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely meant, or None."""
    matches = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, known: Iterable[str], *, at_most: int = 12) -> str:
    """``"; did you mean 'metrics'?"`` or, where nothing is near, the names there are (``at_most`` of them)."""
    names = sorted(known)
    guess = nearest(name, names)
    if guess is not None:
        return f"; did you mean {guess!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")
    return f"; known: {shown}"
