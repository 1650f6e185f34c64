"""The command ``harness``: a lazy table of commands, one file each, and the one place where exceptions become exit codes.

A command's module has a function ``command``; typer reads its signature. It returns its exit code, or None for 0. Its
docstring is its help.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from harness.errors import ConfigError, HarnessError, Interrupted, UsageError, did_you_mean

DEFECT, INTERRUPTED, BROKEN_PIPE = 70, 130, 141


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: what is typed, the module that does it, and one line of help."""

    typed: str
    module: str
    line: str


COMMANDS = (
    Command("init", "harness.cli.init", "write a commented config and tasks to edit"),
    Command("run", "harness.cli.run", "run a config, or go on with it where it was stopped"),
    Command("validate", "harness.cli.validate", "check a config and show the first prompts, without loading a model"),
    Command("score", "harness.cli.score", "score files of outputs against references"),
    Command("ratings", "harness.cli.ratings", "human ratings and preferences: agreement, and a leaderboard of their own"),
    Command("show", "harness.cli.show", "what a run found, or its samples"),
    Command("leaderboard", "harness.cli.leaderboard", "the leaderboard of a run"),
    Command("compare", "harness.cli.compare", "runs against a base: what moved, how sure, what else changed"),
    Command("rescore", "harness.cli.rescore", "score the stored answers of a run again"),
    Command("noise", "harness.cli.noise", "how much the numbers of a config move by themselves"),
    Command("gate", "harness.cli.gate", "hold a run against its policy: has anything become worse than the baseline?"),
    Command("baseline", "harness.cli.baseline", "name the runs that others are compared with"),
    Command("history", "harness.cli.history", "how the numbers of a config moved from run to run, and what changed there"),
    Command("drift", "harness.cli.drift", "how far the inputs, outputs and service of a run are from those of another"),
    Command("list", "harness.cli.listing", "runs, tasks, metrics, backends, suites, formats"),
    Command("schema", "harness.cli.schema", "the JSON Schema of task or run files, for editors"),
    Command("cache", "harness.cli.cache", "what the answer cache holds, or clear it"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit code.

    0 fine · 1 regressed · 2 bad config or usage · 3 inconclusive · 4 samples could not be run · 70 a defect of the harness ·
    130 Ctrl-C · 143 SIGTERM · 141 the reader of a pipe went away. With ``--json`` whatever goes wrong is also a document on
    stdout: ``{"schema", "exit_code", "error"}``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get("HARNESS_DEBUG"))
    with _streams():
        return _exit_code([argument for argument in arguments if argument != "--debug"], debug)


def _exit_code(arguments: Sequence[str], debug: bool) -> int:
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except HarnessError as error:
        if isinstance(error, _OutputError):
            _drop_output()
        if debug:
            _print_traceback()
        code, message = _tell(error), str(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code, message = INTERRUPTED, "stopped"
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except Exception as error:
        code, message = _defect(error, debug), _named(error)
    if "--json" in arguments:
        _print_error(code, message)
    return code


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        from harness import __version__

        print(f"harness {__version__}")
        return 0
    typed, *rest = arguments
    if typed.startswith("-"):
        raise UsageError(f"harness: unknown option {typed!r}: options come after the command, as in harness run {typed}")
    for command in COMMANDS:
        if command.typed == typed:
            return _invoke(command, rest)
    raise UsageError(f"harness: unknown command {typed!r}{did_you_mean(typed, [command.typed for command in COMMANDS])}")


def _help() -> str:
    width = max(len(command.typed) for command in COMMANDS)
    return "\n".join([
        "Usage: harness COMMAND [OPTIONS]",
        "",
        "Evaluate language models and RAG systems: every sample answered once, an interval on every number.",
        "",
        "Commands",
        *(f"  {command.typed:<{width}}  {command.line}" for command in COMMANDS),
        "",
        "Begin with          harness init retrieval && harness run",
        "About one command   harness COMMAND --help",
        "Version             harness --version",
        "Traceback of errors harness COMMAND --debug   (or HARNESS_DEBUG=1)",
        "",
        "Exit codes: 0 fine, 1 regressed, 2 bad config or usage, 3 inconclusive, 4 samples could not be run,",
        "            70 a defect of the harness, 130 Ctrl-C, 143 SIGTERM",
    ])  # fmt: skip


def _invoke(command: Command, arguments: list[str]) -> int:
    """Let typer parse the arguments and call the command; its usage errors become ours."""
    import importlib

    import typer

    function = importlib.import_module(command.module).command
    app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
    app.command()(function)
    parser: Any = typer.main.get_command(app)
    typed = f"harness {command.typed}"
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]  # typer has click inside, or beside it: by its version
    try:
        with parser.make_context(typed, arguments) as context:
            code = parser.invoke(context)
    except usage_error as error:
        raise UsageError(_usage_message(typed, parser, error)) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except typer.Exit as done:
        return int(done.exit_code)
    return code if isinstance(code, int) else 0


def _usage_message(typed: str, parser: Any, error: Any) -> str:
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and option is not None:
        known = [name for parameter in parser.params for name in parameter.opts if name.startswith("-")] + ["--help"]
        message = f"unknown option {option!r}{did_you_mean(option, known)}"
    else:
        message = str(error.format_message())
        message = (message[:1].lower() + message[1:]).rstrip(".")
    return f"{typed}: {message}\nsee: {typed} --help"


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


def _tell(error: HarnessError) -> int:
    """The message of an error that is meant for the user, on stderr; all problems of a config."""
    if isinstance(error, Interrupted):
        lines = str(error).splitlines()
    elif isinstance(error, ConfigError):
        lines = [f"error: {problem}" for problem in error.problems]
        if len(lines) > 1:
            lines.append(f"{len(lines)} problems")
    else:
        lines = f"error: {error}".splitlines()
    with contextlib.suppress(OSError):  # nobody reads stderr; the exit code still tells
        print("\n".join(lines), file=sys.stderr, flush=True)
    return error.exit_code


def _defect(error: Exception, debug: bool) -> int:
    """Every exception that is not a HarnessError: a short message, the traceback where it does not hide the message."""
    if debug:
        _print_traceback()
        print(f"error: {_named(error)}", file=sys.stderr)
        return DEFECT
    print(f"error: {_named(error)}\n{_traceback_kept()}", file=sys.stderr)
    return DEFECT


def _named(error: Exception) -> str:
    return "a defect of the harness: " + f"{type(error).__name__}: {error}".splitlines()[0]


def _print_error(code: int, message: str) -> None:
    """The document of a command that has none of its own, for whoever reads its JSON."""
    from harness.cli.output import print_json

    with contextlib.suppress(HarnessError, BrokenPipeError):  # nobody reads stdout; the exit code still tells
        print_json({"exit_code": code, "error": message})
        sys.stdout.flush()


def _traceback_kept() -> str:
    """Write the traceback to a temporary file; where it is, or how it can be seen."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="harness-defect-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as stream:
            stream.write(traceback.format_exc())
    except OSError:
        return "the traceback is shown with --debug"
    return f"the traceback is in {stream.name} (--debug shows it)"


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _OutputError(HarnessError):
    """Standard output takes no more: its disk is full, its device is gone."""


class _Output:
    """Standard output, whose failures can be told from those of every other file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _telling_failures():
            return int(self._stream.write(text))

    def flush(self) -> None:
        with _telling_failures():
            self._stream.flush()


@contextlib.contextmanager
def _telling_failures() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputError(f"cannot write to standard output: {error.strerror or error}") from error


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """The streams that commands write to, put back afterwards. One that was closed by the caller is the null device."""
    with contextlib.ExitStack() as stack:
        if sys.stdout is None:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_null_device())))
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(_null_device())))
        _write_utf8()
        output: Any = _Output(sys.stdout)
        stack.enter_context(contextlib.redirect_stdout(output))
        yield


def _null_device() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _write_utf8() -> None:
    """Files and pipes get UTF-8 on every system; a terminal keeps its encoding and shows ? for what it lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace") if stream.isatty() else reconfigure(encoding="utf-8", errors="backslashreplace")


def _drop_output() -> None:
    """Nothing can be written to stdout any more: let the interpreter flush what is left into nothing."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
