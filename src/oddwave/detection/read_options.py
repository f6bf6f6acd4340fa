"""Options for reading that a reader does not know are refused by name, with the one that may be meant."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from oddwave.errors import ConfigError

__all__ = ["check_read_options"]


def check_read_options(
    options: Mapping[str, Any], reader: Callable[..., Any], *, without: tuple[str, ...] = ()
) -> None:
    """Refuse reading options that a reader does not know. Raises: ConfigError, with the one that may be meant."""
    parameters = inspect.signature(reader).parameters.values()
    known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in without]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"
            raise ConfigError(f"reading option {name!r} does not exist: {hint}")
