"""The command itself: help, version, what goes wrong, and which exit code it gets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import harness.cli as cli
from harness.cli.options import Json
from harness.cli.output import undisturbed
from harness.errors import ConfigError, Interrupted, ServiceDown
from tests.cli.projects import Harness

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int | None]], None]:
    """Puts a function in the table as ``harness probe``."""

    def install(function: Callable[[], int | None]) -> None:
        module = types.ModuleType("probe_command")
        module.command = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, cli.Command("probe", "probe_command", "a probe")))

    return install


def test_a_misspelt_command_is_refused_with_the_nearest(harness: Harness) -> None:
    said = harness("rnu", "configs/a.yaml")
    assert (said.code, said.out, said.err) == (2, "", "error: harness: unknown command 'rnu'; did you mean 'run'?\n")


def test_an_option_before_the_command_is_refused(harness: Harness) -> None:
    said = harness("--json", "run")
    assert said.code == 2
    assert said.err == "error: harness: unknown option '--json': options come after the command, as in harness run --json\n"


def test_a_misspelt_option_is_refused_with_the_nearest(harness: Harness) -> None:
    said = harness("run", "--reslts", "x")
    assert said.code == 2
    assert said.err == "error: harness run: unknown option '--reslts'; did you mean '--results'?\nsee: harness run --help\n"


def test_a_missing_argument_is_named(harness: Harness) -> None:
    said = harness("show")
    assert said.code == 2
    assert re.fullmatch(r"error: harness show: missing argument .*RUN.*\nsee: harness show --help\n", said.err)


def test_a_bad_choice_names_what_there_is(harness: Harness) -> None:
    said = harness("schema", "tasks")
    assert said.code == 2
    assert "'tasks' is not one of 'task', 'run'" in said.err


def test_help_names_every_command_and_every_exit_code(harness: Harness) -> None:
    said = harness("--help")
    assert said.code == 0
    for command in cli.COMMANDS:
        assert re.search(rf"^  {command.typed} +\S", said.out, re.MULTILINE)
    for meaning in ("0 fine", "1 regressed", "2 bad", "3 inconclusive", "4 samples", "70 a defect", "130 Ctrl", "143 SIGTERM"):
        assert meaning in said.out
    assert harness().out == said.out == harness("help").out


@pytest.mark.parametrize("command", [command.typed for command in cli.COMMANDS])
def test_every_command_has_help(harness: Harness, command: str) -> None:
    said = harness(command, "--help")
    assert said.code == 0
    assert f"harness {command}" in said.out


def test_version(harness: Harness) -> None:
    import harness as package

    assert harness("--version").out == f"harness {package.__version__}\n"


def test_every_problem_of_a_config_is_told(harness: Harness, command_that: Callable[..., None]) -> None:
    def fail() -> int:
        raise ConfigError(["a.yaml:1:2: one", "a.yaml:3:4: two"])

    command_that(fail)
    said = harness("probe")
    assert (said.code, said.out, said.err) == (2, "", "error: a.yaml:1:2: one\nerror: a.yaml:3:4: two\n2 problems\n")


def test_an_unexpected_exception_is_a_defect_of_ours(harness: Harness, command_that: Callable[..., None]) -> None:
    def fail() -> int:
        raise ZeroDivisionError("n was 0")

    command_that(fail)
    said = harness("probe")
    assert (said.code, said.out) == (70, "")
    first, second = said.err.splitlines()
    assert first == "error: a defect of the harness: ZeroDivisionError: n was 0"
    path = Path(re.fullmatch(r"the traceback is in (.+) \(--debug shows it\)", second)[1])  # type: ignore[index]
    assert "in fail" in path.read_text()
    path.unlink()


def test_debug_shows_the_traceback(
    harness: Harness, command_that: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ZeroDivisionError

    command_that(fail)
    assert "Traceback (most recent call last)" in harness("probe", "--debug").err
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    assert "Traceback (most recent call last)" in harness("probe").err


@pytest.mark.parametrize(("error", "code", "message"), [
    (KeyboardInterrupt(), 130, "stopped\n"),
    (Interrupted("stopped\ngo on with: harness run a.yaml", 143), 143, "stopped\ngo on with: harness run a.yaml\n"),
    (BrokenPipeError(), 141, ""),
])  # fmt: skip
def test_interruptions_have_their_exit_codes(
    harness: Harness, command_that: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    error: BaseException, code: int, message: str,
) -> None:  # fmt: skip
    def fail() -> int:
        raise error

    command_that(fail)
    monkeypatch.setattr(cli, "_drop_output", lambda: None)
    said = harness("probe")
    assert (said.code, said.out, said.err) == (code, "", message)


@pytest.mark.parametrize(("error", "code", "message"), [
    (ConfigError(["a.yaml:1:2: one", "a.yaml:3:4: two"]), 2, "a.yaml:1:2: one\na.yaml:3:4: two"),
    (ServiceDown("the service is down"), 4, "the service is down"),
    (KeyboardInterrupt(), 130, "stopped"),
    (Interrupted("stopped\ngo on with: harness run a.yaml", 143), 143, "stopped\ngo on with: harness run a.yaml"),
    (ZeroDivisionError("n was 0"), 70, "a defect of the harness: ZeroDivisionError: n was 0"),
])  # fmt: skip
def test_with_json_an_error_is_a_document_too(
    harness: Harness, command_that: Callable[..., None], error: BaseException, code: int, message: str
) -> None:
    def fail(as_json: Json = False) -> int:
        with undisturbed(as_json):
            raise error

    command_that(fail)
    said, plain = harness("probe", "--json", "--debug"), harness("probe", "--debug")
    assert (said.code, said.json) == (code, {"schema": 1, "exit_code": code, "error": message})
    assert (plain.code, plain.out) == (code, "")
    assert said.err.splitlines()[-1] == plain.err.splitlines()[-1]


def test_with_json_a_misspelt_option_is_a_document_too(harness: Harness) -> None:
    said = harness("run", "--json", "--reslts", "x")
    assert said.json["exit_code"] == said.code == 2
    assert said.err == f"error: {said.json['error']}\n"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_command_returns_its_exit_code(
    harness: Harness, command_that: Callable[..., None], returned: int | None, code: int
) -> None:
    command_that(lambda: returned)
    assert harness("probe").code == code


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_goes_away_is_no_defect() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        ended = subprocess.run(
            [sys.executable, "-m", "harness.cli", "list", "metrics"], stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert (ended.returncode, ended.stderr) == (141, "")


FULL = Path("/dev/full")
IN_A_SHELL = [sys.executable, "-m", "harness.cli"]


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [["list", "runs"], ["list", "metrics", "--json"], ["schema", "run"], ["--version"]])
def test_a_full_disk_under_standard_output_is_told(words: list[str], tmp_path: Path) -> None:
    """Short texts fail when they are flushed, long ones while they are written."""
    with FULL.open("wb") as stdout:
        ended = subprocess.run(
            [*IN_A_SHELL, *words], stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, "error: cannot write to standard output: No space left on device\n")


def test_an_error_of_another_file_is_not_taken_for_one_of_standard_output(
    harness: Harness, command_that: Callable[..., None], tmp_path: Path
) -> None:
    def fail() -> int:
        print("begun")
        raise OSError(28, "No space left on device", str(tmp_path / "journal.jsonl"))

    command_that(fail)
    said = harness("probe", "--debug")
    assert (said.code, said.out) == (70, "begun\n")
    assert "cannot write to standard output" not in said.err


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize(("closed", "words", "code", "out", "err"), [
    (">&-", "list runs", 0, "", ""),
    ("2>&-", "list runs", 0, "no runs in results\nnext: harness run\n", ""),
    (">&- 2>&-", "list metrics --json", 0, "", ""),
    (">&-", "rnu", 2, "", "error: harness: unknown command 'rnu'; did you mean 'run'?\n"),
    ("2>&-", "rnu", 2, "", ""),
    ("<&-", "cache clear", 2, "", "error: harness cache clear: say --yes where nobody can be asked\n"),
])  # fmt: skip
def test_a_closed_stream_is_the_null_device(
    tmp_path: Path, closed: str, words: str, code: int, out: str, err: str
) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"$0" -m harness.cli {words} {closed}', sys.executable], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, out, err)


def test_streams_are_put_back(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdout
    harness("--version")
    assert sys.stdout is before
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["--version"]) == 0
    assert sys.stdout is None


def test_help_and_version_load_neither_typer_nor_numpy() -> None:
    code = (
        "import sys; from harness.cli import main; main(['--help']); main(['--version']); main(['rnu'])\n"
        "print(sorted({'typer', 'rich', 'numpy', 'pydantic', 'yaml', 'click'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"
