"""Where in a JSON document the parts of an answer are: JSONPaths by the part that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.codec import dumps
from harness.errors import BackendError, ConfigError, MissingDependency
from harness.models.appanswers import BadAnswer, shortened

ANSWERS = ("answer", "label", "probabilities", "value")
"""Parts of which one at least has to be there."""
_LISTS = ("contexts", "citations")
_OUTSIDE = frozenset("'\"()]")
"""What a path has inside of brackets only; blanks neither."""
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class JsonPaths:
    """Part → path. Raises ConfigError for what cannot be a JSONPath, and where no path leads to an answer."""

    paths: Mapping[str, str]

    def __post_init__(self) -> None:
        if not any(part in self.paths for part in ANSWERS):
            raise ConfigError(f"http: give the JSONPath of one at least of {', '.join(ANSWERS)}, such as answer: $.answer")
        for part, path in self.paths.items():
            if not _has_form(path):
                raise ConfigError(f"http: {part} must be a JSONPath such as $.{part} or $.items[0].{part}, got {path!r}")

    def reader(self) -> Callable[[Any], dict[str, Any]]:
        """A function from a document to its parts. It raises BadAnswer where none of them is an answer or an error.

        ``contexts`` and ``citations`` are lists: of all that the path finds, or the one list that it finds. Any other path may
        find one value at most; a part without one is left out. Raises BackendError for a path of bad syntax.
        """
        compiled = {part: _compiled(part, path) for part, path in self.paths.items()}

        def read(document: Any) -> dict[str, Any]:
            found = {part: find(document) for part, find in compiled.items()}
            parts = {part: self._value(part, matches) for part, matches in found.items() if matches}
            if parts.get("error") in (None, False, "") and not any(part in parts for part in ANSWERS):
                wanted = " or ".join(f"{part} at {self.paths[part]}" for part in ANSWERS if part in self.paths)
                raise BadAnswer(f"there is no {wanted} in {shortened(dumps(document).decode(), _SHOWN)}")
            return parts

        return read

    def _value(self, part: str, matches: list[Any]) -> Any:
        if part in _LISTS:
            return matches[0] if len(matches) == 1 and isinstance(matches[0], list) else matches
        if len(matches) > 1:
            raise BadAnswer(f"{part}: {self.paths[part]} finds {len(matches)} values, and must find one")
        return matches[0]


def _has_form(path: str) -> bool:
    """Whether it looks like a path; the parser, which not everybody has, says whether it is one."""
    depth, quote, place = 0, "", 1
    while place < len(path):
        character = path[place]
        if quote:
            place += character == "\\"
            quote = "" if character == quote else quote
        elif character == "[":
            depth += 1
            if path[place + 1 : place + 2] == "]":
                return False
        elif depth == 0:
            if character in _OUTSIDE or character.isspace():
                return False
        elif character in "'\"":
            quote = character
        elif character == "]":
            depth -= 1
        place += 1
    return path.startswith("$") and depth == 0


def _compiled(part: str, path: str) -> Callable[[Any], list[Any]]:
    try:
        import jsonpath
    except ImportError as error:
        raise MissingDependency("http backend", ["python-jsonpath"], "api") from error
    try:
        query = jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        reason = str(error).partition("\n")[0]
        raise BackendError(f"http: {part} must be a JSONPath such as $.{part}, got {path!r}: {reason}") from None

    def find(document: Any) -> list[Any]:
        if not isinstance(document, list | dict):
            return [document] if path == "$" else []
        try:
            return list(query.findall(document))
        except jsonpath.JSONPathError as error:
            raise BadAnswer(f"{part}: {path}: {str(error).partition(chr(10))[0]}") from None

    return find
