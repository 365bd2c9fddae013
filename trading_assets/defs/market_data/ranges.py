"""What a user means by "from" and "to": months or days, of the history, and what follows from them for a run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

from trading_assets.defs.lib.partitions import FIRST_DAY_TAG, LAST_DAY_TAG, partition_key, range_tags
from trading_assets.defs.market_data.fetching import FETCH_TAG, Fetch
from trading_assets.settings import History
from trading_assets.settings.days import (
    MONTH_FORMAT,
    days_meant,
    length_of_month,
    midnight,
    months_of_history,
    read_days,
)


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days of the history, both inclusive.

    Attributes
    ----------
    history
        The history of the project that they belong to.
    first, last
        The days that are asked for.
    months_after
        How many months after them a run covers too, because what is computed there looks back on these days.
    """

    history: History
    first: date
    last: date
    months_after: int = 0

    @classmethod
    def read(cls, history: History, start: str | None, end: str | None) -> DayRange:
        """Read ``YYYY-MM`` or ``YYYY-MM-DD``; an empty start or end is that of the history.

        Raises
        ------
        SettingsError
            If a text is neither, its month is not in the history, or the end is before the start.
        """
        return cls(history, *read_days(history, start, end))

    @property
    def start(self) -> datetime:
        """The first instant."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """The first instant after the last day."""
        return midnight(self.last + timedelta(days=1))

    def followed_by(self, months: int) -> DayRange:
        """The same days, with so many months after them, as far as the history goes."""
        known = months_of_history(self.history)
        left = len(known) - 1 - known.index(self.last.strftime(MONTH_FORMAT))
        return replace(self, months_after=min(months, left))

    def months(self) -> list[tuple[str, datetime, datetime]]:
        """The months that the days touch: name, first instant, and the first instant after."""
        known = months_of_history(self.history)
        begin, stop = (known.index(day.strftime(MONTH_FORMAT)) for day in (self.first, self.last))
        ends = ((name, *days_meant(name)) for name in known[begin : stop + 1])
        return [(name, midnight(first), midnight(last + timedelta(days=1))) for name, first, last in ends]

    def without(self, months: Collection[str]) -> list[DayRange]:
        """What is left of the days without some months (``YYYY-MM``), as ranges without a gap.

        The last one keeps the months after, if its end is the end of the days.
        """
        found: list[DayRange] = []
        for left, group in groupby((name for name, *_ in self.months()), key=lambda month: month not in months):
            part = list(group)
            if left:
                first, last = max(self.first, days_meant(part[0])[0]), min(self.last, days_meant(part[-1])[1])
                found.append(DayRange(self.history, first, last, self.months_after if last == self.last else 0))
        return found

    def tags(self, market: str, fetch: Fetch) -> dict[str, str]:
        """The tags of a run of one market: its months, the days that it fetches, and what it asks for."""
        known = months_of_history(self.history)
        last = known[known.index(self.last.strftime(MONTH_FORMAT)) + self.months_after]
        keys = (partition_key(market, month) for month in (self.first.strftime(MONTH_FORMAT), last))
        tags = range_tags(*keys) | {"market": market}
        if self.first.day > 1:
            tags[FIRST_DAY_TAG] = self.first.isoformat()
        if self.last.day < length_of_month(self.last) or self.months_after:
            tags[LAST_DAY_TAG] = self.last.isoformat()
        return tags if fetch is Fetch.REST else tags | {FETCH_TAG: fetch.value}
