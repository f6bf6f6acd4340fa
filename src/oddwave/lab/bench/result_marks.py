"""Result tables in a document, each between two marks that name the file they come from.

    python -m oddwave.lab.bench.result_marks docs/speed.md benchmarks/results

Between `<!-- speed.md -->` and `<!-- /speed.md -->` stands what the file of that name in the results holds, without its
title and with its headings one level lower. A test compares the document with what this would write. A mark whose file
is not there keeps what it has.
"""

import re
import sys
from pathlib import Path

from oddwave.errors import DataError
from oddwave.files import write_bytes_atomic

__all__ = ["main", "with_results"]

_MARKED = re.compile(r"(<!-- (?P<name>[\w-]+\.md) -->\n).*?(<!-- /(?P=name) -->)", re.DOTALL)


def with_results(text: str, results: Path) -> str:
    """Return a document with the tables between its marks. Raises: DataError where it has no marks."""
    if not _MARKED.search(text):
        raise DataError("the document has no place for results: put <!-- NAME.md --> and <!-- /NAME.md --> into it")

    def filled(match: re.Match[str]) -> str:
        path = results / match["name"]
        return match[1] + _body(path.read_text(encoding="utf-8")) + match[3] if path.exists() else match[0]

    return _MARKED.sub(filled, text)


def _body(text: str) -> str:
    lines = text.strip().splitlines()
    kept = lines[1:] if lines and lines[0].startswith("# ") else lines
    return "\n".join("#" + line if line.startswith("#") else line for line in kept).strip() + "\n"


def main(document: Path, results: Path) -> None:
    """Write the tables into the document."""
    write_bytes_atomic(document, with_results(document.read_text(encoding="utf-8"), results).encode())


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*given) if len(given) == 2 else sys.exit("usage: python -m oddwave.lab.bench.result_marks DOCUMENT RESULTS")
