"""Sums of trips by window and zone: of rows that came and went, and as the rows of `realtime.trip_aggregations`.

A window's sums are exact decimals and counts, so what came is added and what went is subtracted, in any order and
grouping. Windows are numbered from 1970 in fives of minutes. Hours are made from these when a day is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import LakehouseError
from catalog.tables.realtime import FIVE_MINUTES, HOUR, WINDOW, Watched
from streaming.differences import Part
from streaming.files import FileCache
from streaming.store import Store

MONEY = pa.decimal128(38, 2)
INSTANT = pa.timestamp("us", "UTC")
PER_HOUR, PER_DAY = 12, 288
_MICROSECONDS = int(WINDOW.total_seconds() * 1_000_000)
_ROWS_AT_ONCE = 1_000_000


class WrongSumsError(LakehouseError):
    """The windows do not hold what the mirror held at their position."""


class Measures:
    """Reads of mirror files just what the windows need. Columns of sums: `window`, `zone`, `trips`, then amounts."""

    def __init__(self, watched: Watched, store: Store, cache: FileCache[pa.Table]) -> None:
        self.watched, self._store, self._cache = watched, store, cache
        amounts = [(watched.revenue, MONEY)]
        for name in watched.averages:
            amounts += [(name, MONEY), (f"{name}_trips", pa.int64())]
        self.schema = pa.schema([("window", pa.int64()), ("zone", pa.int32()), ("trips", pa.int64()), *amounts])

    def of_file(self, path: str) -> pa.Table:
        """The rows of a mirror file, in its order, each as the sums of itself; null windows and zones stay."""
        return self._cache.get(path, lambda: self._read(path))

    def _read(self, path: str) -> pa.Table:
        watched = self.watched
        held = self._store.read_parquet(path, watched.columns)
        for name in watched.columns:
            if name not in held.column_names:  # written before the column was added
                held = held.append_column(name, pa.nulls(len(held), pa.int64() if name == watched.time else pa.int32()))
        columns = [
            _windows(held[watched.time]),
            held[watched.zone].cast(pa.int32()),
            pa.repeat(pa.scalar(1, pa.int64()), len(held)),
            held[watched.revenue].cast(MONEY),
        ]
        for name in watched.averages:
            columns += [held[name].cast(MONEY), pc.is_valid(held[name]).cast(pa.int64())]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def spans(self, parts: Sequence[Part]) -> list[tuple[range, list[Part]]]:
        """Days in order, in spans of about a million rows, each with the parts that have rows in it."""
        counts: Counter[int] = Counter()
        reach = []
        for part in parts:
            days, rows = np.unique(self._signed(part)["window"].to_numpy() // PER_DAY, return_counts=True)
            counts.update(dict(zip(days.tolist(), rows.tolist(), strict=True)))
            reach.append((days[0], days[-1]) if days.size else (0, -1))
        cuts, held = [], _ROWS_AT_ONCE + 1
        for day in sorted(counts):
            held += counts[day]
            if held > _ROWS_AT_ONCE:
                cuts.append(day)
                held = counts[day]
        spans = [range(start, end) for start, end in pairwise([*cuts, max(counts, default=0) + 1])]
        return [
            (
                span,
                [part for part, (low, high) in zip(parts, reach, strict=True) if low < span.stop and high >= span[0]],
            )
            for span in spans
        ]

    def sums(self, parts: Iterable[Part], days: range) -> pa.Table:
        """The sums of some days of all parts, those that went as negative ones, without windows that did not change."""
        held, rows = [self.schema.empty_table()], 0
        for part in parts:
            held.append(self._signed(part, days))
            rows += len(held[-1])
            if rows > _ROWS_AT_ONCE:
                held, rows = [summed(held)], 0
        total = summed(held)
        return total.filter(_any_differs_from_zero(total))

    def _signed(self, part: Part, days: range | None = None) -> pa.Table:
        rows = self.of_file(part.path)
        if part.rows is not None:
            rows = rows.take(pa.array(part.rows))
        if days is not None:
            first, end = days.start * PER_DAY, days.stop * PER_DAY
            rows = rows.filter(pc.and_(pc.greater_equal(rows["window"], first), pc.less(rows["window"], end)))
        rows = rows.filter(pc.and_(pc.is_valid(rows["window"]), pc.is_valid(rows["zone"])))
        if part.sign > 0:
            return rows
        return pa.Table.from_arrays([*rows.columns[:2], *map(pc.negate, rows.columns[2:])], schema=rows.schema)


def _windows(times: pa.ChunkedArray) -> pa.Array:
    """The window's number of each instant, also before 1970."""
    micros = times.cast(pa.int64()).fill_null(0).to_numpy()
    return pa.array(micros // _MICROSECONDS, mask=times.is_null().to_numpy())


def summed(parts: Iterable[pa.Table]) -> pa.Table:
    """Sums added up by window and zone, in this order; an amount that no row knows is 0."""
    whole = pa.concat_tables(parts)
    names = whole.column_names[2:]
    groups = whole.group_by(["window", "zone"], use_threads=False).aggregate([(name, "sum") for name in names])
    columns = [groups["window"], groups["zone"]]
    for name in names:
        kind = whole.schema.field(name).type
        columns.append(pc.fill_null(groups[f"{name}_sum"], pa.scalar(0).cast(kind)).cast(kind))
    return pa.Table.from_arrays(columns, schema=whole.schema).sort_by([("window", "ascending"), ("zone", "ascending")])


def _any_differs_from_zero(sums: pa.Table) -> pa.ChunkedArray:
    differs = pc.not_equal(sums["trips"], 0)
    for name in sums.column_names[3:]:
        differs = pc.or_(differs, pc.not_equal(sums[name], 0))
    return differs


def corrected(before: pa.Table, changes: pa.Table) -> pa.Table:
    """Sums with changes added; windows without trips go. Raises WrongSumsError where more went than there was."""
    total = summed([before, changes])
    empty = pc.equal(total["trips"], 0)
    if pc.any(pc.less(total["trips"], 0)).as_py() or pc.any(_any_differs_from_zero(total.filter(empty))).as_py():
        raise WrongSumsError("the windows do not hold what the mirror held at their position")
    return total.filter(pc.invert(empty))


def by_day(sums: pa.Table) -> dict[int, pa.Table]:
    """Sums in window order, cut by day."""
    days = sums["window"].to_numpy() // PER_DAY
    found, starts = np.unique(days, return_index=True)
    lengths = np.diff(np.append(starts, len(days)))
    return {int(day): sums.slice(start, size) for day, start, size in zip(found, starts, lengths, strict=True)}


def window_rows(sums: pa.Table) -> pa.Table:
    """A day's sums as rows of the table, those of the hours behind those of five minutes."""
    hours = pa.array(sums["window"].to_numpy() // PER_HOUR * PER_HOUR)
    hourly = summed([sums.set_column(0, "window", hours)])
    return pa.concat_tables([_rows(sums, FIVE_MINUTES, 1), _rows(hourly, HOUR, PER_HOUR)])


def _rows(sums: pa.Table, size: str, windows: int) -> pa.Table:
    columns = {
        "window_start": instants(sums["window"].to_numpy()),
        "window_end": instants(sums["window"].to_numpy() + windows),
        "window_size": pa.repeat(pa.scalar(size), len(sums)),
        "zone_id": sums["zone"],
        "trips": sums["trips"],
        "revenue": sums.column(3),
    }
    for place in range(4, sums.num_columns, 2):
        name, total, known = sums.column_names[place], sums.column(place), sums.column(place + 1)
        some = pc.if_else(pc.greater(known, 0), known, None).cast(pa.float64())
        columns |= {name: total, f"{name}_trips": known, f"avg_{name}": pc.divide(_nearest(total), some)}
    return pa.table(columns)


def _nearest(decimals: pa.ChunkedArray) -> pa.ChunkedArray:
    """The nearest doubles; a direct cast makes 0.6900000000000001 of 0.69."""
    return decimals.cast(pa.string()).cast(pa.float64())


def sums_of(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The sums that a day's rows were made from, in the `schema` of Measures."""
    fives = rows.filter(pc.equal(rows["window_size"], FIVE_MINUTES))
    columns = [_windows(fives["window_start"]), fives["zone_id"], fives["trips"], fives["revenue"]]
    columns += [fives[name] for name in schema.names[4:]]
    return pa.Table.from_arrays(columns, schema=schema)


def instants(windows: np.ndarray) -> pa.Array:
    """The first instants of windows."""
    return pa.array(windows * _MICROSECONDS, INSTANT)
