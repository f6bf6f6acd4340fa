"""Answers that fit into what an agent can read: the longest lists are cut until the whole is short enough."""

import json
from typing import Any

__all__ = ["MOST_CHARACTERS", "bounded"]

MOST_CHARACTERS = 20_000
_MOST_TEXT = 500


def bounded(answer: dict[str, Any], most: int = MOST_CHARACTERS) -> dict[str, Any]:
    """Return the answer, the ends of its longest lists and texts left out; `left_out` says of which, how many."""
    left_out: dict[str, int] = {}
    answer = _texts_cut(answer)
    while _length(answer) > most:
        lists: dict[str, list[list[Any]]] = {}
        _collect(answer, "", lists)
        name = max(lists, key=lambda name: _saved(lists[name]), default="")
        if not lists or not _saved(lists[name]):
            break
        kept = max(map(len, lists[name])) // 2
        for own in lists[name]:
            left_out[name] = left_out.get(name, 0) + max(0, len(own) - kept)
            del own[kept:]
    return {**answer, "left_out": left_out} if left_out else answer


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False))


def _saved(lists: list[list[Any]]) -> int:
    """Return how many characters are saved where lists of one name are cut to half of the longest one."""
    kept = max(map(len, lists)) // 2
    return sum(_length(own[kept:]) for own in lists if len(own) > kept)


def _collect(value: Any, name: str, lists: dict[str, list[list[Any]]]) -> None:
    """Gather all lists under the names of their keys."""
    if isinstance(value, list):
        lists.setdefault(name, []).append(value)
    for key, own in value.items() if isinstance(value, dict) else [(name, own) for own in value]:
        if isinstance(own, dict | list):
            _collect(own, str(key), lists)


def _texts_cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _MOST_TEXT else f"{value[: _MOST_TEXT - 4]} ..."
    if isinstance(value, dict):
        return {str(key)[:_MOST_TEXT]: _texts_cut(own) for key, own in value.items()}
    return [_texts_cut(own) for own in value] if isinstance(value, list | tuple) else value
