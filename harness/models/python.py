"""A function of the user's own under test: a RAG application, an agent, a classifier, a retriever."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import ServiceDown
from harness.models.appanswers import AppReader, BadAnswer, shortened, shown
from harness.models.appcalls import AppCalls, Hung, Raised
from harness.models.appcode import AppCode
from harness.models.appfields import AppInspector, app_fields, row_seed_of
from harness.models.appoutput import AppOutput
from harness.models.asking import Asker
from harness.models.credentials import Hider
from harness.models.limits import Limits, Refused, Trouble
from harness.models.prices import Prices
from harness.models.reasoning import check_marks
from harness.models.service import Service
from harness.protocols import Resources
from harness.types import Ask, Call, Generate, Output, Rank, Request

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LIMITS = Limits(concurrency=4)
_HUNG_IN_A_ROW = 16
_SPARE_S = 60.0
"""How much longer the asker waits for an attempt than we do: it would ask again what hung."""
_OF_DEADLINE = 0.95
"""The most of a request's time that a call takes, so that we see before the asker does that it hangs."""


@dataclass
class Python(Service):
    """Calls ``app: package.module:function`` with one mapping, and takes what it returns for the answer.

    - The mapping is the sample's input, as ``sample.input`` of the task says, with ``choices`` beside it where the task has
      any. A task that prompts (suite ``generation``) gives ``{"prompt", "question", "system", "messages", "decoding"}``
      instead, where question is the same as prompt; one that ranks (suite ``retrieval``) gives ``{"query", "k"}``. It is a
      copy, the function's to change.
    - It returns a text; or a mapping with ``answer`` and what else it has: contexts (texts), citations (positions in them),
      label, probabilities, value, tags, ranking (pairs of document and score, or documents), usage (``{"input_tokens",
      "output_tokens", "cost"}``), reasoning, error; or an answer of ``harness.types``. Anything else is an error of that
      sample, and never an answer.
    - It may be ``async``. If not, it is called in several threads at once: 4, unless ``limits.concurrency`` says otherwise (1
      for a function that cannot be called from several). ``async`` ones share one event loop.
    - An exception is an error of that sample and not tried again, but for a connection that fails or a time-out (of
      ``ConnectionError`` or ``TimeoutError``, or caused by one): its service may be back soon. A call that takes longer than
      ``limits.timeout_s`` is an error and left behind: threads cannot be ended. Where one call after the other is, the run
      stops and can be gone on with.
    - What it prints goes to standard error (what programs print that it starts does not).

    ``app`` is the function, imported when the run begins. ``path`` is the folder where its module is looked for first; by
    default the current directory, and the nearest one above it with ``tasks/`` or ``pyproject.toml``. ``limits`` say how many
    calls run at once and how long each may take. ``prices`` says what a million tokens cost, where answers tell
    their tokens. ``reasoning`` is the pair of marks around what the app's model writes before its answer.

    Its answers may change from one day to the next, so they serve their own run alone, unless the config gives its state a name
    (``cache: {version: "…"}``).
    """

    name: ClassVar[str] = "python"
    summary: ClassVar[str] = "a function of your own, sync or async: package.module:function"
    provides: ClassVar[frozenset[type]] = frozenset({Ask, Generate, Rank})
    tuning: ClassVar[frozenset[str]] = frozenset({"limits", "path", "prices"})

    app: str
    path: Path | None = None
    limits: Limits = _LIMITS
    prices: Prices | None = None
    reasoning: tuple[str, str] | None = None
    _code: AppCode = field(init=False, repr=False, compare=False)
    _open: _Open | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._code = AppCode(self.app, self.path)
        check_marks(self.name, self.reasoning)

    def open(self, resources: Resources) -> None:
        """Import the app. Raises BackendError where that fails or there is no such function, with the nearest name."""
        self.close()
        with contextlib.ExitStack() as undo:
            output = AppOutput()
            undo.callback(output.restore)
            sys.path[:0] = self._code.folders
            undo.callback(_take_away, self._code.folders)
            calls = AppCalls(self._code.load(), f"app {self.app}")
            undo.callback(output.stay_while, calls)
            undo.callback(calls.close)
            patient = replace(self.limits, timeout_s=self._seconds + _SPARE_S)
            asker = Asker(self.name, patient, resources, contextlib.nullcontext, self._attempt)
            asker.open()
            self._asker, self._open = asker, _Open(calls, undo.pop_all())

    def close(self) -> None:
        """Let go of the app. May be called twice."""
        super().close()
        if self._open is not None:
            opened, self._open = self._open, None
            opened.undo.close()

    def signature(self) -> Mapping[str, Any]:
        """Its name alone: what it does nobody knows, and the cache goes by the version that the config gives."""
        return {"backend": self.name, "app": self.app, "reasoning": self.reasoning}

    def inspect(self, resources: Resources) -> AppInspector:
        """Says what the function would be called with. Does not import it."""
        return AppInspector(self.signature(), self._rendered, self.prices)

    @property
    def _seconds(self) -> float:
        """How long a call may take."""
        return min(self.limits.timeout_s, _OF_DEADLINE * self.limits.deadline_s)

    def _rendered(self, request: Request) -> Mapping[str, Any]:
        return {"app": self.app, "input": app_fields(request)}

    async def _attempt(self, session: None, call: Call) -> Output:
        assert self._open is not None
        try:
            value = await self._open.calls.answer(app_fields(call.request, row_seed_of(call)), self._seconds)
        except Hung:
            raise self._hung(self._open) from None
        self._open.hung = 0
        if isinstance(value, Raised):
            raise self._failure(value.error)
        try:
            output = AppReader(self.reasoning, self.prices).output(call, value)
        except BadAnswer as error:
            raise Refused(_without_secrets(f"the app returned no answer: {error}")) from None
        except Exception as error:  # the one place where what an object of the user's raises becomes an output with ``error``
            said = f"the app returned {shown(value)}, which cannot be read: {type(error).__name__}"
            raise Refused(_without_secrets(said)) from None
        return output if output.error is None else replace(output, error=_without_secrets(output.error))

    def _hung(self, opened: _Open) -> Exception:
        opened.hung += 1
        seconds = f"{self._seconds:g} s"
        if opened.hung >= max(_HUNG_IN_A_ROW, 2 * self.limits.concurrency):
            return ServiceDown(f"python: {opened.hung} calls of {self.app} in a row have not returned within {seconds}")
        limit = "timeout_s" if self._seconds == self.limits.timeout_s else "deadline_s"
        return Refused(f"the app did not return within {seconds} (limits.{limit})")

    def _failure(self, error: BaseException) -> Exception:
        text = shortened(_without_secrets(f"the app raised {self._code.described(error)}"))
        return Trouble("transport", text) if _may_pass(error) else Refused(text)


@dataclass(slots=True)
class _Open:
    """What an open app consists of; ``hung`` calls in a row have not returned."""

    calls: AppCalls
    undo: contextlib.ExitStack
    hung: int = 0


def _take_away(folders: Sequence[str]) -> None:
    for folder in folders:
        with contextlib.suppress(ValueError):  # the app has done so already
            sys.path.remove(folder)


def _may_pass(error: BaseException) -> bool:
    """Whether a connection that failed, or a time-out, is at the bottom of it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ConnectionError | TimeoutError):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False


def _without_secrets(text: str) -> str:
    """The text without what the environment holds under names such as ``OPENAI_API_KEY``: libraries put keys into errors."""
    return Hider(value for name, value in os.environ.items() if _SECRET.search(name)).hidden_in(text)
