"""JSON that anyone may have written, read with bounds: its size and depth first, then its contents.

Read `model_schema.py` next: what a model's JSON must hold.
"""

import hashlib
import json
import math
import re
from reprlib import Repr
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from oddwave.errors import CheckpointError

__all__ = ["digest_of", "plain_json", "validated"]

_DEEPEST = 32
_MOST_MARKS = 8_000_000  # quotes and brackets: more of them take minutes to read
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60

Schema = TypeVar("Schema", bound=BaseModel)


def plain_json(content: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object whose numbers are finite and whose names stand once in each object.

    Raises:
        CheckpointError: it is no such object, too large, or nested more deeply than anything that oddwave writes.
    """
    try:
        _check_depth(content)
        found = json.loads(content, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        line = str(error).partition("\n")[0]
        raise CheckpointError(f"{name} is damaged: not valid JSON ({line:.200}); {_MEND}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{name} is damaged: it holds a JSON {type(found).__name__}, not an object; {_MEND}")
    return found


def validated(schema: type[Schema], content: bytes, name: str) -> Schema:
    """Read JSON that must be as the schema says, to the letter: no text for a number, no unknown name.

    Raises:
        CheckpointError: on one line, what is wrong first.
    """
    plain_json(content, name)
    try:
        return schema.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = " ".join(f"'{where:.100}': {first['msg']:.300} (given: {_SHORT.repr(first['input'])})".split())
        raise CheckpointError(f"{name} is damaged: {what}; {_MEND}") from None


def digest_of(facts: dict[str, Any]) -> str:
    """Return the sha256 of what a JSON object says, however it is laid out; nothing for one that is no proper JSON."""
    try:
        text = json.dumps(facts, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()


_MEND = "restore it or fit the model again"


def _check_depth(content: bytes) -> None:
    if content.count(b'"') + content.count(b"[") + content.count(b"{") > _MOST_MARKS:
        raise ValueError("more texts and lists than any model holds")
    depth = 0
    for mark in _MARKS.finditer(content):
        opened = mark.group()
        depth += opened in (b"[", b"{")
        depth -= opened in (b"]", b"}")
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.20} is no finite number")
    return number
