"""Every error oddwave raises on purpose, one tree: catch `OddwaveError` to catch them all.

Each message says what was given, what was expected, and how to mend it; the command line prints it on one line and
exits with code 2. What a name in it holds that would not show, such as escape sequences, is shown as an escape.
"""

from oddwave.visible import visible

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "MissingExtraError",
    "NotFittedError",
    "OddwaveError",
    "ShapeError",
]

_LONGEST = 500


class OddwaveError(Exception):
    """Base of all errors that oddwave raises on purpose."""

    def __str__(self) -> str:
        """Return the message, safe to show; of a very long one, such as one that repeats a cell, both ends."""
        text = visible(super().__str__())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[5 - _LONGEST // 2 :]}"


class ConfigError(OddwaveError, ValueError):
    """A setting has an unknown name, a wrong type, or a value that cannot work."""


class DataError(OddwaveError, ValueError):
    """The given data cannot be read, or cannot be what it is said to be."""


class ShapeError(DataError):
    """An array or tensor has the wrong number of dimensions, channels or points."""


class CheckpointError(OddwaveError):
    """A saved model or training state is missing, damaged, or of another kind."""


class NotFittedError(OddwaveError, RuntimeError):
    """A scorer was asked for scores before it was fitted."""


class MissingExtraError(OddwaveError, ImportError):
    """A feature needs an optional dependency; the message names the extra to install."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'oddwave[{extra}]'")
