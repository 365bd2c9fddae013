"""The gates of the candles: ``trading_assets/quality`` says what each catches, the settings how severe it is.

The checks belong to the asset, not to a partition: they look at every month of the run and name the bad ones. Each
market's window is read once for all of them.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import dagster as dg
import polars as pl

from trading_assets.core.clock import Clock
from trading_assets.defs.lib.check_results import selected, verdict, windows_of_run
from trading_assets.defs.lib.check_states import Judged, remember
from trading_assets.defs.lib.partitions import Window, windows
from trading_assets.quality import CANDLE_CHECKS, MARGIN, Finding, Stretch, inspect
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES


def candle_gates(settings: Settings) -> dg.AssetChecksDefinition:
    """The gates that a project's settings switch on, as severe as they say."""
    return dg.multi_asset_check(
        name="candle_checks",
        specs=[
            dg.AssetCheckSpec(
                name,
                asset=CANDLES.name,
                description=check.text,
                blocking=settings.quality.severity(name)
                == "block",  # automation waits for every blocking check, warning or not
            )
            for name, check in CANDLE_CHECKS.items()
            if settings.quality.severity(name) != "off"
        ],
        can_subset=True,
    )(candle_checks)


def candle_checks(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.AssetCheckResult]:
    """Everything that is wrong with the candles of the run's months, market by market."""
    names = selected(context)
    found: dict[str, list[tuple[Window, Finding]]] = {name: [] for name in names}
    now = clock()
    for window in windows_of_run(context, settings, store, CANDLES.name):
        for name, finding in inspect(_stretch(store, window, settings, now), settings.quality, names).items():
            found[name].append((window, finding))
    judged = {name: _judged(found[name]) for name in names}
    others = remember(store, context, CANDLES.name, judged, known=settings.markets)
    for name in names:
        yield _result(name, judged[name], found[name], others[name], settings)


def _stretch(store: Store, window: Window, settings: Settings, now: datetime) -> Stretch:
    market = settings.markets[window.market]
    where = {"market": window.market, "timeframe": market.timeframe}
    span = store.bounds(CANDLES, where=where)
    second = None
    if market.second_exchange is not None and settings.quality.severity("second_exchange") != "off":
        other = where | {"market": market.second_exchange}
        second = store.read(CANDLES, where=other, start=window.start, end=window.end, columns=["ts", "close"])
    (whole,) = windows(window.keys, settings)
    cut = (whole.start, whole.end) != (window.start, window.end)
    stored = store.read(CANDLES, where=where, start=whole.start, end=whole.end, columns=["ts"])["ts"] if cut else None
    return Stretch(
        market=window.market,
        timeframe=market.timeframe,
        candles=store.read(CANDLES, where=where, start=window.start - MARGIN, end=window.end + MARGIN),
        months=tuple((month.start, month.end) for month in window.months),
        listed=span[0] if span else window.start,
        now=now,
        ledger=store.read(CANDLE_GAPS, where=where),
        whole=tuple((month.start, month.end) for month in whole.months),
        stored=stored,
        second=second,
        second_name=market.second_exchange or "",
        events=tuple(event.at for event in market.events),
    )


def _judged(found: list[tuple[Window, Finding]]) -> list[Judged]:
    return [
        Judged(month.key, of_this.summary() if of_this.rows.height else "", month)
        for window, finding in found
        for month in window.months
        for of_this in (finding.within(month.start, month.end),)
    ]


def _result(
    name: str,
    judged: list[Judged],
    found: list[tuple[Window, Finding]],
    others: Mapping[str, str],
    settings: Settings,
) -> dg.AssetCheckResult:
    check, severity = CANDLE_CHECKS[name], settings.quality.severity(name)
    rows = [
        finding.rows.head(10).select(pl.lit(window.market).alias("market"), pl.all())
        for window, finding in found
        if not finding.passed
    ]
    said = [finding.good if len(found) == 1 else f"{window.market}: {finding.good}" for window, finding in found]
    advice = dict.fromkeys(finding.advice or check.remedy for _, finding in found if not finding.passed)
    return verdict(
        CANDLES.name,
        name,
        judged,
        pl.concat(rows, how="diagonal") if rows else pl.DataFrame(),
        others=others if severity != "off" else {},
        good="; ".join(said) if severity != "off" else "switched off in the settings",
        bad="; ".join(advice) or check.remedy,
        severity=dg.AssetCheckSeverity.ERROR if severity == "block" else dg.AssetCheckSeverity.WARN,
    )
