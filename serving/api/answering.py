"""An answer on its way out: what is said about it, its tag, its format, or 304 when the asker has it already.

In JSON the rows stand in `data` and what is said of them in `meta`; every format carries the same as JSON in the header
`Lakehouse-Meta`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Request, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from serving.api.cursors import Cursor, Cursors
from serving.api.formats import Format, encode, json_bytes, negotiate
from serving.api.lake import Rows
from serving.api.memory import Answers
from serving.api.moments import bounded
from serving.api.problems import ProblemError
from serving.api.questions import Asked, Question

META_HEADER = "Lakehouse-Meta"
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _written_out(text: Any) -> Any:
    """Refuse a bare number, which would be read as seconds since 1970."""
    if isinstance(text, str) and not _ISO_DAY.match(text):
        raise ValueError("write 2026-01-31, or 2026-01-31T12:00:00Z where a time is asked for")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return bounded(moment)
    except OverflowError as outside:
        raise ValueError(str(outside)) from outside


Day = Annotated[date, BeforeValidator(_written_out)]
Instant = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_utc)]
LIMIT = 1000


class Past(BaseModel):
    """Parameters of every route that reads tables."""

    model_config = ConfigDict(extra="forbid")

    as_of: Annotated[
        str | None,
        Field(
            max_length=64,
            description="the past: `time:2026-01-31T12:00:00Z`, `time:-5m`, or `snapshot:ID` where one table is read",
        ),
    ] = None


class Page(Past):
    """Parameters of every route that gives rows page by page."""

    limit: Annotated[int, Field(ge=1, le=LIMIT, description="most rows of a page")] = 100
    cursor: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="`next_cursor` of the page before, read from its snapshots; other parameters as before",
        ),
    ] = None


@dataclass(frozen=True)
class Answering:
    """Answers questions of routes. A cursor keeps parameters named `now_…`, which come from the time of day."""

    answers: Answers
    cursors: Cursors

    def rows(self, request: Request, question: Question, page: Page, parameters: Mapping[str, Any]) -> Response:
        """The page of rows that a request asks for."""
        form = negotiate(request.headers.get("accept"))
        asked = self._asked(question, page, parameters)
        answer = self.answers.get(asked)
        meta = described(answer.rows, self._next(asked, answer.rows))
        return _response(request, form, (asked.key, answer.snapshots), meta, answer.encoded(form))

    def one(self, request: Request, question: Question, past: Past, parameters: Mapping[str, Any]) -> Response:
        """The single row of a question that always has one; in JSON `data` is the row itself."""
        form = negotiate(request.headers.get("accept"))
        asked = Asked(question, parameters, 1, {}, past.as_of)
        answer = self.answers.get(asked)
        encoded = answer.encoded(form)
        body = encoded[1:-1] if form is Format.JSON else encoded
        return _response(request, form, (asked.key, answer.snapshots), described(answer.rows, None), body)

    def listed(self, request: Request, table: pa.Table) -> Response:
        """Rows that are no table's own, such as the list of tables."""
        form = negotiate(request.headers.get("accept"))
        reason = None if table.num_rows else "no data yet: the lake has no table"
        encoded = encode(table, form)
        return _response(request, form, encoded, described(Rows(table, (), (), reason, None), None), encoded)

    def _asked(self, question: Question, page: Page, parameters: Mapping[str, Any]) -> Asked:
        if page.cursor is None:
            return Asked(question, parameters, page.limit, {}, page.as_of)
        cursor = self.cursors.read(page.cursor)
        if cursor.question != question.name or page.as_of is not None or _differ(cursor.parameters, parameters):
            raise ProblemError("malformed-cursor", "the cursor belongs to a request with other parameters")
        return Asked(question, cursor.parameters, page.limit, cursor.snapshots, None, cursor.after)

    def _next(self, asked: Asked, rows: Rows) -> str | None:
        if rows.after is None:
            return None
        snapshots = {head.table: head.snapshot_id for head in rows.heads if head.snapshot_id is not None}
        return self.cursors.write(Cursor(asked.question.name, asked.parameters, snapshots, rows.after))


def described(rows: Rows, next_cursor: str | None) -> dict[str, Any]:
    """What is said of rows: snapshots, positions, freshness, whether anything is derived, and why there are none."""
    now = datetime.now(UTC)
    snapshots = [head.as_json(now) for head in rows.heads]
    ages = [each["age_seconds"] for each in snapshots if each["table"] in rows.needed and each["snapshot_id"]]
    return {
        "rows": rows.table.num_rows,
        "snapshots": snapshots,
        "freshness_seconds": max(ages, default=None),
        "derived": _is_derived(rows),
        "reason": rows.reason,
        "next_cursor": next_cursor,
    }


def _is_derived(rows: Rows) -> bool:
    return "derived" in rows.table.column_names and bool(pc.any(rows.table.column("derived")).as_py())


def _response(request: Request, form: Format, rows: Any, meta: Mapping[str, Any], body: bytes) -> Response:
    """`rows` is what the rows depend on. The tag is weak: ages change while rows do not (RFC 9110, 8.8.1)."""
    tag = f'W/"{sha256(repr((form, rows)).encode()).hexdigest()[:32]}"'
    said = json_bytes(meta)
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization",
        META_HEADER: said.decode() if said.isascii() else json.dumps(json.loads(said)),
    }
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    if form is Format.JSON:
        body = b'{"data":' + body + b',"meta":' + said + b"}"
    return Response(body, headers=headers, media_type=form.value)


def _has(request: Request, tag: str) -> bool:
    given = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or tag in given or tag.removeprefix("W/") in given


def _differ(known: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a request names another value than its cursor does."""
    return any(known.get(name) != value for name, value in given.items() if not name.startswith("now_"))
