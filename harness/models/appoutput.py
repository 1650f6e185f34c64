"""What an app prints goes to standard error: standard output is the command's own."""

from __future__ import annotations

import sys
import threading
from typing import Any

from harness.models.appcalls import AppCalls, AppThread


class AppOutput:
    """Stands for ``sys.stdout`` while an app is open, and afterwards for threads of it that were left behind.

    What a program prints that the app starts does not come by here.
    """

    def __init__(self) -> None:
        self.stream: Any = sys.stdout
        self.is_open = True
        self.stays = False
        """For threads that were left behind, once it is not open any more."""
        sys.stdout = self

    def stay_while(self, calls: AppCalls) -> None:
        """Go on for the threads that these calls have left behind."""
        self.stays = calls.has_left_behind

    def restore(self) -> None:
        """Let everybody else print again. Several may go in any order."""
        self.is_open = False
        while isinstance(sys.stdout, AppOutput) and not (sys.stdout.is_open or sys.stdout.stays):
            sys.stdout = sys.stdout.stream

    def write(self, text: str) -> int:
        return int(self._target().write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def _target(self) -> Any:
        return sys.stderr if self.is_open or isinstance(threading.current_thread(), AppThread) else self.stream
