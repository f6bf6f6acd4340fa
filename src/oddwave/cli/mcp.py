"""`oddwave mcp`: tools for agents over standard input and output. Read `oddwave/agents/tools.py` for what they do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddwave.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["mcp"]

Root = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="What may be read and written; may be repeated.  [default: this folder]"),
]
HistoryUrl = Annotated[str | None, typer.Option(metavar="URL", help="File or database URL of a service's history.")]
MaxSize = Annotated[int, typer.Option(metavar="MB", min=1, help="Most that one call may read.")]


def mcp(root: Root = None, history: HistoryUrl = None, max_size: MaxSize = 1024) -> None:
    """Offer oddwave to agents (Model Context Protocol).

    Speaks over standard input and output.

    Tools: describe_data, fit, score, explain_event, list_history, give_feedback. Nothing outside the folders of --root
    is read or written. An agent's client starts this command; docs/howto/agents.md says how it is registered.

    \b
    Examples:
        oddwave mcp --root plant/
        oddwave mcp --root data/ --root models/ --history oddwave_history.db
    """
    try:
        from oddwave.agents.server import make_server
    except ImportError as error:
        raise MissingExtraError("oddwave mcp", "mcp") from error
    from oddwave.agents.places import Places
    from oddwave.agents.tools import Tools

    places = Places(root or [Path()], max_size << 20)
    make_server(Tools(places, None if history is None else _engine(history))).run()


def _engine(url: str) -> "Engine":
    """Return the history to be asked. Raises: ConfigError for one that is not there."""
    from oddwave.service.history import new_engine

    engine = new_engine(url)
    if engine.url.get_backend_name() == "sqlite" and not Path(engine.url.database or "").is_file():
        raise ConfigError(f"--history {url!r:.200} is no file: give the one that `oddwave serve` writes")
    return engine
