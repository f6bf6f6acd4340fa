"""What was judged and found, kept in any database that SQLAlchemy knows; scoring never waits for it or fails with it.

One thread writes. `record` comes back once the entries lie on the disk: in the database, or, where that is locked or
gone, in the spool (`spool.py`), from where they are written later. Times are kept as they were received. Read
`queries.py` next: what is asked of the history.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, delete, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from oddwave.errors import ConfigError, OddwaveError
from oddwave.service.schema import EVENTS, ITEMS, VERDICTS, migrate
from oddwave.service.spool import Entry, Spool

__all__ = ["History", "new_engine"]

TABLES = {table.name: table for table in (ITEMS, EVENTS, VERDICTS)}
_LOCKED_S = 0.5  # how long a lock of the database is waited for before entries are spooled
_AGAIN_S = 5.0  # how long a database that failed is left alone
_TOGETHER = 256
_FORGET_S = 3600.0  # how often what is too old is removed
_log = logging.getLogger("oddwave.service")
_REFUSED = (DataError, IntegrityError, ValueError, TypeError)  # the entry is at fault, not the database
_Waiting = tuple[list[Entry], Future[bool]]


def new_engine(url: str, locked_s: float = _LOCKED_S) -> Engine:
    """Return the engine of a URL; a plain path is an SQLite file. Raises: ConfigError for a URL that is none."""
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{Path(url).absolute()}")
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite and parsed.database in (None, "", ":memory:"):
            raise ConfigError("the history of a service lies in a file: give --history history.db, or a server's URL")
        if sqlite:
            arguments: dict[str, Any] = {"connect_args": {"timeout": locked_s}, "poolclass": NullPool}
        else:
            arguments = {"pool_pre_ping": True, "pool_timeout": 5.0}
        if parsed.get_backend_name() == "postgresql":
            wait = f"-c lock_timeout={int(1000 * locked_s)}ms -c statement_timeout=30s"
            arguments["connect_args"] = {"connect_timeout": 3, "options": wait}
        engine = create_engine(parsed, **arguments)
    except (ArgumentError, NoSuchModuleError) as error:
        told = str(error).splitlines()[0]
        raise ConfigError(
            f"--history is no database URL ({told:.200}): give a file, or a URL such as "
            "postgresql+psycopg://user:password@host/database"
        ) from None
    except ImportError as error:
        raise ConfigError(f"--history needs a driver ({error}): install it, for example psycopg[binary]") from None
    if sqlite:
        event.listen(engine, "connect", _prepared)
    return engine


def _prepared(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    with suppress(Exception):  # a locked file keeps the mode it has
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


class History:
    """The writer, and the engine for those who ask; `keep_s` is after how many seconds an item is forgotten."""

    def __init__(self, url: str, spool: Path, keep_s: float | None = None) -> None:
        self.engine, self.keep_s = new_engine(url), keep_s
        self.spool = Spool(spool)
        self.trouble = ""  # why the database cannot be written, in one line; empty where it can
        self.num_lost = 0  # entries that neither database nor spool could take
        self._ready = False
        self._retry_at, self._forget_at = 0.0, 0.0
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue()
        self._in_between(False)  # so that those who ask at once find the tables
        self._thread = threading.Thread(target=self._run, name="oddwave-history", daemon=True)
        self._thread.start()

    def record(self, entries: Sequence[Entry]) -> "Future[bool]":
        """Keep entries; the future tells, once they lie on a disk, whether they do."""
        future: Future[bool] = Future()
        self._waiting.put((list(entries), future))
        return future

    def close(self, wait_s: float = 30.0) -> None:
        """Write what waits, and stop."""
        self._waiting.put(None)
        self._thread.join(wait_s)
        self.engine.dispose()

    @property
    def facts(self) -> dict[str, Any]:
        """How the history is, for health."""
        spooled = self.spool.num_waiting
        return {
            "database": self.engine.url.render_as_string(hide_password=True),
            "reachable": not self.trouble,
            "trouble": self.trouble,
            "spooled": spooled,
            "lost": self.num_lost,
        }

    def _run(self) -> None:
        stopping = False
        while not stopping:
            entries: list[Entry] = []
            futures: list[Future[bool]] = []
            with suppress(queue.Empty):
                first = self._waiting.get(timeout=1.0)
                while True:
                    if first is None:
                        stopping = True
                        break
                    entries += first[0]
                    futures.append(first[1])
                    if len(entries) >= _TOGETHER:
                        break
                    first = self._waiting.get_nowait()
            kept = not entries or self._kept(entries)
            for future in futures:
                future.set_result(kept)
            self._in_between(stopping)

    def _in_between(self, stopping: bool) -> None:
        """Write what was spooled, and remove what is too old."""
        if time.monotonic() < self._retry_at and not stopping:
            return
        try:
            if not self._ready or self.spool.num_waiting:
                self._prepare()
                self.spool.write_into(self._write)
                self.trouble = ""
            if self.keep_s is not None and time.monotonic() >= self._forget_at:
                self._forget()
        except (SQLAlchemyError, OddwaveError, OSError) as error:
            self._failed(error)

    def _kept(self, entries: list[Entry]) -> bool:
        """Write entries into the database, or else into the spool, behind those that wait there."""
        try:
            if time.monotonic() >= self._retry_at and not self.spool.num_waiting:
                self._prepare()
                self._write(entries)
                self.trouble = ""
                return True
        except (SQLAlchemyError, OddwaveError, OSError) as error:
            self._failed(error)
        try:
            self.spool.add(entries)
        except OSError as error:
            self.num_lost += len(entries)
            _log.error("the history has lost %d entries: no database, and no spool (%s)", len(entries), error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        told = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        if told != self.trouble:
            _log.warning("the history cannot be written and waits in %s: %s", self.spool.path, told)
        self.trouble, self._ready = told, False
        self._retry_at = time.monotonic() + _AGAIN_S

    def _prepare(self) -> None:
        """Bring the tables to this version, once per database that answers."""
        if self._ready:
            return
        if self.engine.url.get_backend_name() == "sqlite" and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.engine.begin() as connection:
            migrate(connection)
        self._ready = True

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write entries; one that no database takes must not keep the others waiting. Raises: SQLAlchemyError."""
        try:
            self._write_together(entries)
        except _REFUSED as error:
            if len(entries) == 1:
                self.num_lost += 1
                _log.error("the history refuses an entry: %s", " ".join(str(error).split())[:300])
            else:
                for entry in entries:
                    self._write([entry])

    def _write_together(self, entries: Sequence[Entry]) -> None:
        """Write entries in one transaction, those that are there already passed over. Raises: SQLAlchemyError."""
        with self.engine.begin() as connection:
            for name, table in TABLES.items():
                rows = [{k: v for k, v in entry.items() if k != "table"} for entry in entries if entry["table"] == name]
                key = [column.name for column in table.primary_key]
                keyed = {tuple(row[each] for each in key): row for row in rows}
                if not keyed:
                    continue
                wanted = table.c[key[0]].in_([found[0] for found in keyed])
                for there in connection.execute(select(*(table.c[each] for each in key)).where(wanted)):
                    keyed.pop(tuple(there), None)
                if keyed:
                    connection.execute(table.insert(), list(keyed.values()))

    def _forget(self) -> None:
        """Remove items that are older than they are to be kept, their events and verdicts."""
        assert self.keep_s is not None
        self._prepare()
        before = int(1000 * (time.time() - self.keep_s))
        with self.engine.begin() as connection:
            old = select(ITEMS.c.id).where(ITEMS.c.received_ms < before)
            for table in (EVENTS, VERDICTS):
                connection.execute(delete(table).where(table.c.item_id.in_(old)))
            connection.execute(delete(ITEMS).where(ITEMS.c.received_ms < before))
        self._forget_at = time.monotonic() + _FORGET_S
