"""The check of the funding rates: whether payments are missing between those that are stored."""

import dagster as dg
import polars as pl

from trading_assets.core.clock import Clock
from trading_assets.defs.lib.check_results import verdict, windows_of_run
from trading_assets.defs.lib.check_states import Judged, remember
from trading_assets.quality import MARGIN, funding_gaps
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import FUNDING_RATES

_NAME = "funding_gaps"


def funding_gate(settings: Settings) -> dg.AssetChecksDefinition:
    """The gate, as severe as a project's settings say."""
    return dg.asset_check(
        name=_NAME,
        asset=FUNDING_RATES.name,
        blocking=settings.quality.severity(_NAME) == "block",
        description="No time between two payments is longer than those before and after it, or than eight hours.",
    )(funding_gaps_check)


def funding_gaps_check(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[Store],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Look for payments that are missing from a market's first stored one on."""
    now, severity = clock(), settings.quality.severity(_NAME)
    judged, rows = [], []
    for window in windows_of_run(context, settings, store, FUNDING_RATES.name) if severity != "off" else []:
        if not settings.has_funding(window.market):
            continue
        where = {"market": window.market}
        span = store.bounds(FUNDING_RATES, where=where)
        first = min(max(window.start, span[0]), window.end) if span else window.start
        times = store.read(
            FUNDING_RATES, where=where, start=window.start - MARGIN, end=window.end + MARGIN, columns=["ts"]
        )["ts"]
        found = funding_gaps(times, start=first, end=window.end, now=now)
        rows.append(found.rows.head(10).select(pl.lit(window.market).alias("market"), pl.all()))
        judged += [Judged(month.key, found.within(month.start, month.end).summary(), month) for month in window.months]
    others = remember(store, context, FUNDING_RATES.name, {_NAME: judged}, known=settings.markets)
    return verdict(
        FUNDING_RATES.name,
        _NAME,
        judged,
        pl.concat(rows, how="diagonal") if rows else pl.DataFrame(),
        others=others[_NAME] if severity != "off" else {},
        good="no payment is missing" if severity != "off" else "switched off in the settings",
        bad="materialize the month again, or name another source under the market's `funding`; features see the last "
        "payment for a day, then null",
        severity=dg.AssetCheckSeverity.ERROR if severity == "block" else dg.AssetCheckSeverity.WARN,
    )
