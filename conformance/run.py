"""All situations at once: their statements, one wait, then what another engine than the writer finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.settings import Settings
from catalog.source import NAMESPACE
from catalog.tables.cdc import QUARANTINE
from catalog.verification import TableReport, verify
from conformance.scene import WAIT_SECONDS, Ask, Scene
from conformance.situation import Situation, first_difference

Say = Callable[[str], None]


@dataclass
class Finding:
    """What was found of one situation; `wrong` says what is not as expected, empty when all is."""

    name: str
    expected: str
    found: str = ""
    wrong: str = ""

    def as_json(self) -> dict[str, Any]:
        """Its fields, and the verdict."""
        return {**asdict(self), "as_expected": not self.wrong}


@dataclass
class _Seen:
    """What was seen of a table on the way."""

    stopped_for: str = ""
    report: TableReport | None = None


def run(settings: Settings, situations: Sequence[Situation], say: Say = lambda _: None) -> list[Finding]:
    """Play the situations on the running stack and judge each; their tables are gone afterwards.

    Raises LakehouseError when the stack does not do its part, such as joining the tables.
    """
    scene = Scene(settings, situations)
    seen = {situation.name: _Seen() for situation in situations}
    try:
        say(f"joining {len(situations)} tables")
        scene.set_up()
        say("while the stream runs")
        for situation in situations:
            scene.execute(situation, situation.steps)
        _await_stops(scene, [s for s in situations if s.stops and not s.down], seen)
        if down := [situation for situation in situations if situation.down]:
            say("while the stream is down")
            _settle(scene, down, seen)
            with scene.without_the_stream():
                for situation in down:
                    scene.execute(situation, situation.down)
            _await_stops(scene, [situation for situation in down if situation.stops], seen)
        stopped = [situation for situation in situations if seen[situation.name].stopped_for]
        amid = [situation for situation in situations if situation.during]
        if stopped or amid:
            say("after a resync")
            scene.resync(stopped, amid)
        say("comparing")
        _settle(scene, situations, seen)
        with scene.lake() as ask:
            return [_judged(scene, situation, seen[situation.name], ask) for situation in situations]
    finally:
        scene.tear_down()


def _await_stops(scene: Scene, situations: Iterable[Situation], seen: dict[str, _Seen]) -> None:
    for situation in situations:
        seen[situation.name].stopped_for = scene.until_stopped(situation)


def _settle(scene: Scene, situations: Sequence[Situation], seen: dict[str, _Seen]) -> None:
    """Wait until the tables hold all that was done, and compare them with Postgres.

    Where records must be set aside the two differ, and a comparison would raise an alert.
    """
    for situation in [each for each in situations if each.set_aside]:
        scene.until_set_aside(situation)
    running = {scene.name(s): s for s in situations if not s.refused and not s.set_aside}
    running = {name: s for name, s in running.items() if scene.state(s).get("state") != "stopped"}
    if running:
        for report in verify(scene.settings, list(running), timeout=WAIT_SECONDS, kept=False).tables:
            seen[running[report.table].name].report = report


def _judged(scene: Scene, situation: Situation, seen: _Seen, ask: Ask) -> Finding:
    finding = Finding(situation.name, situation.expected)
    state = scene.state(situation)
    if situation.refused:
        finding.found = f"{state.get('state')}: {state.get('reason')}"
        finding.wrong = "" if situation.refused in finding.found else finding.found
        return finding
    checks = [
        "" if situation.stops in seen.stopped_for else f"stopped for: {seen.stopped_for or 'nothing'}",
        "" if state.get("state") == "running" else f"{state.get('state')}: {state.get('reason')}",
        _as_verified(situation, seen.report),
        *(_compared(scene, situation, finding, ask) if seen.report or situation.set_aside else ()),
    ]
    finding.wrong = "; ".join(filter(None, checks))
    return finding


def _as_verified(situation: Situation, report: TableReport | None) -> str:
    if situation.set_aside:
        return ""
    if report is None:
        return "it was never compared"
    if report.equal:
        return ""
    if report.unverified:
        return f"not comparable: {report.unverified}"
    shown = [difference.as_json() for difference in report.differences[:1]] or report.changelog_keys[:1]
    return f"{report.differing_rows} rows and {report.changelog_differing_rows} of the changelog differ: {shown}"


def _compared(scene: Scene, situation: Situation, finding: Finding, ask: Ask) -> list[str]:
    source = scene.source(situation)
    mirror, changelog = (f'iceberg.{NAMESPACE}."{name.split(".")[1]}"' for name in (source.mirror, source.changelog))
    rows = ask(f"select {situation.select} from {mirror} order by {situation.order}")
    events = ask(f"select op from {changelog} where topic_offset is not null order by topic_offset")
    ops = "".join(op for (op,) in events)
    topic = source.topic(scene.settings.topic_prefix)
    aside = ask(f"select reason from iceberg.{QUARANTINE} where topic = '{topic}' order by topic_offset")
    finding.found = f"{len(rows):,} rows, {len(ops):,} events, {len(aside)} set aside"
    return [
        first_difference(rows, situation.rows),
        "" if situation.ops in (None, ops) else f"events {ops}, not {situation.ops}",
        *(_reasons([reason for (reason,) in aside], situation.set_aside)),
        *(_on_both_sides(changelog, ask) if situation.during else ()),
    ]


def _on_both_sides(changelog: str, ask: Ask) -> list[str]:
    """Of what was changed during a copy, it must have seen some and not seen some."""
    seen = ask(f"select distinct generation from {changelog} where topic_offset is not null")
    return [] if len(seen) == 2 else ["the changes did not fall on both sides of the copy"]


def _reasons(found: Sequence[str], expected: Sequence[str]) -> list[str]:
    if len(found) != len(expected):
        return [f"{len(found)} records set aside, not {len(expected)}: {found[:1]}"]
    return [f"set aside for: {mine}" for mine, part in zip(found, expected, strict=True) if part not in mine]
