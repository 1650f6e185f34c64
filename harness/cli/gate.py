"""``harness gate``: a run against its policy and its baseline; an exit code that stops a workflow."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness import api
from harness.cli.actor import actor
from harness.cli.options import Json, Results, Run, by_commas
from harness.cli.output import (
    DEFAULT_RESULTS,
    add_rows,
    console,
    fitted,
    print_json,
    print_next,
    table,
    typed,
    undisturbed,
    without,
)
from harness.errors import HarnessError
from harness.gate.notify import tell
from harness.gate.policy import Policy
from harness.gate.verdict import Verdict
from harness.report.junit import junit, junit_of_failure
from harness.report.summary import TextTable
from harness.report.verdict import about, failure_markdown, headline, verdict_markdown, verdict_table
from harness.store import writing

_DISPENSABLE = ("p", "baseline", "n", "value")
_STYLES = {"passed": "green", "regressed": "bold red", "inconclusive": "yellow", "infrastructure": "bold red"}


def command(
    run: Run = "latest",
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="NAME|RUN", help="Default: that of the config.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="YAML with the keys of gate:.")] = None,
    init: Annotated[bool, typer.Option("--init", help="Where the baseline is new: this run becomes it.")] = False,
    update: Annotated[bool, typer.Option("--update", help="If the run passes, it becomes the baseline.")] = False,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="WHAT", help="Compare although it differs: data, prompt, task.")
    ] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML.")] = None,
    summary: Annotated[
        Path | None, typer.Option("--summary", metavar="FILE", help="Append it as Markdown. Default: $GITHUB_STEP_SUMMARY.")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Hold a run against the policy of its config: has anything become worse than the baseline?

    Exit code 0: every rule holds; 1: one is broken beyond doubt; 3: there are
    too few samples to tell (on_inconclusive: pass or fail makes it 0 or 1);
    4: too many outputs are missing for a verdict; 2: nothing could be checked.

    The first night: --init makes the run the baseline where there is none.
    """
    started = time.monotonic()
    page = summary or _path_in("GITHUB_STEP_SUMMARY")
    with _reported(junit_file, page, started), undisturbed(as_json):
        verdict, held = api.gate_with_policy(
            run, baseline=baseline, policy=policy, results=results, init=init, update=update, allow=by_commas(allow), by=actor()
        )
        if junit_file is not None:
            _write(junit_file, junit(verdict, time.monotonic() - started), append=False)
        if page is not None:
            _write(page, verdict_markdown(verdict).encode(), append=True)
    if as_json:
        print_json(verdict.to_json())
    else:
        _print(verdict, results)
    _notify(verdict, held, os.environ)
    return verdict.exit_code


@contextlib.contextmanager
def _reported(path: Path | None, page: Path | None, started: float) -> Iterator[None]:
    """Within, whatever breaks off is in both reports too: a job that shows none, or that of the night before, looks like one
    that passed."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()
    try:
        yield
    except Exception as error:
        is_told = isinstance(error, HarnessError)
        what = str(error) if is_told else f"a defect of the harness: {type(error).__name__}: {error}"
        details = what if is_told else traceback.format_exc()
        for file, text in ((path, junit_of_failure(what, details, time.monotonic() - started)), (page, failure_markdown(what))):
            if file is not None:
                with contextlib.suppress(OSError, HarnessError):  # it is this error that counts
                    _write(file, text, append=file is page)
        raise


def _write(path: Path, data: bytes, *, append: bool) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if append else "wb") as stream:
            stream.write(data)


def _path_in(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


def _print(verdict: Verdict, results: Path) -> None:
    out = console()
    shown = verdict_table(verdict)
    if shown.rows:
        shown = _to_fit(shown, out.width)
        out.print(add_rows(table(*shown.headers), ([Text(word, style=_STYLES[word]), *rest] for word, *rest in shown.rows)))
        out.print()
    for note in about(verdict):
        out.print(Text(note, style="dim"), soft_wrap=True)
    out.print(Text(headline(verdict), style=_STYLES[verdict.verdict]), soft_wrap=True)
    print_next(*_next(verdict, results))


def _to_fit(shown: TextTable, width: int) -> TextTable:
    """Without the columns that say nothing; in a narrow terminal without those that can be missed."""
    columns = {header: {row[place] for row in shown.rows} for place, header in enumerate(shown.headers)}
    for header, cells in columns.items():
        shown = without(shown, header) if cells == {""} else shown
    same = [header for header in ("entry", "task") if len(columns[header]) == 1]
    return fitted(shown, width, (*same, *_DISPENSABLE))


def _next(verdict: Verdict, results: Path) -> list[str]:
    if verdict.verdict == "infrastructure":
        return [typed("show", verdict.run_id, "--samples", "--failed", results=results)]
    if verdict.baseline is None:
        return [typed("show", verdict.run_id, results=results)]
    return [typed("compare", verdict.baseline, verdict.run_id, results=results)]


def _notify(verdict: Verdict, policy: Policy, environ: Mapping[str, str]) -> None:
    """A verdict that cannot be told stays what it is."""
    if policy.notify is None or verdict.verdict not in policy.notify.on:
        return
    document = {"schema": 1, "headline": headline(verdict), **verdict.to_json()}
    fault = tell(policy.notify, document, environ)
    if fault is not None:
        print(f"warning: {fault}", file=sys.stderr)
