"""Compiled templates, kept where Python keeps its own compiled modules: to compile them is most of a short page's time.

What is kept is used only while a template is what it was. Where Python may not write, nothing is kept, and whatever is
damaged or cannot be read is compiled again. Read `build.py` next.
"""

import os
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

from oddwave.version import __version__

__all__ = ["kept_templates"]


class _Kept(FileSystemBytecodeCache):
    """A cache of compiled templates that never stops a page from being made."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a compiled template, if it is there and whole."""
        try:
            super().load_bytecode(bucket)
        except Exception:  # a damaged file may raise anything: it is compiled anew
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, if it can be written."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


def kept_templates(templates: Path) -> FileSystemBytecodeCache | None:
    """Return what keeps the compiled templates of a folder; None where Python writes no compiled modules."""
    if sys.dont_write_bytecode:
        return None
    folder = Path(cache_from_source(str(templates / "template.py"))).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    # what another version of either has compiled is not for this one
    pattern = f"__jinja2_{jinja2.__version__}_{__version__}_%s.cache"
    return _Kept(str(folder), pattern) if os.access(folder, os.W_OK) else None
