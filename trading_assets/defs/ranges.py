"""What a user means by "from" and "to": months or days, of the history, and what follows from them for a run."""

from __future__ import annotations

import calendar
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from trading_assets.defs.fetching import FETCH_TAG, Fetch
from trading_assets.defs.partitions import (
    FIRST_DAY_TAG,
    LAST_DAY_TAG,
    MONTH_FORMAT,
    MONTHS,
    SETTINGS,
    partition_key,
    range_tags,
)
from trading_assets.errors import SettingsError


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days of the history, both inclusive.

    Attributes
    ----------
    first, last
        The days that are asked for.
    months_after
        How many months after them a run covers too, because what is computed there looks back on these days.
    """

    first: date
    last: date
    months_after: int = 0

    @classmethod
    def read(cls, start: str | None, end: str | None) -> DayRange:
        """Read ``YYYY-MM`` or ``YYYY-MM-DD``; an empty start or end is that of the history.

        Raises
        ------
        SettingsError
            If a text is neither, its month is not in the history, or the end is before the start.
        """
        months = MONTHS.get_partition_keys()
        if not months:
            raise SettingsError(f"the history begins in the future: {SETTINGS.history.start}", where="history.start")
        first, last = start or months[0], end or months[-1]
        begin, stop = _days(first)[0], _days(last)[1]
        for day in (begin, stop):
            if (month := day.strftime(MONTH_FORMAT)) not in months:
                raise SettingsError(
                    f"no month {month!r} in the settings", remedy=f"known: {months[0]} to {months[-1]} (`history`)"
                )
        if begin > stop:
            raise SettingsError(f"the range is empty: {first} is after {last}", remedy="give the earlier one first")
        return cls(begin, stop)

    @property
    def start(self) -> datetime:
        """The first instant."""
        return datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant after the last day."""
        return datetime(self.last.year, self.last.month, self.last.day, tzinfo=UTC) + timedelta(days=1)

    def followed_by(self, months: int) -> DayRange:
        """The same days, with so many months after them, as far as the history goes."""
        known = MONTHS.get_partition_keys()
        left = len(known) - 1 - known.index(self.last.strftime(MONTH_FORMAT))
        return replace(self, months_after=min(months, left))

    def months(self) -> list[tuple[str, datetime, datetime]]:
        """The months that the days touch: name, first instant, and the first instant after."""
        known = MONTHS.get_partition_keys()
        begin, stop = (known.index(day.strftime(MONTH_FORMAT)) for day in (self.first, self.last))
        ends = ((name, *_days(name)) for name in known[begin : stop + 1])
        return [(name, DayRange(first, last).start, DayRange(first, last).end) for name, first, last in ends]

    def without(self, months: Collection[str]) -> list[DayRange]:
        """What is left of the days without some months (``YYYY-MM``), as ranges without a gap.

        The last one keeps the months after, if its end is the end of the days.
        """
        found: list[DayRange] = []
        for left, group in groupby((name for name, *_ in self.months()), key=lambda month: month not in months):
            part = list(group)
            if left:
                first, last = max(self.first, _days(part[0])[0]), min(self.last, _days(part[-1])[1])
                found.append(DayRange(first, last, self.months_after if last == self.last else 0))
        return found

    def tags(self, market: str, fetch: Fetch) -> dict[str, str]:
        """The tags of a run of one market: its months, the days that it fetches, and what it asks for."""
        known = MONTHS.get_partition_keys()
        last = known[known.index(self.last.strftime(MONTH_FORMAT)) + self.months_after]
        keys = (partition_key(market, month) for month in (self.first.strftime(MONTH_FORMAT), last))
        tags = range_tags(*keys) | {"market": market}
        if self.first.day > 1:
            tags[FIRST_DAY_TAG] = self.first.isoformat()
        if self.last.day < _length(self.last) or self.months_after:
            tags[LAST_DAY_TAG] = self.last.isoformat()
        return tags if fetch is Fetch.REST else tags | {FETCH_TAG: fetch.value}


def _days(text: str) -> tuple[date, date]:
    """The first and the last day that a text means."""
    try:
        if len(text) == len("2025-03"):
            first = date.fromisoformat(f"{text}-01")
            return first, first.replace(day=_length(first))
        if len(text) == len("2025-03-01"):
            day = date.fromisoformat(text)
            return day, day
    except ValueError:
        pass
    raise SettingsError(
        f"{text!r} is not a month or a day", remedy="write YYYY-MM or YYYY-MM-DD, e.g. 2025-03 or 2025-03-14"
    )


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]
