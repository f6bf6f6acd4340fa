"""`oddwave watch`: judge what arrives, as it arrives. Read `oddwave/watch/run.py` for what happens."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddwave.cli import options as opt
from oddwave.console import EXIT_FOUND, EXIT_UNJUDGED, say
from oddwave.errors import ConfigError

if TYPE_CHECKING:
    from oddwave.watch.start import Asking

__all__ = ["watch"]

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="'-' (standard input), a file that grows, a folder where files arrive, mqtt://host/topic, or "
        "http://host/api/v1/query_range?query=... (Prometheus).",
    ),
]


Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write events there.  [default: standard output]")
]
Scores = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write every settled point there.")]
State = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Remember how far it is, and go on from there next time.")
]
Once = Annotated[bool, typer.Option("--once", help="Take what is there and stop: for cron, with --state.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Catch up: tell of nothing that ended before, such as 2026-01-31.")
]
Webhook = Annotated[
    str | None, typer.Option(metavar="URL", help="Post each alarm there as JSON; tried again where that fails.")
]
Exec = Annotated[
    str | None, typer.Option("--exec", metavar="CMD", help="Run this for each alarm, its JSON on standard input.")
]
AlertOn = Annotated[str, typer.Option(metavar="opened|closed", help="When an event is an alarm.")]
DeadLetter = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where alarms go that cannot be delivered.  [default: beside state]")
]
Series = Annotated[
    str | None, typer.Option(metavar="COL", help="Column that says whose a row is: each is a stream of its own.")
]
Every = Annotated[float, typer.Option(metavar="SECONDS", help="How often to look for more.")]
Silent = Annotated[bool, typer.Option("--quiet", "-q", help="Tell of nothing but errors on standard error.")]


def watch(
    model: opt.Model,
    source: Source,
    out: Out = None,
    scores: Scores = None,
    state: State = None,
    once: Once = False,
    since: Since = None,
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    false_alarms: opt.FalseAlarms = None,
    webhook: Webhook = None,
    exec_command: Exec = None,
    alert_on: AlertOn = "opened",
    dead_letter: DeadLetter = None,
    series: Series = None,
    every: Every = 1.0,
    timestamp: opt.FittedTimestamp = None,
    delimiter: opt.FittedDelimiter = None,
    decimal: opt.Decimal = None,
    day_first: opt.DayFirst = None,
    no_header: opt.NoHeader = False,
    device: opt.Device = None,
    allow_external: opt.AllowExternal = False,
    exit_code: opt.ExitCode = False,
    quiet: Silent = False,
) -> None:
    """Judge what arrives, as it arrives.

    Writes one JSON line for each change of an event; at most one alarm for each. Ends with status 0 when it is stopped
    or its source ends, 1 where an event opened (with --exit-code), 2 where the command was refused, 3 where rows, files
    or alarms were lost on the way.

    \b
    Examples:
        tail -F sensors.csv | oddwave watch pump.model -
        oddwave watch pump.model sensors.csv --once --state pump.state
        oddwave watch parts.model camera/ --exec "notify --urgent" -o found.jsonl
        oddwave watch pump.model mqtt://broker/plant/pump7 --alpha 0.001
        oddwave watch web.model "http://host/api/v1/query_range?query=up&step=60"
    """
    from oddwave.watch.start import Asking

    reading = {"timestamp": timestamp, "delimiter": delimiter, "decimal": decimal, "day_first": day_first}
    asked = {"alpha": alpha, "threshold": threshold, "false_alarms": false_alarms}
    asking = Asking(
        model, source, out, scores, state, once, since, webhook, exec_command, alert_on, dead_letter, every,
        {**reading, "series": series, "header": not no_header}, asked, device or "cpu", allow_external,
    )  # fmt: skip
    _run(asking, exit_code, quiet)


def _run(asking: "Asking", exit_code: bool, quiet: bool) -> None:
    from oddwave.watch.start import started

    if asking.alert_on not in ("opened", "closed"):
        raise ConfigError(f"--alert-on {asking.alert_on!r:.40}: expected opened or closed")
    if not 0.01 <= asking.every <= 86400.0:
        raise ConfigError(f"--every {asking.every:g}: expected seconds from 0.01 to 86400")

    def tell(text: str) -> None:
        if not quiet:
            say(f"oddwave: {text}", to=sys.stderr)

    with started(asking, tell) as own, _stops() as stop:
        try:
            own.run(lambda seconds: stop.wait(seconds) if seconds else stop.is_set())
        except BrokenPipeError:  # whoever read the events has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if own.teller.num_faults:
            raise typer.Exit(EXIT_UNJUDGED)
        if exit_code and own.num_opened:
            raise typer.Exit(EXIT_FOUND)


@contextmanager
def _stops() -> Iterator[threading.Event]:
    """Let SIGTERM, SIGHUP and Ctrl-C end the watch after what it is at, its state saved."""
    import signal

    from oddwave.stopping import STOP_SIGNALS

    stop, before = threading.Event(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
