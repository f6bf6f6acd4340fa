"""The routes of the history: what was found, how scores went, and what people said of it.

Read `queries.py` for what is asked of the database.
"""

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from oddwave.service.forms import VerdictForm, problems
from oddwave.service.limits import ProblemError
from oddwave.service.queries import Wanted, excerpt_of, item_of, items_of, latest, trends
from oddwave.service.remembered import new_id
from oddwave.service.scored import Service
from oddwave.service.uploads import checked_json
from oddwave.visible import as_text

__all__ = ["history_routes"]

_ID = re.compile(r"[0-9a-f]{24}")
_RECENTLY = "How far back: a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970"
_AGO = re.compile(r"\d{11,14}")


def _moment(text: str | None, name: str) -> int | None:
    """Return a time in milliseconds. Raises: ProblemError."""
    if text is None or not text:
        return None
    if _AGO.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(1000 * moment.timestamp())
    except (ValueError, OverflowError):
        raise ProblemError(422, f"{name} is '{text:.40}': expected a time such as 2026-01-31T12:00:00Z") from None


def _wanted(
    model: Annotated[str | None, Query(description="Only of this model")] = None,
    source: Annotated[str | None, Query(description="Only from this source")] = None,
    label: Annotated[int | None, Query(ge=-1, le=1, description="1 anomalous, 0 normal, -1 not judged")] = None,
    since: Annotated[str | None, Query(description=_RECENTLY)] = None,
    until: Annotated[str | None, Query(description="Up to when, likewise")] = None,
    verdict: Annotated[
        Literal["real", "false_alarm", "unsure", "any", "none"] | None, Query(description="By what a person said")
    ] = None,
    before: Annotated[str | None, Query(description="The id of the last item of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Wanted:
    if before is not None and not _ID.fullmatch(before):
        raise ProblemError(422, f"before is '{before:.40}': expected the id of an item")
    return Wanted(model, source, label, _moment(since, "since"), _moment(until, "until"), verdict, before, limit)


def history_routes(service: Service) -> APIRouter:
    """Return the routes of the history."""
    router = APIRouter(prefix="/v1", tags=["history"])

    @router.get("/history", responses=problems(409, 422, 503), summary="List what was judged, the newest first")
    async def history(wanted: Annotated[Wanted, Depends(_wanted)]) -> Any:
        items = await run_in_threadpool(items_of, service.remembers().engine, wanted)
        return {"items": items, "next": items[-1]["id"] if len(items) == wanted.limit else None}

    @router.get("/history/trends", responses=problems(409, 422, 503), summary="Show how scores went over time")
    async def trend(wanted: Annotated[Wanted, Depends(_wanted)], bucket: Literal["hour", "day", "week"] = "day") -> Any:
        found = await run_in_threadpool(trends, service.remembers().engine, wanted, bucket)
        return {"bucket": bucket, "buckets": found}

    @router.get("/history/{identifier}", responses=problems(404, 409, 503), summary="Show one item and its events")
    async def item(identifier: str) -> Any:
        return await run_in_threadpool(item_of, service.remembers().engine, identifier)

    @router.get("/history/{identifier}/excerpt", responses=problems(404, 409, 503), summary="Show its small picture")
    async def excerpt(identifier: str) -> Response:
        content, kind = await run_in_threadpool(excerpt_of, service.remembers().engine, identifier)
        return Response(content, media_type=kind)

    @router.get("/now", responses=problems(503), summary="Show how each model and source is at the moment")
    async def now() -> Any:
        sources = [] if service.history is None else await run_in_threadpool(latest, service.history.engine)
        models = [{**model.identity, **model.state, "threshold": model.about["threshold"]} for model in
                  service.models.values()]  # fmt: skip
        fed = [{"model": name, **about} for name, own in service.streams.items() for about in own]
        return {"models": models, "sources": sources, "streams": fed, "stopping": service.stopping}

    _verdict_route(router, service)
    return router


def _verdict_route(router: APIRouter, service: Service) -> None:
    @router.post(
        "/history/{identifier}/verdict",
        responses=problems(400, 404, 409, 415, 422, 503),
        summary="Say what an item really was",
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {
            "schema": VerdictForm.model_json_schema()}}}},
    )  # fmt: skip
    async def verdict(identifier: str, request: Request) -> Any:
        """Keep a person's verdict; what was said before is kept too, and the last one counts."""
        remembered = service.remembers()
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise ProblemError(415, 'send JSON: {"verdict": "false_alarm", "note": "..."}')
        try:
            form = VerdictForm.model_validate(await checked_json(request))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            raise ProblemError(422, f"{place}: {first['msg']}") from None
        if not _ID.fullmatch(identifier):
            raise ProblemError(404, f"'{identifier:.40}' is the id of no item")
        if not remembered.spool.num_waiting and not remembered.trouble:  # else it may wait there to be written
            await run_in_threadpool(item_of, remembered.engine, identifier)
        given = {
            "table": "oddwave_verdicts",
            "id": new_id(),
            "item_id": identifier,
            "verdict": form.verdict,
            "note": as_text(form.note),
            "given_ms": int(1000 * time.time()),
        }
        recorded = await asyncio.wrap_future(remembered.record([given]))
        if not recorded:
            raise ProblemError(503, "the verdict could not be kept: neither the history nor its disk takes it")
        return {"item": identifier, "verdict": form.verdict, "note": form.note, "recorded": True}
