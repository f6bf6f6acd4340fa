"""The forms of requests and answers as the API describes them (OpenAPI), with examples.

Bodies are read by `uploads.py`, since one route takes files, tables and JSON alike; here they are described.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BODY", "ItemAnswer", "ModelAnswer", "ProblemAnswer", "ScoreAnswer", "VerdictForm", "problems"]

_TABLE = {"columns": {"time": ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"], "flow": [3.1, 3.2]}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                },
            },
            "application/json": {
                "schema": {"type": "object", "description": "Of series only: one table, or several under 'items'."},
                "examples": {
                    "columns": {"summary": "A table by columns; null where a value is missing", "value": _TABLE},
                    "values": {"summary": "Rows of numbers", "value": {"values": [[3.1, 0.2], [3.2, 0.2]]}},
                    "items": {"summary": "Several series", "value": {"items": {"pump 1": _TABLE, "pump 2": _TABLE}}},
                },
            },
            "text/csv": {"schema": {"type": "string"}, "example": "time,flow\n2026-01-01T00:00:00Z,3.1\n"},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "audio/wav": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class ProblemAnswer(BaseModel):
    """A refusal (RFC 9457): what was wrong, and how to mend it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "The data cannot be judged",
                "status": 422,
                "detail": "'part.png' is empty (0 bytes): copy it again",
            }
        }
    )
    type: str = "about:blank"
    title: str
    status: int
    detail: str


class ModelAnswer(BaseModel):
    """What a model was trained on, how it was calibrated, and what was chosen automatically."""

    model_config = ConfigDict(extra="allow")
    name: str
    modality: str
    fingerprint: str = Field(description="sha256 of all that the model holds: equal models, equal fingerprint")
    alpha: float = Field(description="The false-alarm rate used where a request gives none")
    smallest_alpha: float
    threshold: float
    channels: list[str]


class ItemAnswer(BaseModel):
    """One item: label 1 is anomalous, 0 normal, -1 not judged, and then `reason` says why."""

    model_config = ConfigDict(extra="allow")
    id: str
    status: Literal["judged", "not judged"]
    label: int
    score: float | None
    p_value: float | None
    reason: str
    events: list[dict[str, Any]]
    history_id: str | None = None


class ScoreAnswer(BaseModel):
    """The answer to a request: one entry per item, in the order given."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "model": {"name": "parts", "fingerprint": "9f2c...", "modality": "image"},
                "kind": "image",
                "alpha": 0.01,
                "threshold": 5.1,
                "recorded": True,
                "items": [
                    {"id": "part_7.png", "status": "judged", "label": 1, "score": 9.3, "p_value": 0.004, "reason": "",
                     "events": [{"score": 14.2, "p_value": 0.004, "left_px": 40, "top_px": 12, "right_px": 61,
                                 "bottom_px": 30}], "history_id": "0199c0ffee00000112345678"},
                ],
            }
        },
    )  # fmt: skip
    model: dict[str, str]
    items: list[ItemAnswer]
    recorded: bool | None = Field(default=None, description="Whether a disk has it; null where it is not to be kept")


class VerdictForm(BaseModel):
    """What a person says of an item: "none" takes back what was said."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"verdict": "false_alarm", "note": "the lens was being cleaned"}}
    )
    verdict: Literal["real", "false_alarm", "unsure", "none"]
    note: str = Field(default="", max_length=2_000)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how a route's refusals are described."""
    content = {"application/problem+json": {"schema": ProblemAnswer.model_json_schema()}}
    return {status: {"description": "Refused, and why", "content": content} for status in statuses}
