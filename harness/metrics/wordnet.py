"""The synonyms of a word in WordNet's own files, found as nltk's reader finds them: morphy, exceptions, all parts of speech.

No library is needed: the files of Debian's ``wordnet-base``, of nltk's corpus (unpacked or as its zip) and of Princeton's
``dict`` folder have the same form (wndb(5WN)).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from harness.errors import MetricError

_PARTS: Mapping[str, tuple[tuple[str, str], ...]] = {  # suffixes and what stands for them in the lemma: morphy(7WN)
    "noun": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
             ("ies", "y")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
_DEBIAN = Path("/usr/share/wordnet")
_MARKER = re.compile(rb"\([^()]*\)$")
"""What says where an adjective may stand: ``galore(ip)``."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The files of one part of speech. ``index`` : lemma → the rest of its line; ``exceptions`` : form → its lemmas."""

    suffixes: tuple[tuple[str, str], ...]
    index: Mapping[str, str]
    exceptions: Mapping[str, tuple[str, ...]]
    data: bytes


@dataclass(frozen=True, slots=True)
class WordNet:
    """WordNet read from files; make one with :func:`open_wordnet`. ``version`` is what the files say, ``3.0``."""

    version: str
    parts: tuple[_Part, ...]

    def synonyms(self, word: str) -> frozenset[str]:
        """Every single-word lemma of every synset that the word, in any form and part of speech, belongs to.

        Empty for a word that is not there. Equals the names without an underscore of the lemmas of nltk's ``synsets(word)``.
        """
        word = word.lower()
        return frozenset(lemma for part in self.parts for form in _forms(part, word) for offset in _offsets(part.index[form])
                         for lemma in _lemmas(part.data, offset) if "_" not in lemma)


def find_wordnet() -> Path | None:
    """Where WordNet is on this machine: nltk's corpus (a folder or its zip), else Debian's ``wordnet-base``; None: nowhere."""
    return next((path for path in _places() if _has_index(path)), None)


@lru_cache(maxsize=2)
def open_wordnet(path: Path) -> WordNet:
    """WordNet from a folder, or from nltk's ``wordnet.zip``. Raises MetricError where its files are not there."""
    if not _has_index(path):
        raise MetricError(f"WordNet: {path} must be a folder or a zip with index.noun, data.noun, noun.exc and so on; "
                          "Debian's wordnet-base has them in /usr/share/wordnet")
    parts = tuple(_part(path, name, suffixes) for name, suffixes in _PARTS.items())
    version = re.search(rb"WordNet (\d+(?:\.\d+)?) Copyright", parts[0].data)
    return WordNet(version[1].decode() if version else "unknown", parts)


def _places() -> Iterator[Path]:
    if find_spec("nltk") is not None:
        import nltk.data

        for folder in nltk.data.path:
            yield Path(folder, "corpora", "wordnet")
            yield Path(folder, "corpora", "wordnet.zip")
    yield _DEBIAN


def _has_index(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/index.noun") for name in archive.namelist())
    return (path / "index.noun").is_file()


def _read(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            return (path / name).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(next(member for member in archive.namelist() if member.endswith(f"/{name}")))
    except (OSError, StopIteration) as error:
        raise MetricError(f"WordNet: {path} has no {name}") from error


def _part(path: Path, name: str, suffixes: tuple[tuple[str, str], ...]) -> _Part:
    index = dict(_first_word(line) for line in _read(path, f"index.{name}").decode().splitlines() if line[:1] != " ")
    listed = (line.split() for line in _read(path, f"{name}.exc").decode().splitlines())
    return _Part(suffixes, index, {words[0]: tuple(words[1:]) for words in listed if words}, _read(path, f"data.{name}"))


def _first_word(line: str) -> tuple[str, str]:
    word, _, rest = line.partition(" ")
    return word, rest


def _forms(part: _Part, word: str) -> list[str]:
    """The word and what it may be a form of, as far as it is there; the rules only where no exception is listed."""
    others = part.exceptions.get(word)
    if others is None:
        others = tuple(word[:len(word) - len(old)] + new for old, new in part.suffixes if word.endswith(old))
    return [form for form in dict.fromkeys((word, *others)) if form in part.index]


def _offsets(entry: str) -> list[int]:
    """Of ``pos synset_cnt p_cnt [symbols] sense_cnt tagsense_cnt offset …``."""
    fields = entry.split()
    return list(map(int, fields[-int(fields[1]):]))


def _lemmas(data: bytes, offset: int) -> list[str]:
    """Of ``offset file type w_cnt word lex_id [word lex_id …] …``; ``w_cnt`` is hexadecimal."""
    fields = data[offset:data.index(b"|", offset)].split()
    words = fields[4:4 + 2 * int(fields[3], 16):2]
    return [_MARKER.sub(b"", word).decode() for word in words]
