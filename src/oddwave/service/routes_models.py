"""The routes of models: which there are, scoring, explaining.

Read `scored.py` for the way that a request goes.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from oddwave.calibration.budget import Asked
from oddwave.errors import ConfigError
from oddwave.service.forms import BODY, ModelAnswer, ScoreAnswer, problems
from oddwave.service.limits import ProblemError, problem_of
from oddwave.service.pictures import PARTS, part_of, report_of
from oddwave.service.scored import Service, Wish, answered, judged

__all__ = ["model_routes"]

_REFUSED = problems(401, 404, 413, 415, 422, 429, 503)
_EXPLAIN_PARTS = sorted({part for parts in PARTS.values() for part in parts})


def _rule(
    alpha: Annotated[float | None, Query(description="False-alarm rate among normal items or blocks")] = None,
    threshold: Annotated[float | None, Query(description="Instead: anomalous is what scores at least this")] = None,
    flag: Annotated[int | None, Query(description="Instead: flag so many of the strongest findings")] = None,
    false_alarms: Annotated[
        str | None, Query(description="Instead: a budget, such as '1 per week' or '2 per 1000 images'")
    ] = None,
) -> Asked:
    try:
        return Asked(alpha, threshold, flag, false_alarms)
    except ConfigError as error:
        raise problem_of(error) from None


def _wish(
    asked: Annotated[Asked, Depends(_rule)],
    explain: Annotated[
        Literal["flagged", "all", "none"] | None,
        Query(description="Of which items the cause is sought; by default of anomalous ones, of images of none"),
    ] = None,
    points: Annotated[bool, Query(description="Also return the score of every row or clip")] = False,
    source: Annotated[str, Query(max_length=200, description="Where the data come from, for the history")] = "",
    record: Annotated[bool, Query(description="Whether the history keeps it")] = True,
) -> Wish:
    return Wish(asked, explain, points, source, record)


def model_routes(service: Service) -> APIRouter:
    """Return the routes of models."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("", response_model=list[ModelAnswer], summary="List the models, with their facts")
    async def models() -> Any:
        return [{**model.about, **model.state} for model in service.models.values()]

    @router.get("/{name}", response_model=ModelAnswer, responses=problems(404), summary="Describe a model")
    async def model(name: str) -> Any:
        found = service.model(name)
        return {**found.about, **found.state}

    @router.post("/{name}/score", response_model=ScoreAnswer, responses=_REFUSED, openapi_extra=BODY,
                 summary="Score one item or many")  # fmt: skip
    async def score(name: str, request: Request, wish: Annotated[Wish, Depends(_wish)]) -> Any:
        """Score files, a table, or several.

        Of several files, one that cannot be read is an item with label -1 and the reason; alone it is refused (422).
        """
        found = service.model(name)
        async with judged(request, service, found, wish) as (judgement, uploads):
            return await answered(service, found, wish, judgement, uploads)

    _explaining_routes(router, service)
    return router


def _explaining_routes(router: APIRouter, service: Service) -> None:
    @router.post("/{name}/explain", responses=_REFUSED, openapi_extra=BODY, summary="Explain one item")
    async def explain(
        name: str,
        request: Request,
        wish: Annotated[Wish, Depends(_wish)],
        part: Annotated[
            str, Query(description=f"json, report (a page of HTML), or a file: {', '.join(_EXPLAIN_PARTS)}")
        ] = "json",
    ) -> Response:
        """Return what an item would have been were it normal, and where it differs, flagged or not; nothing is kept."""
        found = service.model(name)
        if part not in ("json", "report", *PARTS.get(found.modality, ())):
            known = ", ".join(("json", "report", *PARTS.get(found.modality, ())))
            raise ProblemError(422, f"part is '{part:.40}': of {found.modality} there are {known}")
        whole = replace(wish, explain="all", points=True, record=False)
        async with judged(request, service, found, whole) as (judgement, uploads):
            result = judgement.result
            if result is None or len(result.items) != 1:
                number = len(judgement.unread) if result is None else len(result.items)
                raise ProblemError(422, f"{number} items were sent to be explained: send one")
            if part == "json":
                from fastapi.responses import JSONResponse

                return JSONResponse(await answered(service, found, whole, judgement, uploads))
            if part == "report":
                page = await run_in_threadpool(report_of, result, f"{name}: {result.items[0].id}")
                return Response(page, media_type="text/html")
            made = await run_in_threadpool(part_of, result, part)
            return Response(made.content, media_type=made.media_type)

    @router.post("/{name}/look", responses=_REFUSED, openapi_extra=BODY, summary="Score, and make a report to look at")
    async def look(name: str, request: Request, wish: Annotated[Wish, Depends(_wish)]) -> Any:
        """Score as `score` does, and return beside the answer where the report of it can be seen for half an hour."""
        found = service.model(name)
        async with judged(request, service, found, replace(wish, explain=wish.explain or "flagged")) as given:
            judgement, uploads = given
            answer = await answered(service, found, wish, judgement, uploads)
            if judgement.result is None:
                return {**answer, "report": None}
            page = await run_in_threadpool(report_of, judgement.result, f"{name}: {', '.join(uploads.sources)}"[:200])
            return {**answer, "report": f"reports/{service.reports.add(uploads.told(page))}"}
