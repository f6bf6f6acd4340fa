"""The routes of a retired service for series, for its clients: Azure Anomaly Detector, univariate, v1.0 and v1.1.

    POST /anomalydetector/v1.1/timeseries/entire/detect         every point, judged among all the others
    POST /anomalydetector/v1.1/timeseries/last/detect           the last point
    POST /anomalydetector/v1.1/timeseries/changepoint/detect    where the level or the slope changes

JSON in and out are those of its public description; what is computed is oddwave's own (`azure_series.py`), so numbers
differ. No model is needed: a series is judged by itself. Errors are {"code", "message"}, as its clients expect.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from oddwave.errors import OddwaveError
from oddwave.service.azure_series import AzureError, AzureSeries, change_points, entire, last
from oddwave.service.limits import ProblemError
from oddwave.service.scored import Service
from oddwave.service.uploads import checked_json

__all__ = ["azure_routes"]

_POINT = {
    "type": "object",
    "properties": {"timestamp": {"type": "string", "format": "date-time"}, "value": {"type": "number"}},
    "required": ["value"],
}
_OPTIONS: dict[str, Any] = {
    "type": "object",
    "required": ["series"],
    "properties": {
        "series": {"type": "array", "items": _POINT, "minItems": 12, "maxItems": 8640},
        "granularity": {"type": "string"},
        "customInterval": {"type": "integer"},
        "period": {"type": "integer"},
        "maxAnomalyRatio": {"type": "number"},
        "sensitivity": {"type": "integer"},
        "imputeMode": {"type": "string"},
        "imputeFixedValue": {"type": "number"},
        "stableTrendWindow": {"type": "integer"},
        "threshold": {"type": "number"},
    },
    "example": {
        "series": [{"timestamp": f"2026-01-{day:02d}T00:00:00Z", "value": 30 + day % 7} for day in range(1, 31)],
        "granularity": "daily",
        "sensitivity": 95,
        "maxAnomalyRatio": 0.25,
    },
}


def azure_routes(service: Service) -> APIRouter:
    """Return the compatible routes."""
    router = APIRouter(prefix="/anomalydetector", tags=["Azure Anomaly Detector"])
    turn = asyncio.Semaphore(1)  # each fits a model of its own: two at once would only be slower
    waiting = [0]

    async def answer(
        request: Request, version: str, compute: Callable[[AzureSeries], dict[str, Any]], changes: bool = False
    ) -> Response:
        if version not in ("v1.0", "v1.1", "v1.1-preview", "v1.1-preview.1"):
            raise ProblemError(404, f"version '{version:.20}' is not spoken here: v1.0 and v1.1 are")
        if service.stopping:
            raise ProblemError(503, "the service is stopping: ask again in a moment", {"Retry-After": "10"})
        if waiting[0] >= service.limits.max_waiting:
            return _refusal(429, "TooManyRequests", f"{waiting[0]} requests wait: ask again", {"Retry-After": "5"})
        waiting[0] += 1
        try:
            try:
                body = await checked_json(request)
            except ProblemError as problem:
                if problem.status != 400:
                    raise
                raise AzureError("InvalidJsonFormat", problem.detail) from None
            series = AzureSeries.read(body, changes=changes)
            async with turn:
                return JSONResponse(await run_in_threadpool(compute, series))
        except AzureError as error:
            return _refusal(400, error.code, str(error))
        except OddwaveError as error:
            return _refusal(400, "InvalidSeries", str(error))
        finally:
            waiting[0] -= 1

    described: dict[str, Any] = {"openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {
        "schema": _OPTIONS}}}}}  # fmt: skip

    @router.post("/{version}/timeseries/entire/detect", summary="Judge every point of a series", **described)
    async def entire_detect(version: str, request: Request) -> Response:
        return await answer(request, version, entire)

    @router.post("/{version}/timeseries/last/detect", summary="Judge the last point of a series", **described)
    async def last_detect(version: str, request: Request) -> Response:
        return await answer(request, version, last)

    @router.post("/{version}/timeseries/changepoint/detect", summary="Find where a series changes", **described)
    async def changepoint_detect(version: str, request: Request) -> Response:
        return await answer(request, version, change_points, changes=True)

    return router


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    content = {"code": code, "message": message}
    return JSONResponse(content, status, headers={"x-ms-error-code": code, **(headers or {})})
