"""Where the code of a user's app is: found by name, imported, and named in messages when it fails."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from harness.errors import BackendError, ConfigError, did_you_mean

_FORM = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")


class AppCode:
    """``package.module:function``, looked for in ``folder``; without one in the current directory and in the nearest folder
    above it that has ``tasks/`` or ``pyproject.toml``; and then where Python finds its packages.

    Raises ConfigError unless ``app`` has that form and the package is there.
    """

    def __init__(self, app: str, folder: Path | None = None) -> None:
        self.app = app
        self.folders = [str(folder)] if folder is not None else list(dict.fromkeys(map(str, _folders_from(Path.cwd()))))
        matched = _FORM.fullmatch(app)
        if matched is None:
            raise ConfigError(f"python: app must have the form package.module:function, got {app!r}")
        self._module, self._name = matched["module"], matched["name"]
        top = self._module.partition(".")[0]
        if top not in sys.modules and PathFinder.find_spec(top, [*self.folders, *sys.path]) is None:
            raise ConfigError(f"python: app: {self._no_module(top, self.folders)}")

    def load(self) -> Callable[..., Any]:
        """Import the module and return the function. The folders have to be on ``sys.path``, and stay there: an app may import
        more when it is called. Raises BackendError.
        """
        self._refuse_another()
        try:
            module = importlib.import_module(self._module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self._module}.".startswith(f"{error.name}."):
                raise BackendError(f"python: app {self.app!r} cannot be imported: {self.described(error)}") from error
            within = getattr(sys.modules.get(error.name.rpartition(".")[0]), "__path__", self.folders)
            raise BackendError(f"python: app: {self._no_module(error.name, within)}") from None
        except (Exception, SystemExit) as error:  # a module of the user's may raise anything
            raise BackendError(f"python: app {self.app!r} cannot be imported: {self.described(error)}") from error
        return self._function(module)

    def described(self, error: BaseException) -> str:
        """An exception of the app's in one line: ``KeyError: 'question' (rag.py, line 12)``, the line in the app's own code."""
        frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        own = [(file, line) for file, line in frames if any(map(Path(file).is_relative_to, self.folders))]
        outside = [(file, line) for file, line in frames if not _is_ours(file)]
        place = next(reversed([(f, n) for f, n in own if "site-packages" not in f] or outside), None)
        where = "" if place is None else f" ({Path(place[0]).name}, line {place[1]})"
        text = " ".join(str(error).split())
        return f"{type(error).__name__}{': ' if text else ''}{text}{where}"

    def _refuse_another(self) -> None:
        """A module of the same name that was imported from elsewhere before would answer in the app's place."""
        top = self._module.partition(".")[0]
        before = getattr(sys.modules.get(top), "__file__", None)
        spec = PathFinder.find_spec(top, self.folders)
        if before and spec is not None and spec.origin and not _same(before, spec.origin):
            raise BackendError(f"python: app {self.app!r} is in {spec.origin}, but this process has already imported {top!r} "
                               f"from {before}: rename one of them, or run them in two processes")

    def _function(self, module: Any) -> Callable[..., Any]:
        value, names = module, self._name.split(".")
        for depth, name in enumerate(names):
            if not hasattr(value, name):
                of = ".".join([self._module, *names[:depth]])
                hint = did_you_mean(name, _callables(value))
                raise BackendError(f"python: app {self.app!r}: {of} has no function {name!r}{hint}")
            value = getattr(value, name)
        if not callable(value) or isinstance(value, type):
            what = "a class" if isinstance(value, type) else f"of type {type(value).__name__}"
            raise BackendError(f"python: app {self.app!r} must be a function of one mapping, and is {what}")
        function: Callable[..., Any] = value
        return function

    def _no_module(self, name: str, folders: Sequence[str]) -> str:
        near = [info.name for info in pkgutil.iter_modules(folders)]
        parent, _, last = name.rpartition(".")
        hint = did_you_mean(last, near)
        there = f"the package {parent!r} has no" if parent else "no"
        looked = " and ".join(self.folders)
        return f"{there} module {last!r}{hint}: looked in {looked}; `path:` names another folder"


def _folders_from(start: Path) -> Iterator[Path]:
    yield start
    for folder in (start, *start.parents):
        if (folder / "tasks").is_dir() or (folder / "pyproject.toml").is_file():
            yield folder
            return


def _callables(value: Any) -> list[str]:
    return [name for name, item in vars(value).items() if callable(item) and not name.startswith("_")]


def _is_ours(file: str) -> bool:
    return Path(file).is_relative_to(Path(__file__).parent)


def _same(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()
