"""The application: routes, errors, the outermost layer, and the end of it all.

`make_app` needs nothing but models; `server.py` runs it. Read `scored.py` next: the way of a request.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from oddwave.errors import OddwaveError
from oddwave.report.build import TEMPLATES
from oddwave.service.azure import azure_routes
from oddwave.service.history import History
from oddwave.service.limits import Limits, ProblemError, problem_of
from oddwave.service.measured import Measured
from oddwave.service.models import ServedModel
from oddwave.service.reports import HEADERS, Reports
from oddwave.service.routes_history import history_routes
from oddwave.service.routes_models import model_routes
from oddwave.service.routes_streams import stream_routes
from oddwave.service.scored import Service
from oddwave.service.security import Guard, problem_response
from oddwave.service.streams import Streams
from oddwave.version import __version__

__all__ = ["App", "make_app"]

STATIC = Path(__file__).parent / "static"
REPORT_STYLE = TEMPLATES / "report.css"  # the page looks like the report
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_log = logging.getLogger("oddwave.service")


class App:
    """The service as an ASGI application: `service` is what its requests share."""

    def __init__(self, guard: ASGIApp, service: Service, api: FastAPI) -> None:
        self._guard, self.service, self.api = guard, service, api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._guard(scope, receive, send)


def make_app(
    models: Mapping[str, ServedModel],
    limits: Limits | None = None,
    *,
    token: str | None = None,
    history: History | None = None,
    hosts: frozenset[str] = frozenset(),
    states: Path | None = None,
) -> App:
    """Return the application that serves models.

    `hosts` are the names it may be asked under, empty for any; the states of streams lie in the folder `states`.
    """
    limits = limits or Limits()
    service = Service(dict(models), limits, Measured(models), Reports(), history, began_s=time.monotonic())
    service.streams |= {
        name: Streams(model, limits, states) for name, model in models.items() if model.modality == "series"
    }
    if history is not None:
        history.record([entry for streams in service.streams.values() for entry in streams.unwritten()])
    api = FastAPI(
        title="oddwave",
        version=__version__,
        summary="Anomaly detection for series, images and audio: scores, p-values, events, explanations, a history.",
        docs_url=None,  # they would be fetched from elsewhere
        redoc_url=None,
        lifespan=lambda _: _lifespan(service),
    )
    _answer_errors(api)

    api.include_router(model_routes(service))
    api.include_router(stream_routes(service))
    api.include_router(history_routes(service))
    api.include_router(azure_routes(service))
    _state_routes(api, service)
    _page_routes(api, service)

    def counted(route: str, status: int) -> None:
        service.measured.requests.labels(route, str(status)).inc()

    return App(Guard(api, limits, token, hosts, counted), service, api)


@asynccontextmanager
async def _lifespan(service: Service) -> AsyncIterator[None]:
    yield
    service.stopping = True

    def stop() -> None:
        for model in service.models.values():
            model.thread.stop(service.limits.stop_s)
        if service.history is not None:
            service.history.close()

    await run_in_threadpool(stop)


def _answer_errors(api: FastAPI) -> None:
    """Turn whatever is raised into an answer without a traceback."""

    @api.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> Response:
        return problem_response(error)

    @api.exception_handler(OddwaveError)
    async def ours(_: Request, error: OddwaveError) -> Response:
        return problem_response(problem_of(error))

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:])) or "the request"
        return problem_response(ProblemError(422, f"{place}: {first['msg']}"))

    @api.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        words = {404: "there is nothing at this address: see /openapi.json", 405: "this address takes another method"}
        detail = words.get(error.status_code, str(error.detail))
        return problem_response(ProblemError(error.status_code, detail, dict(error.headers or {})))

    @api.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        number = secrets.token_hex(4)
        _log.error("error %s at %s", number, request.url.path, exc_info=error)
        return problem_response(ProblemError(500, f"this was not foreseen; the log has it as {number}"))


def _state_routes(api: FastAPI, service: Service) -> None:
    @api.get("/health", tags=["state"], summary="Whether the process lives")
    async def health() -> Any:
        """Answer 200 while the process lives, and say how the history is."""
        told: dict[str, Any] = {"status": "stopping" if service.stopping else "ok", "version": __version__}
        if service.history is not None:
            facts = service.history.facts
            told["history"] = {key: facts[key] for key in ("reachable", "spooled", "lost")}
        return {**told, "uptime_s": round(time.monotonic() - service.began_s, 1)}

    @api.get("/ready", tags=["state"], summary="Whether requests are taken")
    async def ready() -> Response:
        """Answer 200 where requests are taken, 503 before the end."""
        alive = all(model.thread.is_alive for model in service.models.values())
        well = alive and not service.stopping
        return JSONResponse({"ready": well, "models": list(service.models)}, 200 if well else 503)

    @api.get("/metrics", tags=["state"], summary="Counters for Prometheus")
    async def metrics() -> Response:
        """Return all counters in Prometheus' text format."""
        if service.history is not None:
            service.measured.spooled.set(service.history.spool.num_waiting)
            service.measured.lost.set(service.history.num_lost)
        return Response(service.measured.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _page_routes(api: FastAPI, service: Service) -> None:
    @api.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html", headers={"cache-control": "no-cache"})

    @api.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        files = {path.name: path for path in (*STATIC.iterdir(), REPORT_STYLE) if path.suffix in _TYPES}
        found = files.get(name)
        if found is None:
            raise ProblemError(404, "the page has no such file")
        return FileResponse(found, media_type=_TYPES[found.suffix], headers={"cache-control": "no-cache"})

    @api.get("/reports/{name}", include_in_schema=False)
    async def report(name: str) -> Response:
        return HTMLResponse(service.reports.page(name), headers=HEADERS)
