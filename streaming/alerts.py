"""`realtime.alerts`: which alerts are open is what the table says, so each is raised once, also across a crash.

An alert's row is committed before anybody is told of it. The log tells it then; the webhook is asked until it takes it,
for an hour, and the row says when it did. Only a crash between its answer and that commit tells it twice, under the
same `Idempotency-Key`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from catalog.positions import Position
from catalog.tables.realtime import AlertRule
from streaming.daily import DailyTable
from streaming.webhook import Webhook

log = structlog.get_logger()

_TOLD_WITHIN = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAND_SECONDS = 60.0
Key = tuple[str, str]


@dataclass(frozen=True)
class Finding:
    """A value that reached the threshold of a rule."""

    rule: str
    subject: str
    value: float
    threshold: float

    @property
    def key(self) -> Key:
        """What it is about; of one such at most one alert is open."""
        return self.rule, self.subject


@dataclass(frozen=True)
class Alert(Finding):
    """A row of the table."""

    raised_at: datetime
    cleared_at: datetime | None = None
    notified_at: datetime | None = None

    @property
    def identity(self) -> str:
        """Names this alert and no other."""
        return f"{self.rule}/{self.subject}/{(self.raised_at - _EPOCH) // timedelta(microseconds=1)}"

    @property
    def day(self) -> int:
        """Its day, counted from 1970."""
        return (self.raised_at - _EPOCH).days


@dataclass(frozen=True)
class Looked:
    """What a look found: what is to be raised unless it is open, and what is over if it is."""

    found: tuple[Finding, ...] = ()
    over: frozenset[Key] = frozenset()


def look(rule: AlertRule, values: Mapping[str, float], open_alerts: Iterable[Key]) -> Looked:
    """A rule applied to the present value of each subject; one that has none any more is over."""
    found = [Finding(rule.name, subject, v, rule.threshold) for subject, v in values.items() if v >= rule.threshold]
    over = [key for key in open_alerts if key[0] == rule.name and values.get(key[1], -1.0) < rule.over_below]
    return Looked(tuple(found), frozenset(over))


class Alerts:
    """The table, and the alerts of it that still move: those that are open, and those still to be told."""

    def __init__(self, table: DailyTable, webhook: Webhook | None) -> None:
        self.table, self._webhook = table, webhook
        self._moving: dict[str, Alert] = {}
        self._stood_at = _EPOCH

    def load(self) -> None:
        """Read the alerts that still move."""
        self.table.load()
        now, moving = datetime.now(UTC), list[Alert]()
        for day in self.table.files:
            rows = self.table.rows(day)
            moves = pc.or_(pc.is_null(rows["cleared_at"]), pc.greater(rows["raised_at"], now - _TOLD_WITHIN))
            moving += [Alert(**row) for row in rows.filter(moves).to_pylist()]
        self._moving = {alert.identity: alert for alert in moving}
        self._settle(now)

    @property
    def open(self) -> dict[Key, Alert]:
        """The open alerts."""
        return {alert.key: alert for alert in self._moving.values() if alert.cleared_at is None}

    def apply(self, looks: Iterable[Looked], position: Position, now: datetime) -> None:
        """Raise, clear and note what was told, in one commit; a position alone is committed now and then.

        Raises FencedError, ComponentError.
        """
        changed, held = dict[str, Alert](), self.open
        for each in looks:
            fresh = {found.key: Alert(**asdict(found), raised_at=now) for found in each.found if found.key not in held}
            over = [replace(held[key], cleared_at=now) for key in each.over if key in held]
            changed |= {alert.identity: alert for alert in [*fresh.values(), *over]}
        news = list(changed.values())
        for identity in self._webhook.taken() if self._webhook else ():
            alert = changed.get(identity) or self._moving.get(identity)
            if alert is not None:
                changed[identity] = replace(alert, notified_at=now)
        is_due = (now - self._stood_at).total_seconds() > _STAND_SECONDS and position != self.table.position
        if changed or is_due:
            self._write(changed, position)
            self._stood_at = now
        for alert in news:
            say = log.warning if alert.cleared_at is None else log.info
            shown = {name: value for name, value in asdict(alert).items() if name in ("rule", "value", "threshold")}
            say("alert raised" if alert.cleared_at is None else "alert over", subject=alert.subject, **shown)
        self._moving |= changed
        self._settle(now)

    def _write(self, changed: Mapping[str, Alert], position: Position) -> None:
        names, days = pa.array(list(changed), pa.string()), dict[int, pa.Table]()
        for day in {alert.day for alert in changed.values()}:
            rows = self.table.rows(day)
            as_they_were = rows.filter(pc.invert(pc.is_in(_identities(rows), names)))
            new = [asdict(alert) for alert in changed.values() if alert.day == day]
            together = pa.concat_tables([as_they_were, pa.Table.from_pylist(new, rows.schema)])
            days[day] = together.sort_by([(name, "ascending") for name in ("raised_at", "rule", "subject")])
        self.table.replace(self.table.write(days), position)

    def _settle(self, now: datetime) -> None:
        """Let go of what does not move any more, and ask the webhook for the rest."""
        untold = {
            identity: alert
            for identity, alert in self._moving.items()
            if self._webhook is not None and alert.notified_at is None and now - alert.raised_at < _TOLD_WITHIN
        }
        self._moving = untold | {alert.identity: alert for alert in self.open.values()}
        for alert in untold.values():
            if self._webhook is not None:
                self._webhook.ask(alert.identity, asdict(alert))


def _identities(rows: pa.Table) -> pa.ChunkedArray:
    """`Alert.identity` of each row."""
    parts = (rows["rule"], rows["subject"], rows["raised_at"].cast(pa.int64()))
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), "/")
