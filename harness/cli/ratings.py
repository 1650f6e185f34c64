"""``harness ratings``: human ratings and preferences from files, with agreement and a leaderboard of their own."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.cli.options import Json
from harness.cli.output import add_rows, console, print_json, print_next, table
from harness.errors import UsageError, did_you_mean
from harness.ratings.boards import METHODS
from harness.ratings.raters import Settings
from harness.ratings.reading import Named
from harness.ratings.report import RatingsReport, rate
from harness.report.ratings import MOST_RATERS, ratings_heading, ratings_legend, ratings_markdown, ratings_tables
from harness.store import write_atomically


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV, TSV, JSON lines or a JSON list of ratings.")],
    left: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the left one of two.")] = None,
    right: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the right one.")] = None,
    winner: Annotated[str | None, typer.Option(metavar="NAME", help="Column that says left, right, tie, or who won.")] = None,
    worker: Annotated[str | None, typer.Option(metavar="NAME", help="Column of who compared.")] = None,
    item: Annotated[str | None, typer.Option(metavar="NAME", help="Column of what was rated, or of the prompt.")] = None,
    rater: Annotated[str | None, typer.Option(metavar="NAME", help="Column of who rated.")] = None,
    system: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the system that made it.")] = None,
    score: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the rating; scores.a inside objects.")] = None,
    by: Annotated[str, typer.Option(help=f"Rank comparisons by: {', '.join(METHODS)}.")] = "bradley_terry",
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    n_bootstrap: Annotated[int, typer.Option("--n-bootstrap", help="Resamplings behind an interval.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the resamplings.")] = 0,
    raters: Annotated[bool, typer.Option("--raters", help="List every rater.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.md", help="Write it as Markdown too.")] = None,
    as_json: Json = False,
) -> int:
    """Human ratings: do the raters agree, and which system is better?

    Two kinds of files, told apart by their columns. Comparisons of two:
    left, right (or model_a, model_b …), winner (left, right, tie, or a
    name), worker. Ratings on a scale: item, system, rater and score, a row
    a rating; or a row an item and a column a rater.

    Agreement: Krippendorff's alpha by level, Fleiss' and Cohen's kappa,
    Gwet's AC1, ICC, where the ratings admit them; and each rater against
    all others, so that one who disagrees with everybody is named.

    Leaderboard: means with intervals clustered by item; of comparisons
    Bradley-Terry, Newman, Elo (in the order of the rows) and win rates,
    whole workers resampled. Ranks share what cannot be told apart.
    """
    if by not in METHODS:
        raise UsageError(f"harness ratings: --by must be one of {', '.join(METHODS)}, got {by!r}{did_you_mean(by, METHODS)}")
    if not 0 < level < 1 or not 1 <= n_bootstrap <= 100_000 or seed < 0:
        raise UsageError(f"harness ratings: --level must be between 0 and 1, --n-bootstrap 1 to 100,000 and --seed 0 or more, "
                         f"got {level}, {n_bootstrap} and {seed}")  # fmt: skip
    named = Named(left, right, winner, worker, item, rater, system, score)
    report = rate(files, named, by=by, settings=Settings(level, n_bootstrap, seed))
    if output is not None:
        write_atomically(output, ratings_markdown(report).encode())
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, output, all_raters=raters)
        options = {"by": by if by != METHODS[0] else None, **dataclasses.asdict(named)}
        given = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
        typed = shlex.join(["harness", "ratings", *map(str, files), *given])
        more = [f"{typed} --raters"] if len(report.raters) > MOST_RATERS and not raters else []
        print_next(*more, f"{typed} -o ratings.md" if output is None else f"{typed} --json")
    return 0


def _print(report: RatingsReport, output: Path | None, *, all_raters: bool) -> None:
    out = console()
    out.print(f"{ratings_heading(report)}\n", soft_wrap=True)
    for found in ratings_tables(report, all_raters=all_raters):
        out.print(Text(found.title, style="bold"), soft_wrap=True)
        out.print(add_rows(table(*found.headers), found.rows))
        out.print()
    out.print(Text(ratings_legend(report), style="dim"), soft_wrap=True)
    for note in report.notes:
        out.print(f"note: {note}", soft_wrap=True)
    if output is not None:
        out.print(f"written: {output}", soft_wrap=True)
