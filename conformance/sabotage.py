"""The checks checked: bugs planted in the running stream, one after the other; each must be noticed, and mended.

Per bug: it is planted, the same statements run, the checks look; it is taken out, the table is resynced and must be
equal. The first round plants none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from catalog.settings import Settings
from catalog.source import NAMESPACE
from catalog.verification import TableReport, verify
from conformance.bugs import BUGS, CORRECTION, Bug
from conformance.scene import WAIT_SECONDS, Ask, Scene
from conformance.situation import Situation, first_difference
from conformance.substitute import streaming
from conformance.windows import recomputed

Say = Callable[[str], None]
NONE = Bug("none", "read")
LONG = "repeat(md5('long'), 200)"
AT, AMOUNT = datetime(2026, 3, 8, 12, tzinfo=UTC), Decimal("12345678901234567.89")

ROUND = Situation(
    "sabotage",
    (
        "create table @table (id int primary key, made timestamptz, amount numeric(20, 2), label text, body text)",
        "alter table @table alter column body set storage external",
    ),
    steps=(
        "insert into @table values (99)",
        f"""begin; truncate @table; insert into @table
        select n, '{AT.isoformat()}', {AMOUNT}, 'new ' || n, {LONG} from generate_series(1, 8) n; commit""",
        """begin; update @table set label = 'first' where id = 1; update @table set label = 'second' where id = 1;
        commit""",
        "delete from @table where id = 2",
        f"update @table set id = 30, body = {LONG} where id = 3",
        "update @table set label = 'other' where id = 4",
        "insert into @table values (50)",
    ),
    rows=(
        (1, AT, AMOUNT, "second", 6400),
        (4, AT, AMOUNT, "other", 6400),
        (5, AT, AMOUNT, "later", 6400),
        *((n, AT, AMOUNT, f"new {n}", 6400) for n in (6, 7, 8)),
        (30, AT, AMOUNT, "new 3", 6400),
        (50, None, None, None, None),
        (60, None, None, None, None),
    ),
    select="id, made, amount, label, length(body)::int",
    ops="ctccccccccuuddcucuc",
)
LATER = ("update @table set label = 'later' where id = 5", "insert into @table values (60)")
"""When all of it is applied: in an epoch of their own, which meets the rows that are in the mirror."""
TRIP = """insert into trips (pickup_at, pickup_location_id, fare_amount, tip_amount, tolls_amount, total_amount, note)
values (now() - interval '1 hour', 1, 1, 0, 0, 1, 'sabotage')"""
NO_TRIP = "delete from trips where note = 'sabotage'"


@dataclass
class Caught:
    """What the checks said of a planted bug, empty where nothing was noticed; and what they say once it is mended."""

    bug: str
    noticed: str
    afterwards: str
    seconds: float

    @property
    def right(self) -> bool:
        """Noticed if there was a bug, and equal without one."""
        return bool(self.noticed) == (self.bug != NONE.name) and not self.afterwards

    def as_json(self) -> dict[str, Any]:
        """Its fields, and the verdict."""
        return {**asdict(self), "right": self.right}


def run(settings: Settings, bugs: Sequence[Bug] = BUGS, say: Say = lambda _: None) -> list[Caught]:
    """Plant each bug in the running stack's stream, which goes on without any of them afterwards.

    Raises LakehouseError when the stack does not do its part.
    """
    scene = Scene(settings, [ROUND])
    try:
        scene.set_up()
        say("the streaming job starts with the saboteur")
        with _saboteur(scene) as plant, scene.lake() as ask:
            return [_tried(scene, bug, plant, ask, say) for bug in (NONE, *bugs)]
    finally:
        scene.tear_down()


@contextmanager
def _saboteur(scene: Scene) -> Iterator[Callable[[str], object]]:
    """The streaming job is one in which bugs can be planted, by name; an empty name plants none."""
    settings, file = scene.settings, scene.settings.state_dir / "sabotage"
    with streaming(settings, settings, "conformance.sabotaged", scene.schema, str(file)):
        try:
            yield file.write_text
        finally:
            file.unlink(missing_ok=True)


def _tried(scene: Scene, bug: Bug, plant: Callable[[str], object], ask: Ask, say: Say) -> Caught:
    began = time.monotonic()
    say(f"{bug.name}: planted")
    if bug == CORRECTION:
        noticed, afterwards = _in_windows(scene.settings, bug, plant)
    else:
        plant(bug.name)
        noticed = _noticed(scene, ask)
        plant("")
        say(f"{bug.name}: resync")
        scene.resync([ROUND])
        afterwards = _told(_report(scene))
    return Caught(bug.name, noticed, afterwards, round(time.monotonic() - began, 1))


def _report(scene: Scene) -> TableReport:
    return verify(scene.settings, [scene.name(ROUND)], timeout=WAIT_SECONDS, kept=False).tables[0]


def _told(report: TableReport) -> str:
    """What `lake verify` found; empty where all is equal."""
    counts = {
        "rows differ": report.differing_rows,
        "rows of the changelog differ": report.changelog_differing_rows,
        "events stand twice": report.duplicate_events,
    }
    return "; ".join(
        [f"{count} {what}" for what, count in counts.items() if count] + [report.unverified] * bool(report.unverified)
    )


def _noticed(scene: Scene, ask: Ask) -> str:
    """By the stream, which stops; by `lake verify`; by what is written down of rows and events, as in any situation."""
    for steps in (ROUND.steps, LATER):
        scene.execute(ROUND, steps)
        if stopped := scene.until_applied(ROUND):
            return f"the stream stops: {stopped}"
    source = scene.source(ROUND)
    mirror, changelog = (f'iceberg.{NAMESPACE}."{name.split(".")[1]}"' for name in (source.mirror, source.changelog))
    told = _told(_report(scene))
    of_this_round = f"topic_offset is not null and generation = (select max(generation) from {changelog})"
    events = ask(f"select op from {changelog} where {of_this_round} order by topic_offset")
    ops = "".join(op for (op,) in events)
    rows = first_difference(ask(f"select {ROUND.select} from {mirror} order by {ROUND.order}"), ROUND.rows)
    expected = [f"verify: {told}" if told else "", "rows" if rows else "", "events" if ops != ROUND.ops else ""]
    return ", ".join(filter(None, expected))


def _in_windows(settings: Settings, bug: Bug, plant: Callable[[str], object]) -> tuple[str, str]:
    """A trip comes, and goes again while the bug is planted."""
    with psycopg.connect(settings.source_dsn("taxi"), autocommit=True) as session:
        session.execute(TRIP)
        if before := _compared(settings):
            return "", f"before it was planted: {before}"
        plant(bug.name)
        session.execute(NO_TRIP)
    noticed = _compared(settings)
    plant("")
    ends = time.monotonic() + WAIT_SECONDS
    while (afterwards := _compared(settings)) and time.monotonic() < ends:
        time.sleep(1)
    return noticed, afterwards


def _compared(settings: Settings) -> str:
    report = recomputed(settings, WAIT_SECONDS)
    return "" if report.equal else f"verify: {report.differing_windows} windows differ"
