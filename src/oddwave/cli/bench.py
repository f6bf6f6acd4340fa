"""`oddwave bench`: one command for each modality; the tables say what was measured."""

from pathlib import Path
from typing import Annotated

import typer

from oddwave.cli.options import Quiet, listed, seed_numbers
from oddwave.console import PlainGroup, shows_progress

__all__ = ["bench_app"]

bench_app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, rich_markup_mode=None, help="Compare oddwave with others on public data."
)


@bench_app.command("series")
def bench_series(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the tables; a run goes on there.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data sets.  [default: ODDWAVE_DATA]")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Data sets (nab, nab/semi) or items (ECG200).")
    ] = None,
    methods: Annotated[str | None, typer.Option(metavar="A,B", help="Methods.  [default: all but accurate]")] = None,
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="Seeds of the methods that draw at random.")] = "0",
    jobs: Annotated[int | None, typer.Option(min=1, help="Cells run at once.  [default: all cores]")] = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on NAB, UCR and MSL.

    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench series --data data -o results --only nab --methods oddwave,knn --seeds 0,1,2
    """
    from oddwave.datasets.records import data_root
    from oddwave.report.outputs import require_writable

    numbers = seed_numbers(seeds)
    root = data_root(data)
    require_writable(out)
    from oddwave.bench.protocol import load_tasks
    from oddwave.bench.runner import run_benchmark
    from oddwave.bench.tables import write_tables

    rows = run_benchmark(
        root,
        out,
        only=listed(only),
        methods=listed(methods),
        seeds=numbers,
        jobs=jobs,
        show_progress=shows_progress(quiet),
    )
    table = write_tables(out, rows, load_tasks(root))
    failed = sum(bool(row["error"]) for row in rows)
    print(
        f"{len(rows)} cells" + (f", {failed} of them failed (column error)" if failed else "") + f". Written: {table}"
    )
