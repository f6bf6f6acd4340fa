"""Settings as people write them: TOML files, and `section.key=value` on the command line."""

import json
import tomllib
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError, ConfigError
from oddwave.files import read_bytes

__all__ = ["assign", "parse_override", "read_toml"]

_MOST_TOML_BYTES = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        ConfigError: the file is missing, no ordinary one, too large, or no TOML.
    """
    try:
        return tomllib.loads(read_bytes(path, _MOST_TOML_BYTES).decode())
    except (CheckpointError, ValueError, RecursionError) as error:
        raise ConfigError(f"settings file '{path}' cannot be read as TOML: {error}") from None


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split `a.b=c` into its path and its value.

    Raises:
        ConfigError: there is no `=` or no key.
    """
    key, sign, raw = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set '{text}' is not of the form key=value, for example --set training.num_steps=500")
    try:
        value = json.loads(raw)
    except RecursionError:
        raise ConfigError(f"--set '{text[:60]}..' is nested too deeply: give a plain value or a list") from None
    except ValueError:  # no JSON, or a number of thousands of digits
        value = raw.strip()
    return key.strip().split("."), value


def assign(data: dict[str, Any], path: list[str], value: Any) -> None:
    """Set one value of nested settings in place. Raises: ConfigError for a section or key that does not exist."""
    *sections, key = path
    for depth, section in enumerate(sections):
        if not isinstance(data.get(section), dict):
            raise ConfigError(f"setting '{'.'.join(path[: depth + 1])}' does not exist; there are: {', '.join(data)}")
        data = data[section]
    if key not in data:
        raise ConfigError(f"setting '{'.'.join(path)}' does not exist; there are: {', '.join(data)}")
    data[key] = value
