"""`oddwave serve`: models behind HTTP, with a history and a page.

Read `service/app.py` for what answers.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddwave.cli.options import AllowExternal, Device
from oddwave.console import say
from oddwave.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from oddwave.service.history import History

__all__ = ["serve"]

_TOKEN = "ODDWAVE_TOKEN"


Models = Annotated[
    list[str], typer.Argument(metavar="MODEL...", help="Folders that `oddwave fit` wrote, or NAME=FOLDER.")
]
Token = Annotated[str | None, typer.Option(help=f"What clients must send.  [default: ${_TOKEN}]", show_default=False)]
NoToken = Annotated[
    bool, typer.Option("--no-token", help="Others may ask without a token: a proxy in front checks who does.")
]
HistoryUrl = Annotated[
    str, typer.Option(metavar="URL", help="File or database URL of the history; 'none' for no history.")
]
Keep = Annotated[
    str | None, typer.Option(metavar="TIME", help="Forget what is older: 90d, 12w, 6m, 2y.  [default: never]")
]
SpoolFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where the history waits while its database does not answer.")
]
States = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where streams are kept.  [default: beside the history]")
]
AllowHost = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Also be asked under this name; may be repeated.")
]
RootPath = Annotated[str, typer.Option(metavar="/PATH", help="Path that a proxy puts in front.")]
ForwardedFrom = Annotated[
    str, typer.Option(metavar="ADDRESSES", help="Proxies whose X-Forwarded headers are believed.")
]
MaxBody = Annotated[int, typer.Option(metavar="MB", min=1, help="Largest body of a request.")]
MaxFiles = Annotated[int, typer.Option(min=1, help="Most files in a request.")]
MaxPixels = Annotated[int, typer.Option(metavar="MILLIONS", min=1, help="Largest image.")]
MaxDuration = Annotated[int, typer.Option(metavar="SECONDS", min=1, help="Longest recording.")]
MaxRows = Annotated[int, typer.Option(min=1, help="Most rows of series in a request.")]
MaxWaiting = Annotated[int, typer.Option(min=1, help="Most requests of a model at once; others get 429.")]


def serve(
    models: Models,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8000,
    token: Token = None,
    no_token: NoToken = False,
    history: HistoryUrl = "oddwave_history.db",
    keep: Keep = None,
    spool: SpoolFile = None,
    states: States = None,
    allow_host: AllowHost = None,
    root_path: RootPath = "",
    forwarded_from: ForwardedFrom = "127.0.0.1",
    max_body: MaxBody = 64,
    max_files: MaxFiles = 64,
    max_pixels: MaxPixels = 50,
    max_duration: MaxDuration = 3600,
    max_rows: MaxRows = 1_000_000,
    max_waiting: MaxWaiting = 8,
    device: Device = None,
    allow_external: AllowExternal = False,
) -> None:
    """Serve models over HTTP, with a history and a page.

    Listens on this computer alone unless --host says otherwise; then a token is asked for. Stops at Ctrl-C or SIGTERM
    once those who were let in have their answers. The page is at /, the API's description at /openapi.json.

    \b
    Examples:
        oddwave serve pump.model parts.model
        oddwave serve line3=parts.model --history line3.db --keep 90d
        ODDWAVE_TOKEN=... oddwave serve pump.model --host 0.0.0.0
        curl -F file=@part_7.png http://127.0.0.1:8000/v1/models/parts.model/score
    """
    _require_extra()
    from oddwave.service.app import make_app
    from oddwave.service.limits import Limits
    from oddwave.service.models import load_models
    from oddwave.service.security import require_safe
    from oddwave.service.server import bound, run_service

    token = token or os.environ.get(_TOKEN) or None
    require_safe(host, token, no_token)
    limits = Limits(max_body << 20, max_files, max_pixels * 1_000_000, float(max_duration), max_rows, max_waiting)
    hosts, folder = _hosts(host, allow_host or []), states or _beside(history)
    with bound(host, port) as listening:
        loaded = load_models(models, limits, device=device or "cpu", allow_external=allow_external)
        remembered = _history(history, spool, keep)
        app = make_app(loaded, limits, token=token, history=remembered, hosts=hosts, states=folder)
        for name, model in loaded.items():
            say(f"{name}: {model.modality}, threshold {model.about['threshold']:.4g}")
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listening.getsockname()[1]}/{'' if token is None else '   a token is needed'}")
        run_service(app, listening, root_path=root_path, forwarded_from=forwarded_from)


def _require_extra() -> None:
    """Raises: MissingExtraError where what the service stands on is not installed."""
    try:
        import oddwave.service.server  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("oddwave serve", "serve") from error


def _history(url: str, spool: Path | None, keep: str | None) -> "History | None":
    """Return the history that is asked for. Raises: ConfigError."""
    from oddwave.service.history import History
    from oddwave.service.limits import keep_seconds

    keep_s = keep_seconds(keep)
    if url != "none":
        return History(url, spool or _beside(url, "spool.jsonl"), keep_s)
    if keep is not None:
        raise ConfigError("--keep is given with --history none: there is nothing to forget")
    return None


def _hosts(host: str, more: Sequence[str]) -> frozenset[str]:
    """Return the names under which the service may be asked; any, where others reach it and no name was given."""
    from oddwave.service.security import is_loopback, local_hosts

    return local_hosts([host, *more]) if more or is_loopback(host) else frozenset()


def _beside(history: str, ending: str = "streams") -> Path:
    """Return what lies beside the history's file, or in the current folder where there is none."""
    history = history.removeprefix("sqlite:///")
    name = "oddwave_history" if "://" in history or history == "none" else history
    return Path(f"{name}.{ending}")
