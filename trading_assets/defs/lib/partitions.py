"""The partitions: market x month up to the labels, model from there on, and the windows that a run's keys mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final

import dagster as dg

from trading_assets.core.errors import SettingsError
from trading_assets.features import lookback_bars
from trading_assets.labels import lookback_bars as label_lookback
from trading_assets.settings import History, LabelSettings, Settings
from trading_assets.settings.days import MONTH_FORMAT, midnight
from trading_assets.settings.demand import asked_timeframes
from trading_assets.strategies import rules  # noqa: F401  (registered: a label set may name one)

PARTITION_TAG: Final = "dagster/partition"
RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
FIRST_DAY_TAG: Final = "first_day"
LAST_DAY_TAG: Final = "last_day"
"""Tags of a run that fetch only some days of its months (YYYY-MM-DD, both inclusive)."""
LAUNCHED_BY_TAG: Final = "launched_by"
"""The tag of a run inside a process that waits for it, as the command line does."""


ALL_PARTITIONS: Final = dg.AllPartitionMapping()
"""What a model reads of its markets: all of their months."""


def next_month(day: date) -> date:
    """The first day of the month after ``day``'s."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _months(history: History) -> dg.MonthlyPartitionsDefinition:
    end = history.end
    if end is not None and end.day != 1:
        end = next_month(end)
    return dg.MonthlyPartitionsDefinition(
        start_date=midnight(history.start.replace(day=1)),
        end_date=None if end is None else midnight(end),
        fmt=MONTH_FORMAT,
        end_offset=1,  # the current month exists and grows in place
    )


@dataclass(frozen=True)
class Partitions:
    """The partitions of a project: what a run does asks for those of the settings that it was given."""

    months: dg.MonthlyPartitionsDefinition
    market_months: dg.MultiPartitionsDefinition
    models: dg.StaticPartitionsDefinition

    @classmethod
    def of(cls, settings: Settings) -> Partitions:
        """Those that the settings of a project mean."""
        months = _months(settings.history)
        markets = dg.StaticPartitionsDefinition(list(settings.markets))
        return cls(
            months,
            dg.MultiPartitionsDefinition({"market": markets, "month": months}),
            dg.StaticPartitionsDefinition(list(settings.models)),
        )


def months_of(reach: timedelta) -> int:
    """How many months a reach may touch besides its own."""
    return -(-reach // timedelta(days=28))


def label_reach(labels: LabelSettings) -> timedelta:
    """How far apart may lie what a label set reads for one row: its look-back and its horizon."""
    return labels.horizon + label_lookback(labels) * labels.timeframe.length


def look_back_months(settings: Settings) -> int:
    """How many months after a change of candles features and labels look back on it."""
    return months_of(
        max(
            *(
                lookback_bars(timeframe, plugins=settings.plugged) * timeframe.length
                for timeframe in asked_timeframes(settings)
            ),
            *(label_reach(one) for one in settings.labels.values()),
        )
    )


def look_back(
    reach: timedelta,
    *,
    leader: str | None = None,
    markets: Collection[str] = (),
    beside: Mapping[str, str] = MappingProxyType({}),
) -> dg.MultiPartitionMapping:
    """A month needs as many months before it as ``reach`` may touch; those before the history do not exist.

    Parameters
    ----------
    reach
        How far back the oldest row lies that is read.
    leader
        A market that all others read beside themselves.
    markets
        All of them; only asked for with a leader, or with ``beside``.
    beside
        Market -> another one that it reads beside itself.
    """
    months = months_of(reach)
    across: dg.PartitionMapping = dg.IdentityPartitionMapping()
    if leader is not None or beside:
        readers: dict[str, list[str]] = {market: [market] for market in markets}
        if leader is not None:
            readers[leader] = list(markets)
        for market, other in beside.items():
            readers[other] = list(dict.fromkeys((*readers[other], market)))
        across = dg.StaticPartitionMapping({**readers})
    return dg.MultiPartitionMapping(
        {
            "market": dg.DimensionPartitionMapping("market", across),
            "month": dg.DimensionPartitionMapping(
                "month", dg.TimeWindowPartitionMapping(start_offset=-months, allow_nonexistent_upstream_partitions=True)
            ),
        }
    )


@dataclass(frozen=True, slots=True)
class Month:
    """One partition key and the part of the history that it covers."""

    key: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Contiguous months of one market, which a run treats as one piece."""

    market: str
    months: tuple[Month, ...]

    @property
    def start(self) -> datetime:
        """The first instant, inclusive."""
        return self.months[0].start

    @property
    def end(self) -> datetime:
        """The last instant, exclusive."""
        return self.months[-1].end

    @property
    def keys(self) -> tuple[str, ...]:
        """The partition keys."""
        return tuple(month.key for month in self.months)


def partition_key(market: str, month: str) -> dg.MultiPartitionKey:
    """The key of a market's month, e.g. ``binance:BTC/USDT|2025-01``."""
    return dg.MultiPartitionKey({"market": market, "month": month})


def _month(key: str, name: str, settings: Settings) -> Month:
    first = datetime.strptime(name, MONTH_FORMAT).replace(tzinfo=UTC)
    start = max(first, settings.history_start)
    end = midnight(next_month(first.date()))
    last = settings.history_end
    return Month(key, start, end if last is None else min(end, last))


def windows(keys: Iterable[str], settings: Settings) -> list[Window]:
    """Group partition keys by market into ranges of contiguous months.

    Parameters
    ----------
    keys
        Keys ``market|month`` in any order.
    settings
        ``history`` cuts the first and the last month.

    Returns
    -------
    list of Window
        Sorted by market, then time; months that follow each other share a window.
    """
    by_market: dict[str, list[Month]] = {}
    for key in sorted(set(keys)):
        market, name = key.rsplit("|", 1)
        by_market.setdefault(market, []).append(_month(key, name, settings))
    found = []
    for market, months in by_market.items():
        group: list[Month] = []
        for month in months:
            if group and group[-1].end != month.start:
                found.append(Window(market, tuple(group)))
                group = []
            group.append(month)
        found.append(Window(market, tuple(group)))
    return found


def cut_to_days(found: Iterable[Window], tags: Mapping[str, str]) -> list[Window]:
    """The parts of windows that a run's tags ``first_day`` and ``last_day`` leave; all of them where it has none.

    Raises
    ------
    SettingsError
        If a tag is no date.
    """
    first, last = (_day(tags[tag], tag) if tag in tags else None for tag in (FIRST_DAY_TAG, LAST_DAY_TAG))
    kept = []
    for window in found:
        months = [
            Month(
                month.key,
                month.start if first is None else max(month.start, first),
                month.end if last is None else min(month.end, last + timedelta(days=1)),
            )
            for month in window.months
        ]
        if left := tuple(month for month in months if month.start < month.end):
            kept.append(Window(window.market, left))
    return kept


def _day(text: str, tag: str) -> datetime:
    try:
        return midnight(date.fromisoformat(text))
    except ValueError:
        raise SettingsError(f"{text!r} is not a day", where=f"tag {tag}", remedy="write YYYY-MM-DD") from None


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags that make one run cover all partitions between two keys: of each market between, the months between."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def keys_of_run(tags: Mapping[str, str], partitions: dg.PartitionsDefinition[str]) -> Sequence[str]:
    """The partition keys that a run covers by its tags; all keys where it has none (a check run on its own)."""
    if RANGE_START_TAG in tags:
        bounds = dg.PartitionKeyRange(tags[RANGE_START_TAG], tags[RANGE_END_TAG])
        return partitions.get_partition_keys_in_range(bounds)
    if PARTITION_TAG in tags:
        return [tags[PARTITION_TAG]]
    return partitions.get_partition_keys()
