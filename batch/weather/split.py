"""A piece's landed input split in two: hours to publish, and rows to set aside. The same input gives the same split."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyarrow as pa

from batch.job import Job
from batch.weather import record, response
from batch.weather.plan import HISTORY, Input, Piece
from batch.weather.readings import Reading, Refused, table_rows
from catalog.files import s3_files

_QUARANTINED = pa.schema(
    [("source", pa.string()), ("source_row", pa.int64()), ("reason", pa.string()), ("raw", pa.string())]
)


@dataclass(frozen=True)
class Split:
    """`accepted` are rows of weather.hourly_weather; together with the refused ones they are the whole input."""

    accepted: pa.Table
    refused: list[Refused]

    @property
    def rows_in(self) -> int:
        """Rows of the input: hours, and lines of the record that no hours could be made of."""
        return self.accepted.num_rows + len(self.refused)

    @property
    def quarantined(self) -> pa.Table:
        """The refused rows as `control.replace_quarantine` takes them."""
        return pa.Table.from_pylist([asdict(each) for each in self.refused], schema=_QUARANTINED)


def split(job: Job, piece: Piece) -> Split:
    """Read the piece's landed input. Raises BatchError when an input is refused as a whole."""
    parts, refused = [], []
    for each in piece.inputs:
        readings, set_aside = _read(job, piece, each)
        parts.append(table_rows(readings, piece.known_until, _source(each), each.landed.sha256))
        refused += set_aside
    return Split(pa.concat_tables(parts), refused)


def _read(job: Job, piece: Piece, each: Input) -> tuple[list[Reading], list[Refused]]:
    with s3_files(job.settings).open_input_stream(each.landed.path) as stream:
        content = stream.read()
    if each.question is not None:
        return response.read(content, each.question, each.landed.origin)
    days, refused = record.read(content, each.landed.origin)
    readings = list(record.readings(days, piece.first, piece.last, piece.shift_weeks))
    whole = (piece.first, piece.last) == (HISTORY.first, HISTORY.last)
    return readings, refused if whole else []


def _source(each: Input) -> str:
    """Of the rows: the file, or the interface without the question."""
    return each.question.url if each.question else each.landed.origin
