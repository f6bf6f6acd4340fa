"""`oddwave bench`: one command for each modality; the tables say what was measured."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddwave.cli.options import Quiet, listed, out_option, seed_numbers
from oddwave.console import PlainGroup, say
from oddwave.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oddwave.lab.bench.protocol import BenchModality

__all__ = ["bench_app"]

bench_app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Compare oddwave with others on public data.

    \b
    Example:
        oddwave bench series --data data -o results --only nab
    """,
)


Out = Annotated[Path, out_option("OUT", "Folder for the tables; a run goes on there.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data sets.  [default: ODDWAVE_DATA]")
]
Methods = Annotated[str | None, typer.Option(metavar="A,B", help="Methods.  [default: all but accurate]")]
Seeds = Annotated[str, typer.Option(metavar="0,1,2", help="Seeds of the methods that draw at random.")]
Quick = Annotated[bool, typer.Option("--quick", help="A first look: few items, thinned, a quarter of the training.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Cells run at once.  [default: what cores and memory hold]")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each cell.")]


@bench_app.command("series")
def bench_series(
    out: Out,
    data: DataFolder = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Data sets (nab, nab/semi) or items (ECG200).")
    ] = None,
    methods: Methods = None,
    seeds: Seeds = "0",
    quick: Quick = False,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on NAB, UCR, MSL and PEMS-BAY.

    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench series --data data -o results \\
            --only nab --methods oddwave,knn --seeds 0,1,2
    """
    _run("series", out, data, only, methods, seeds, quick, jobs, 1, quiet)


@bench_app.command("image")
def bench_image(
    out: Out,
    data: DataFolder = None,
    only: Annotated[str | None, typer.Option(metavar="A,B", help="Data sets (mvtec_ad) or categories (screw).")] = None,
    methods: Methods = None,
    seeds: Seeds = "0",
    quick: Quick = False,
    jobs: Jobs = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Compare methods on MVTec AD, magnetic tile and VisA.

    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench image --data data -o results \\
            --only screw --methods oddwave,padim --seeds 0,1,2
    """
    _run("image", out, data, only, methods, seeds, quick, jobs, threads, quiet)


@bench_app.command("audio")
def bench_audio(
    out: Out,
    data: DataFolder = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Data sets (urbansound8k) or normal classes (siren).")
    ] = None,
    methods: Methods = None,
    seeds: Seeds = "0",
    quick: Quick = False,
    jobs: Jobs = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Compare methods on UrbanAudio8K, ESC and DCASE Task 2.

    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench audio --data data -o results \\
            --only siren --methods oddwave,frozen_knn --seeds 0,1,2
    """
    _run("audio", out, data, only, methods, seeds, quick, jobs, threads, quiet)


@bench_app.command("ablation")
def bench_ablation(
    out: Out,
    data: DataFolder = None,
    modality: Annotated[
        str | None, typer.Option(metavar="image|series", help="[default: what there are data of]")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Data sets or items.  [default: a few of each]")
    ] = None,
    variants: Annotated[str | None, typer.Option(metavar="A,B", help="Variants.  [default: all]")] = None,
    seeds: Seeds = "0",
    quick: Quick = False,
    jobs: Jobs = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Measure what each part of oddwave is worth.

    In the paper's setting and in its own.
    May be interrupted: the same command goes on where it stopped.

    \b
    Example:
        oddwave bench ablation --data data -o results --modality series \\
            --variants no_attention --seeds 0,1,2
    """
    from oddwave.lab.bench.ablation import ablation_work
    from oddwave.lab.datasets.records import data_root
    from oddwave.report.outputs import require_writable

    numbers, root = seed_numbers(seeds), data_root(data)
    work = ablation_work(root, modality, listed(only), listed(variants))
    require_writable(out)
    from oddwave.lab.bench.ablation_plots import write_ablation_plots
    from oddwave.lab.bench.ablation_tables import write_ablation_tables
    from oddwave.lab.bench.quick import quick_tasks
    from oddwave.lab.bench.runner import read_results, run_benchmark

    rows: list[dict[str, str]] = []
    for each, tasks, methods in work:
        rows += run_benchmark(
            root,
            out,
            modality=each,
            tasks=quick_tasks(tasks) if quick else tasks,
            methods=methods,
            seeds=numbers,
            jobs=jobs,
            num_threads=threads,
            show_progress=not quiet,
        )
    known = read_results(out)
    table = write_ablation_tables(out, known)
    try:
        write_ablation_plots(out, known)
    except MissingExtraError as error:
        warnings.warn(f"{error}; ablation_plots.html is left out", stacklevel=1)
    _say(rows, table)


def _run(
    modality: "BenchModality",
    out: Path,
    data: Path | None,
    only: str | None,
    methods: str | None,
    seeds: str,
    quick: bool,
    jobs: int | None,
    threads: int,
    quiet: bool,
) -> None:
    """Run what is missing, write the tables, say how it went."""
    from oddwave.lab.datasets.records import data_root
    from oddwave.report.outputs import require_writable

    numbers = seed_numbers(seeds)
    root = data_root(data)
    require_writable(out)
    from oddwave.lab.bench.protocol import load_tasks, readable_tasks
    from oddwave.lab.bench.quick import quick_tasks
    from oddwave.lab.bench.runner import run_benchmark
    from oddwave.lab.bench.tables import write_tables

    tasks = load_tasks(root, listed(only), modality)
    rows = run_benchmark(
        root,
        out,
        modality=modality,
        tasks=quick_tasks(tasks) if quick else tasks,
        methods=listed(methods),
        seeds=numbers,
        jobs=jobs,
        num_threads=threads,
        show_progress=not quiet,
    )
    known = readable_tasks(root, modality)  # a folder may hold rows of other items, full and quick ones
    _say(rows, write_tables(out, rows, [*known, *quick_tasks(known)], modality))


def _say(rows: "Sequence[Mapping[str, str]]", table: Path) -> None:
    failed = sum(bool(row["error"]) for row in rows)
    say(f"{len(rows)} cells" + (f", {failed} of them failed (column error)" if failed else "") + f". Written: {table}")
