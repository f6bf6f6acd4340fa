"""Text that others chose (names of files and columns, messages about them), made safe to show.

A file may be called anything: escape sequences that command a terminal, marks that turn the direction of writing, bytes
that are no text. `visible` shows such characters instead of obeying them; everything printed, raised as an error or put
on the report page goes through it. No other module of oddwave is imported here.
"""

__all__ = ["as_text", "visible"]

_HARMLESS = frozenset("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000\u200c\u200d")  # spaces; joiners that scripts need
_BYTES = range(0xDC80, 0xDD00)  # how Python reads the bytes of a name that are no UTF-8


def visible(text: str) -> str:
    """Write characters that do not show as escapes: "\\x1b", "\\n", "\\u202e"; bytes that are no text as "\\xff"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def as_text(text: str) -> str:
    """Write what no file can hold, bytes that are no text, as escapes, and leave all else."""
    if text.isascii():
        return text
    return "".join(_escaped(c) if "\ud800" <= c <= "\udfff" else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if code in _BYTES else character.encode("unicode_escape").decode("ascii")
