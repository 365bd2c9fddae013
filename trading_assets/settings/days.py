"""What a user means by "from" and "to": months or days, of the history."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Final

from trading_assets.core.errors import SettingsError
from trading_assets.settings.sections.data import History

MONTH_FORMAT: Final = "%Y-%m"


def months_of_history(history: History, today: date | None = None) -> list[str]:
    """The months (``YYYY-MM``) that the history touches, up to the present one; today is UTC's."""
    last = today or datetime.now(UTC).date()
    if history.end is not None:
        last = min(last, history.end - timedelta(days=1))
    begin, stop = (day.year * 12 + day.month - 1 for day in (history.start, last))
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(begin, stop + 1)]


def read_days(history: History, start: str | None, end: str | None) -> tuple[date, date]:
    """Read ``YYYY-MM`` or ``YYYY-MM-DD``, both inclusive; an empty start or end is that of the history.

    Raises
    ------
    SettingsError
        If a text is neither, its month is not in the history, or the end is before the start.
    """
    months = months_of_history(history)
    if not months:
        raise SettingsError(f"the history begins in the future: {history.start}", where="history.start")
    first, last = start or months[0], end or months[-1]
    begin, stop = days_meant(first)[0], days_meant(last)[1]
    for day in (begin, stop):
        if (month := day.strftime(MONTH_FORMAT)) not in months:
            raise SettingsError(
                f"no month {month!r} in the settings", remedy=f"known: {months[0]} to {months[-1]} (`history`)"
            )
    if begin > stop:
        raise SettingsError(f"the range is empty: {first} is after {last}", remedy="give the earlier one first")
    return begin, stop


def days_meant(text: str) -> tuple[date, date]:
    """The first and the last day that a text means."""
    try:
        if len(text) == len("2025-03"):
            first = date.fromisoformat(f"{text}-01")
            return first, first.replace(day=length_of_month(first))
        if len(text) == len("2025-03-01"):
            day = date.fromisoformat(text)
            return day, day
    except ValueError:
        pass
    raise SettingsError(
        f"{text!r} is not a month or a day", remedy="write YYYY-MM or YYYY-MM-DD, e.g. 2025-03 or 2025-03-14"
    )


def midnight(day: date) -> datetime:
    """The day's first instant, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def length_of_month(day: date) -> int:
    """How many days the day's month has."""
    return calendar.monthrange(day.year, day.month)[1]
