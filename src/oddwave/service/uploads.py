"""What a client sent becomes sources for the readers: files below a folder that goes when the request is answered.

Files, CSV and tables of JSON alike are written to the disk and read by the very readers that read a folder of files, so
that whatever is wrong with them is found and told as it always is. Three forms of body:

    multipart/form-data     files under any field name, each an item
    application/json        series: {"columns": {"time": [...], "flow": [...]}}, {"values": [[1.0], ...]}, or several of
                            these under {"items": {"pump 1": ..., ...}}
    anything else           one file, as it is: text/csv, image/png, audio/wav, ...; `name=` says what it is called

Read `limits.py` for what is too large, `batching.py` for what becomes of the sources.
"""

import csv
import json
import math
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from oddwave.files import check_json_depth
from oddwave.service.limits import Limits, ProblemError, safe_name

__all__ = ["Uploads", "checked_json", "number_rows", "received"]

_ENDINGS = {"text/csv": ".csv", "text/tab-separated-values": ".tsv", "text/plain": ".txt"}
_FORMS = "multipart/form-data with files, JSON with 'columns', 'values' or 'items', or one file as the body"


class Uploads:
    """The sources of one request by name, and the folder that holds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources: dict[str, Any] = {}

    def place(self, name: str | None, otherwise: str, ending: str = "") -> Path:
        """Return where a file goes, under a name of its own in this request; `ending` is the file's alone."""
        number, wanted = len(self.sources), safe_name(name, otherwise)
        identifier, count = wanted, 1
        while identifier in self.sources:
            count += 1
            stem, dot, ending = wanted.rpartition(".")
            identifier = f"{stem} ({count}).{ending}" if dot and stem else f"{wanted} ({count})"
        path = self.folder / str(number) / f"{identifier}{ending}"
        path.parent.mkdir()
        self.sources[identifier] = path
        return path

    def told(self, text: str) -> str:
        """Return a message without the place of these files on the disk."""
        return re.sub(rf"{re.escape(str(self.folder))}/(\d+/)?", "", text)


@asynccontextmanager
async def received(request: Request, limits: Limits, modality: str) -> AsyncIterator[Uploads]:
    """Read a request's body into sources; their folder is removed at the end. Raises: ProblemError."""
    folder = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="oddwave-"))
    try:
        uploads = Uploads(folder)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            await _multipart(request, limits, uploads)
        elif kind == "application/json":
            await _tables(request, limits, uploads, modality)
        elif kind == "application/x-www-form-urlencoded":
            raise ProblemError(415, f"the content type is {kind}: send {_FORMS}")
        else:
            body = await request.body()
            if not body:
                raise ProblemError(422, f"the body is empty: send {_FORMS}")
            ending = _ENDINGS.get(kind, f".{re.sub(r'[^a-z0-9]', '', kind.partition('/')[2])[:8]}" if kind else "")
            path = uploads.place(request.query_params.get("name"), f"{modality}{ending}")
            await run_in_threadpool(path.write_bytes, body)
        yield uploads
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


async def _multipart(request: Request, limits: Limits, uploads: Uploads) -> None:
    try:
        form = await request.form(max_files=limits.max_files, max_fields=20)
    except (MultiPartException, ValueError, KeyError) as error:
        raise ProblemError(400, f"the form cannot be read ({error}): send at most {limits.max_files} files") from None
    except Exception as error:  # starlette raises its own for what the parser refuses
        if getattr(error, "status_code", None) != 400:
            raise
        detail = getattr(error, "detail", "it is damaged")
        raise ProblemError(
            400, f"the form cannot be read ({detail}); at most {limits.max_files} files at once"
        ) from None
    async with form_closed(form) as files:
        for number, upload in enumerate(files):
            path = uploads.place(upload.filename, f"file_{number}")
            await run_in_threadpool(_copy, upload, path)
    if not uploads.sources:
        raise ProblemError(422, "the form holds no file: send one or more, under any field name")


@asynccontextmanager
async def form_closed(form: Any) -> AsyncIterator[list[UploadFile]]:
    """Give the files of a form, and close them."""
    try:
        yield [entry for _, entry in form.multi_items() if isinstance(entry, UploadFile)]
    finally:
        await form.close()


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)


async def _tables(request: Request, limits: Limits, uploads: Uploads, modality: str) -> None:
    if modality != "series":
        raise ProblemError(415, f"JSON is for series, and this model is of {modality}: send the file itself, or a form")
    body = await checked_json(request)
    tables = body["items"] if isinstance(body, dict) and set(body) == {"items"} else {"series": body}
    if not isinstance(tables, dict) or not tables:
        raise ProblemError(422, "'items' is not an object of name: series, with at least one")
    if len(tables) > limits.max_files:
        raise ProblemError(413, f"{len(tables):,} series were sent: send at most {limits.max_files} at once")
    for name, table in tables.items():
        await run_in_threadpool(_write_table, name, table, limits, uploads)


async def checked_json(request: Request) -> Any:
    """Return a body of JSON. Raises: ProblemError where it is none, nested too deep, or holds numbers that are none."""
    body = await request.body()
    try:
        content = await run_in_threadpool(json.loads, body, parse_constant=_no_number)
        check_json_depth(content)
    except (ValueError, RecursionError) as error:
        detail = "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise ProblemError(400, f"the body is no JSON that can be read ({detail:.200})") from None
    return content


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number: send null where a value is missing")


def _write_table(name: str, table: Any, limits: Limits, uploads: Uploads) -> None:
    """Write one series of JSON as the file that a reader reads."""
    known = isinstance(table, dict) and set(table) in ({"columns"}, {"values"})
    if not known:
        raise ProblemError(422, f'\'{name:.80}\' is not {{"columns": {{name: [...]}}}} or {{"values": [[...], ...]}}')
    if "values" in table:
        values = number_rows(name, table["values"], limits)
        np.save(uploads.place(name, "series", ".npy"), values)
        return
    columns = _columns(name, table["columns"], limits)
    with uploads.place(name, "series", ".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def number_rows(name: str, values: Any, limits: Limits) -> np.ndarray:
    """Return rows of numbers of JSON, NaN where they are null. Raises: ProblemError."""
    rows = len(values) if isinstance(values, list) else 0
    if rows > limits.max_rows:
        raise ProblemError(413, f"'{name:.80}' has {rows:,} rows, at most {limits.max_rows:,} are judged at once")
    try:
        found = np.array(values, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if isinstance(values, list) and found.ndim in (1, 2, 3) and found.size and not _has_text(values):
        return found
    told = f"'values' of '{name:.80}' are not rows of numbers of one length, [[1.0, 2.0], ...] (null for a missing one)"
    raise ProblemError(422, told)


def _has_text(values: Any) -> bool:
    """Return whether numbers are written as text or as true and false, which numpy would take."""
    return any(_has_text(each) if isinstance(each, list) else isinstance(each, str | bool) for each in values)


def _columns(name: str, columns: Any, limits: Limits) -> Mapping[str, list[Any]]:
    if not isinstance(columns, dict) or not columns or not all(isinstance(own, list) for own in columns.values()):
        raise ProblemError(422, f"'columns' of '{name:.80}' is not an object of name: list, with at least one")
    lengths = {len(own) for own in columns.values()}
    if len(lengths) > 1 or lengths == {0}:
        told = ", ".join(f"{key:.40}: {len(own)}" for key, own in list(columns.items())[:5])
        raise ProblemError(422, f"the columns of '{name:.80}' do not have one length above 0 ({told})")
    if max(lengths) > limits.max_rows:
        raise ProblemError(
            413, f"'{name:.80}' has {max(lengths):,} rows, at most {limits.max_rows:,} are judged at once"
        )
    return {key: [_cell(value, key, name) for value in own] for key, own in columns.items()}


def _cell(value: Any, column: str, name: str) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return repr(value)
    told = f"column '{column:.40}' of '{name:.80}' holds {str(value)[:40]!r}: expected numbers, texts or null"
    raise ProblemError(422, told)
