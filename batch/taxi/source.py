"""Where TLC's months come from, `LAKE_TLC_SOURCE`: the sample that ships, a folder, or a URL template.

Which months a run is about:

- `--option months=2019-01,2019-02`: these, whatever was published before, and each must be there;
- a backfill: those that its interval touches, where the source has them;
- otherwise, of a folder: all; of a URL: from half a year before the run's end, or from the newest published month if
  that is earlier, to the run's end. TLC publishes about two months late and corrects soon after.

A URL is asked with the entity tag of what was published, so that an unchanged month is not even transferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from batch.job import Run
from batch.landing import Landed, land
from batch.taxi.download import download
from batch.taxi.months import Month, through
from catalog.errors import BatchError, ConfigurationError
from catalog.settings import SAMPLE, Settings

DATASET = "taxi"
FILE = re.compile(r"yellow_tripdata_(\d{4}-(?:0[1-9]|1[0-2]))\.parquet")
_HALF_A_YEAR = 6


class Source(Protocol):
    """Where months come from."""

    def months(self, published: Iterable[Month], end: datetime) -> list[Month]:
        """Those that a run without a wish of its own looks at, in order."""
        ...

    def land(self, settings: Settings, month: Month, known: Landed | None) -> Landed | None:
        """The month's file, landed, which is `known` when its bytes are; None where the source has no such month."""
        ...


@dataclass(frozen=True)
class Folder:
    """Files named as TLC names them; others are left alone."""

    path: Path

    def _files(self) -> dict[Month, Path]:
        return {Month.parse(found[1]): path for path in self.path.iterdir() if (found := FILE.fullmatch(path.name))}

    def months(self, published: Iterable[Month], end: datetime) -> list[Month]:
        """All there are."""
        return sorted(self._files())

    def land(self, settings: Settings, month: Month, known: Landed | None) -> Landed | None:
        """A copy of the file."""
        if (path := self._files().get(month)) is None:
            return None
        with path.open("rb") as content:
            return land(settings, DATASET, path.name, content, str(path))


@dataclass(frozen=True)
class Web:
    """A URL template with `{year}` and `{month:02d}`."""

    template: str

    def months(self, published: Iterable[Month], end: datetime) -> list[Month]:
        """The last half year, and what was missed before."""
        last = Month.of(end)
        return list(through(min([last.moved(-_HALF_A_YEAR), *sorted(published)[-1:]]), last))

    def land(self, settings: Settings, month: Month, known: Landed | None) -> Landed | None:
        """The file as the server has it now."""
        url = self.template.format(year=month.year, month=month.number)
        with download(url, known.etag if known and known.origin == url else None) as found:
            if found.absent:
                return None
            if found.content is None:
                return known
            return land(settings, DATASET, file_name(month), found.content, url, found.etag)


def file_name(month: Month) -> str:
    """TLC's name of a month's file, whatever the address it comes from looks like."""
    return f"yellow_tripdata_{month}.parquet"


def source_of(settings: Settings) -> Source:
    """The source that the settings name. Raises ConfigurationError."""
    text = settings.tlc_source
    if text.startswith(("http://", "https://")):
        try:
            different = text.format(year=2019, month=1) != text.format(year=2020, month=2)
        except (KeyError, IndexError, ValueError):
            different = False
        if not different:
            raise ConfigurationError(
                f"LAKE_TLC_SOURCE: {text} is no template", remedy="write the year as {year}, the month as {month:02d}"
            )
        return Web(text)
    path = SAMPLE / "tlc" if text == "sample" else Path(text).expanduser()
    if not path.is_dir():
        raise ConfigurationError(
            f"LAKE_TLC_SOURCE: {path} is no folder", remedy="`sample`, a folder, or a URL template"
        )
    return Folder(path)


def wanted_months(run: Run, source: Source, published: Iterable[Month]) -> list[Month]:
    """The months that this run looks at, in order. Raises BatchError for a backfill without an interval."""
    if asked := run.options.get("months"):
        return sorted({Month.parse(text) for text in asked.split(",")})
    if run.trigger != "backfill":
        return source.months(published, run.interval_end or datetime.now(UTC))
    if run.interval_start is None or run.interval_end is None:
        raise BatchError(f"run {run.id} is a backfill without an interval", remedy="give --start and --end")
    last = max(run.interval_start, run.interval_end - timedelta(microseconds=1))
    return list(through(Month.of(run.interval_start), Month.of(last)))


def land_months(
    settings: Settings, run: Run, published: Mapping[Month, Landed]
) -> tuple[dict[Month, Landed], list[Month]]:
    """The wanted months' files, landed, and the wanted months that the source lacks.

    Raises BatchError when a month that was asked for by name is not there.
    """
    source = source_of(settings)
    landed, absent = {}, []
    for month in wanted_months(run, source, published):
        found = source.land(settings, month, published.get(month))
        if found is None:
            absent.append(month)
        else:
            landed[month] = found
    if absent and run.options.get("months"):
        raise BatchError(
            f"{settings.tlc_source} has no {', '.join(map(str, absent))}", remedy="ask for months that it has"
        )
    return landed, absent
