"""The routes of streams: open one, feed it rows, look at it, end it. Read `streams.py` for what happens."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oddwave.errors import OddwaveError
from oddwave.service.forms import problems
from oddwave.service.limits import ProblemError, problem_of
from oddwave.service.scored import Service
from oddwave.service.streams import OpenStream, Streams, update_answer
from oddwave.service.uploads import checked_json

__all__ = ["stream_routes"]

_ROWS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "values": {"value": {"values": [[3.1, 0.2], [3.2, None]],
                                         "timestamps": ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"]}},
                    "channels": {"value": {"channels": {"flow": [3.1], "pressure": [0.2]}}},
                },
            }
        },
    }
}  # fmt: skip


class StreamForm(BaseModel):
    """What a stream is called, and its rule; at most one of alpha, threshold and false_alarms."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "pump-7", "false_alarms": "1 per week", "period_s": 300}}
    )
    name: str
    alpha: float | None = None
    threshold: float | None = None
    false_alarms: str | None = None
    period_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None


_FORM = {"requestBody": {"required": True, "content": {"application/json": {"schema": StreamForm.model_json_schema()}}}}


def stream_routes(service: Service) -> APIRouter:
    """Return the routes of streams."""
    router = APIRouter(prefix="/v1/models/{model}/streams", tags=["streams"])

    def streams(model: str) -> Streams:
        found = service.model(model)
        if model not in service.streams:
            raise ProblemError(409, f"'{model}' is a model of {found.modality}: streams are of series")
        own: Streams = service.streams[model]
        return own

    @router.get("", responses=problems(404, 409), summary="List the open streams")
    async def listed(model: str) -> Any:
        return list(streams(model))

    @router.post("", responses=problems(404, 409, 422, 429), openapi_extra=_FORM, summary="Open a stream, or go on")
    async def opened(model: str, request: Request) -> Any:
        own = streams(model)
        try:
            form = StreamForm.model_validate(await checked_json(request))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise ProblemError(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        rule = form.model_dump(include={"alpha", "threshold", "false_alarms"})
        return (await _called(service, model, lambda: own.open(form.name, rule, form.period_s))).about

    @router.get("/{name}", responses=problems(404), summary="Show a stream: its open events, its last score")
    async def shown(model: str, name: str) -> Any:
        return streams(model).get(name).about

    @router.post("/{name}/rows", responses=problems(404, 413, 422, 429, 503), openapi_extra=_ROWS,
                 summary="Feed rows, oldest first")  # fmt: skip
    async def fed(model: str, name: str, request: Request) -> Any:
        """Take rows; return what settled, which events opened, changed and closed, and what was noticed."""
        own = streams(model)
        stream = own.get(name)
        with service.model(model).slot():
            values, timestamps = own.rows(await checked_json(request))
            state = own.state_of(name)
            update = await _called(service, model, lambda: stream.feed(values, timestamps, state))
            return {**update_answer(update), "recorded": await _kept(service, stream)}

    @router.delete("/{name}", responses=problems(404), summary="End a stream: every event closes")
    async def ended(model: str, name: str) -> Any:
        own = streams(model)
        stream, state = own.get(name), own.state_of(name)
        update = await _called(service, model, lambda: stream.end(state))
        recorded = await _kept(service, stream)
        own.forget(name)
        return {**update_answer(update), "recorded": recorded}

    return router


async def _called(service: Service, model: str, call: Any) -> Any:
    """Run a call in the model's thread. Raises: ProblemError."""
    if service.stopping:
        raise ProblemError(503, "the service is stopping: ask again in a moment", {"Retry-After": "10"})
    try:
        return await asyncio.wrap_future(service.model(model).thread.submit(call))
    except OddwaveError as error:
        raise problem_of(error) from None


async def _kept(service: Service, stream: OpenStream) -> bool | None:
    """Hand to the history what it is to keep; return whether it has it, None where there is nothing."""
    entries = list(stream.unwritten)
    recorded = None
    if service.history is not None and entries:
        recorded = await asyncio.wrap_future(service.history.record(entries))
    for entry in entries:
        with suppress(ValueError):  # another request of this stream has written it too
            stream.unwritten.remove(entry)
    return recorded
