"""Who types: the name that stands in logs that several people share."""

from __future__ import annotations

import os

_NAMES = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME", "USERNAME")


def actor() -> str | None:
    """The actor of a CI job, else the user of this system; None where nothing tells."""
    return next((os.environ[name] for name in _NAMES if os.environ.get(name)), None)
