"""``harness leaderboard``: the standings of a run."""

from __future__ import annotations

from harness import api
from harness.cli.options import Json, Results, Run
from harness.cli.output import DEFAULT_RESULTS, console, print_json, print_next, typed
from harness.cli.result import print_leaderboard
from harness.report.leaderboard import leaderboard_document


def command(
    run: Run = "latest",
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Print the leaderboard of a run: values with intervals, ranks with ties."""
    found = api.load(run, results=results)
    if as_json:
        print_json(leaderboard_document(found.record))
        return 0
    out = console()
    out.print(f"{found.record.name}, run {found.run_id}\n", soft_wrap=True)
    print_leaderboard(found.record)
    out.print()
    print_next(typed("show", found.run_id, results=results))
    return 0
