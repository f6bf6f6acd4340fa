"""Who may ask, and how much: the token, the hosts that a browser may mean, the size of bodies, the headers of answers.

A service on this computer without a token is protected from web pages that the same person visits: a request whose
`Host` is not this computer is refused (a page may point its own name here), and so is one that another site's page
sends. Read `limits.py` for the sizes, `app.py` for where this stands.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oddwave.errors import ConfigError
from oddwave.service.limits import Limits, ProblemError

__all__ = ["Guard", "is_loopback", "local_hosts", "problem_response", "require_safe"]

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: "
        "blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_OPEN = ("/health", "/ready", "/openapi.json", "/static/", "/reports/")  # reports have names that nobody can guess
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether only this computer reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_safe(host: str, token: str | None, no_token: bool) -> None:
    """Check that a service which others can reach asks for a token. Raises: ConfigError."""
    if token is not None and (not token.isascii() or not token.isprintable() or len(token) < 8 or " " in token):
        raise ConfigError("the token is shorter than 8 characters, or holds spaces or others than ASCII: give another")
    if token is not None and no_token:
        raise ConfigError("--token and --no-token are given: give one")
    if token is None and not no_token and not is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached by others, and there is no token: give --token or ODDWAVE_TOKEN, or "
            "--no-token where something in front of the service checks who asks"
        )


def problem_response(problem: ProblemError) -> JSONResponse:
    """Return a refusal as an answer."""
    return JSONResponse(problem.content, problem.status, headers=problem.headers, media_type="application/problem+json")


@dataclass(frozen=True)
class Guard:
    """The outermost layer of the service: refuses before anything is read, and adds the headers of every answer.

    `hosts` are the names under which it may be asked; empty for any. `observe` is told the route and status of each.
    """

    app: ASGIApp
    limits: Limits
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    observe: Callable[[str, int], None] = lambda route, status: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        answered = _Answer(send)
        try:
            self._check(scope, headers)
            await self.app(scope, _Body(receive, self.limits, headers), answered)
        except ProblemError as problem:
            if not answered.begun:
                await problem_response(problem)(scope, receive, answered)
        finally:
            self.observe(getattr(scope.get("route"), "path", "none"), answered.status)

    def _check(self, scope: Scope, headers: MutableMapping[str, str]) -> None:
        """Raises: ProblemError."""
        host = _host_of(headers.get("host", ""))
        if self.hosts and host not in self.hosts:
            known = ", ".join(sorted(self.hosts))
            raise ProblemError(403, f"the service is not known as '{host:.80}', but as {known}: see --allow-host")
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in ("GET", "HEAD"):
            asker = urlsplit(origin).hostname or "null"
            if asker != host and asker not in self.hosts:
                raise ProblemError(403, f"a page of another site ({asker:.80}) may not use this service")
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_open = path == "/" or path.startswith(_OPEN)
        if self.token is not None and not is_open and not self._knows(headers):
            raise ProblemError(
                401, "send the service's token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    def _knows(self, headers: MutableMapping[str, str]) -> bool:
        """Compare the token in constant time; the retired Azure service's clients send it as their key."""
        assert self.token is not None
        kind, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip() if kind.lower() == "bearer" else headers.get("ocp-apim-subscription-key", "")
        return hmac.compare_digest(given.encode(), self.token.encode())


def _host_of(text: str) -> str:
    try:
        return (urlsplit(f"//{text}").hostname or "").lower()
    except ValueError:
        return ""


def local_hosts(more: Collection[str]) -> frozenset[str]:
    """Return the names of this computer as seen by itself, and others that were allowed."""
    return frozenset({*_LOCAL, *(name.lower() for name in more)})


class _Answer:
    """Sends an answer with the headers that all answers have."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun, self.status = send, False, 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            given = {key.lower() for key, _ in message.get("headers", ())}
            added = [(key.encode(), value.encode()) for key, value in _HEADERS.items() if key.encode() not in given]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await self._send(message)


class _Body:
    """Receives a body of at most so many bytes, within so many seconds."""

    def __init__(self, receive: Receive, limits: Limits, headers: MutableMapping[str, str]) -> None:
        self._receive, self._limits, self._seen, self._whole = receive, limits, 0, False
        self._until: float | None = None
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limits.max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> ProblemError:
        most = self._limits.max_body_bytes
        told = f"the body has more than {most:,} bytes: send less at once, or raise the service's --max-body"
        return ProblemError(413, told, {"Connection": "close"})

    async def __call__(self) -> Any:
        if self._whole:  # what comes now is that the client went away
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._until = now + self._limits.body_s if self._until is None else self._until
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            told = f"the body took longer than {self._limits.body_s:g} s: send less at once"
            raise ProblemError(408, told, {"Connection": "close"}) from None
        self._seen += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._seen > self._limits.max_body_bytes:
            raise self._too_large()
        return message
