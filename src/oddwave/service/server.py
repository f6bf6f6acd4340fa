"""Running the service: uvicorn, and an end that finishes what was accepted and refuses what comes then.

Told to stop (SIGTERM, Ctrl-C), the service goes on answering those it let in, tells others 503, and ends once nobody
waits or `stop_s` are over; told again, it ends at once. Read `app.py` for what runs.
"""

import asyncio
import logging
import socket
from types import FrameType
from typing import Any

import uvicorn

from oddwave.errors import ConfigError
from oddwave.service.app import App

__all__ = ["bound", "run_service"]

_MOST_FILES = 65_536  # connections and all else that is open, where the system allows so many
_NOTICE_S = 0.3  # so that those who ask whether it is ready see that it is not
_log = logging.getLogger("oddwave.service")


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises: ConfigError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
    except (OSError, OverflowError, UnicodeError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}:{port} ({reason}): give another --host or --port") from None
    return listening


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._service = app.service
        self._ending: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and remember the loop that signals are brought to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal, end at the second."""
        if self._service.stopping or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._service.stopping = True
        self._loop.call_soon_threadsafe(self._begin_to_end)

    def _begin_to_end(self) -> None:
        self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        until = asyncio.get_running_loop().time() + self._service.limits.stop_s
        await asyncio.sleep(_NOTICE_S)
        while self._service.in_flight and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        if self._service.in_flight:
            _log.warning("%d requests did not end in time", self._service.in_flight)
        self.should_exit = True


def run_service(app: App, listening: socket.socket, *, root_path: str = "", forwarded_from: str = "127.0.0.1") -> None:
    """Serve until told to stop. `forwarded_from` are the addresses of proxies whose headers are believed."""
    options: dict[str, Any] = {
        "root_path": root_path,
        "forwarded_allow_ips": forwarded_from,
        "timeout_graceful_shutdown": int(app.service.limits.stop_s) + 1,
        "timeout_keep_alive": 15,
        "h11_max_incomplete_event_size": 64 << 10,
        "server_header": False,
        "access_log": False,
        "log_level": "warning",
        "lifespan": "on",
        "ws": "none",
    }
    _raise_limit_of_files()
    listening.listen(4096)
    _Server(uvicorn.Config(app, **options), app).run(sockets=[listening])


def _raise_limit_of_files() -> None:
    """Let as many connections be open as the system allows; those beyond what may wait are then told so."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if 0 <= soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
