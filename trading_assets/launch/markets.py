"""Runs of market data: a range of days per market, exchanges side by side, and repairs of what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

from trading_assets.core.errors import StoreError
from trading_assets.defs.lib.other_months import unfetched
from trading_assets.defs.lib.partitions import Month, look_back_months
from trading_assets.defs.lib.progress import Listener, ask_fetches_to_stop, let_fetches_go_on
from trading_assets.defs.market_data.fetching import Fetch, exchange_of
from trading_assets.defs.market_data.ranges import DayRange
from trading_assets.launch.instance import open_instance
from trading_assets.launch.runs import LaunchResult, run
from trading_assets.launch.side_by_side import side_by_side
from trading_assets.launch.stopping import cancel_left
from trading_assets.settings import FilesSource, Settings
from trading_assets.settings.demand import read_beside
from trading_assets.settings.names import check_known
from trading_assets.sources.gaps.gap_report import gaps_of
from trading_assets.sources.gaps.repair import pending
from trading_assets.store import configured_store
from trading_assets.store.tables import CANDLES, FEATURES


def materialize_markets(
    settings: Settings,
    markets: Sequence[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    on_event: Listener | None = None,
    *,
    again: bool = False,
) -> Iterator[LaunchResult]:
    """Candles through labels: one run per market with all days of the range; yields each run as it ends.

    The leader (`features.leader`) runs first, since the features of all others read its bars. Markets of different
    exchanges run side by side, those of one exchange one after the other. Months that look back on the range and have
    candles already are computed again, and so are the features of markets that the leader leads; nothing is fetched for
    them.

    Parameters
    ----------
    markets
        Empty means all.
    start, end
        Months or days, e.g. ``2025-01`` or ``2025-01-31``, both inclusive; empty means the whole history.
    on_event
        Called for each step, materialization, check and log line, and with the progress of the fetch; from several
        threads where several exchanges are asked.
    again
        Fetch also what is stored.

    Raises
    ------
    SettingsError
        For an unknown market or month, or an empty range.
    """
    days, fetch = DayRange.read(settings.history, start, end), Fetch.ALL if again else Fetch.REST
    ranges = {market: _with_what_looks_back(settings, market, days) for market in _wanted(settings, markets)}
    led = [market for market in _led(settings) if market not in ranges]
    yield from _runs(settings, ranges, led, fetch, on_event)


def repair_gaps(
    settings: Settings,
    markets: Sequence[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    on_event: Listener | None = None,
    *,
    again: bool = False,
) -> Iterator[LaunchResult]:
    """Fetch what is missing between stored candles, classify what stays missing, and compute anew what rests on it.

    One run per market that has gaps to look into: of the days from the first to the last of them, and of the months
    after these that look back on them. Parameters and errors are those of :func:`materialize_markets`; ``again`` also
    asks for gaps whose reason is settled.
    """
    days, fetch = DayRange.read(settings.history, start, end), Fetch.GAPS_AGAIN if again else Fetch.GAPS
    ranges = {}
    for market in _wanted(settings, markets):
        gaps = gaps_of(settings, market, days.start, days.end, to_month_end=start is not None or end is not None)
        recorded = isinstance(settings.sources[settings.markets[market].source], FilesSource)
        asked = gaps.filter(pending(gaps, again=again or recorded))
        if asked.is_empty():
            continue
        first: datetime = asked["ts"][0]
        last: datetime = asked["end"][-1] - timedelta(microseconds=1)
        within = replace(days, first=max(days.first, first.date()), last=min(days.last, last.date()))
        ranges[market] = _with_what_looks_back(settings, market, within)
    yield from _runs(settings, ranges, _led(settings), fetch, on_event)


def _wanted(settings: Settings, markets: Sequence[str] | None) -> list[str]:
    for market in markets or ():
        check_known(market, settings.markets, "market")
    return list(markets or settings.markets)


def _with_what_looks_back(settings: Settings, market: str, days: DayRange) -> DayRange:
    """The days, and the months after them whose features and labels look back on them, where candles are stored."""
    where = {"market": market, "timeframe": settings.markets[market].timeframe}
    try:
        stored = configured_store(settings).bounds(CANDLES, where=where)
    except StoreError:
        return days  # the run says what is wrong, and the UI shows it
    month_end = datetime(days.last.year, days.last.month, 1, tzinfo=UTC) + timedelta(days=32)
    follows = stored is not None and stored[1] >= month_end.replace(day=1)
    return days.followed_by(look_back_months(settings)) if follows else days


def _runs(
    settings: Settings,
    ranges: Mapping[str, DayRange],
    led: Sequence[str],
    fetch: Fetch,
    on_event: Listener | None,
) -> Iterator[LaunchResult]:
    """One run per market, the leader's before the others; after them the features of markets that it leads.

    Parameters
    ----------
    ranges
        Market -> the days of its run.
    led
        The markets whose stored features must be computed again where the leader is among the markets.
    """
    let_fetches_go_on()
    works = {market: partial(_market_runs, settings, market, days, fetch, on_event) for market, days in ranges.items()}
    leader = settings.features.leader
    try:
        for first in read_beside(settings):
            if first in works:
                yield from works.pop(first)()
        ended = side_by_side(works, group=lambda market: exchange_of(settings, market), stop=ask_fetches_to_stop)
        yield from chain.from_iterable(ended)
    except KeyboardInterrupt:
        cancel_left(open_instance(settings))
        raise
    if leader is not None and leader in ranges:
        tags = {market: ranges[leader].tags(market, fetch) for market in led if _has_features(settings, market)}
        for market, months in tags.items():
            yield run(settings, "recompute_features", market, tags=months, on_event=on_event)


def _led(settings: Settings) -> list[str]:
    """The markets whose features read the leader's bars."""
    leader = settings.features.leader
    return [] if leader is None else [market for market in settings.markets if market != leader]


def _has_features(settings: Settings, market: str) -> bool:
    return configured_store(settings).bounds(FEATURES, where={"market": market}) is not None


def _market_runs(
    settings: Settings, market: str, days: DayRange, fetch: Fetch, on_event: Listener | None
) -> list[LaunchResult]:
    """One run of all days; where months of it are bad, runs of the others after it, which fetch nothing more."""
    whole = _market_run(settings, market, days, fetch, on_event)
    bad = {key.rsplit("|", 1)[1] for key in whole.blocked} or _unfinished(settings, whole, days)
    others = days.without(bad) if bad & {month for month, *_ in days.months()} else []
    return [whole, *(_market_run(settings, market, part, Fetch.REST, on_event) for part in others)]


def _market_run(
    settings: Settings, market: str, days: DayRange, fetch: Fetch, on_event: Listener | None
) -> LaunchResult:
    return run(settings, "market_data", market, tags=days.tags(market, fetch), on_event=on_event)


def _unfinished(settings: Settings, result: LaunchResult, days: DayRange) -> set[str]:
    """The months that a failed fetch has left unfinished; none where it was not the fetch that failed."""
    if CANDLES.name not in result.failures:
        return set()
    return unfetched(settings, result.subject, [Month(*month) for month in days.months()])
