"""What every route of rows documents alike: its formats and the problems that may be answered."""

from __future__ import annotations

from typing import Any

from serving.api.formats import Format
from serving.api.problems import describe
from serving.rows import Envelope

_PROBLEMS = (
    "malformed-cursor", "unauthorized", "forbidden", "not-acceptable", "snapshot-gone", "invalid-request",
    "too-many-requests", "beyond-the-engine", "lake-unavailable", "query-limit",
)  # fmt: skip
_HEADERS = {
    "ETag": {"description": "of the rows; give it back as If-None-Match", "schema": {"type": "string"}},
    "Lakehouse-Meta": {"description": "`meta` of the JSON form, in every format", "schema": {"type": "string"}},
    "X-Request-Id": {"description": "also in the API's log", "schema": {"type": "string"}},
}


def answers(data: Any, *problems: str) -> dict[str, Any]:
    """Keyword arguments of a route whose JSON form holds `data` in its envelope."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    others = {form.value: binary for form in Format if form is not Format.JSON}
    return {
        "response_model": Envelope[data],
        "responses": {
            200: {"description": "the rows", "content": others, "headers": _HEADERS},
            304: {"description": "the rows are those of the given If-None-Match"},
            **describe(*_PROBLEMS, *problems),
        },
    }
