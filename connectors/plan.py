"""What traffic does, decided without a database: one seed and one starting point give one sequence of transactions.

Trips made in the run are named by a number of the plan, because Postgres gives them their key when it inserts them;
times are seconds before now, because now is when the statement runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class NewTrip:
    """A new trip made from a real one, `template`, which ends now and began `seconds` ago."""

    trip: int
    template: int
    seconds: int
    note: str | None


@dataclass(frozen=True, slots=True)
class Correction:
    """A later correction: cents added to fare and tip."""

    trip: int
    fare_cents: int
    tip_cents: int


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on a trip, in its note and in its extra document."""

    trip: int
    note: str
    reviewer: int


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A trip that is taken back: its row is deleted."""

    trip: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A vendor's name or activity changes."""

    vendor_id: int
    name: str
    active: bool


Change = NewTrip | Correction | Remark | Cancellation | Rename


@dataclass(frozen=True, slots=True)
class Transaction:
    """Changes that are committed together, or rolled back together."""

    changes: tuple[Change, ...]
    commits: bool


@dataclass(frozen=True)
class Start:
    """What a run begins with: keys of existing trips, vendors, and the number of real trips to make new ones from."""

    trips: tuple[int, ...]
    vendors: tuple[tuple[int, str], ...]
    templates: int


NEW_TRIP = -1
"""Trips of the run are numbered -1, -2, …, so that they never meet a key of the source."""
SIZES = (1, 2, 3, 5, 20)
SIZE_WEIGHTS = (50, 25, 15, 8, 2)
KINDS = ("new", "correction", "remark", "cancellation", "rename")
KIND_WEIGHTS = (600, 270, 60, 60, 10)
ROLLBACK_SHARE = 0.03
REMARKS = (
    "passenger left an umbrella",
    "Straße gesperrt, Umweg über die 9th Ave",
    "fare disputed, see receipt",
    "airport pick-up, terminal changed",
    "tip added later by card \U0001f695",
    "",
)
SUFFIXES = (" (New York)", " Holdings", " & Co.")
LONG_REMARK_SHARE = 0.05
LONG_REMARK_REPEATS = 120


def transactions(seed: int, start: Start) -> Iterator[Transaction]:
    """Endless transactions; what a rolled back one did is forgotten by the plan too."""
    random = Random(seed)
    trips = list(start.trips)
    number = NEW_TRIP
    while True:
        size = random.choices(SIZES, SIZE_WEIGHTS)[0]
        commits = random.random() >= ROLLBACK_SHARE
        left, changes = list(trips) if not commits else trips, []
        for _ in range(size):
            change = _change(random, left, start, number)
            number -= isinstance(change, NewTrip)
            changes.append(change)
        yield Transaction(tuple(changes), commits)


def _change(random: Random, trips: list[int], start: Start, number: int) -> Change:
    """Choose one change and bring `trips`, the keys that exist, up to date."""
    kind = random.choices(KINDS, KIND_WEIGHTS)[0]
    if kind == "rename" and start.vendors:
        return _rename(random, start.vendors)
    if kind in ("new", "rename") or not trips:
        note = _remark(random) if random.random() < 0.1 else None
        trips.append(number)
        return NewTrip(number, random.randrange(start.templates), random.randint(120, 3600), note)
    place = _recent(random, len(trips))
    trip = trips[place]
    if kind == "cancellation":
        trips[place] = trips[-1]
        trips.pop()
        return Cancellation(trip)
    if kind == "remark":
        return Remark(trip, _remark(random), random.randint(1, 40))
    return Correction(trip, random.choice((0, 50, 100, 250, -50)), random.choice((0, 100, 200, 325)))


def _rename(random: Random, vendors: Sequence[tuple[int, str]]) -> Rename:
    vendor_id, name = random.choice(vendors)
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return Rename(vendor_id, name + random.choice(("", *SUFFIXES)), random.random() > 0.1)


def _recent(random: Random, count: int) -> int:
    """A place in a list of trips, most often near its end: trips are corrected soon after they end."""
    return max(0, count - 1 - int(random.expovariate(1 / 500))) if random.random() < 0.8 else random.randrange(count)


def _remark(random: Random) -> str:
    text = random.choice(REMARKS)
    return (text + " ") * LONG_REMARK_REPEATS if random.random() < LONG_REMARK_SHARE else text
