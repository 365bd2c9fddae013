"""From a tape to an account at its start: filters, prices, and the funding that will come due."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.precision import fixed, step
from trading_assets.costs.funding import payments
from trading_assets.settings import Settings
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.filters import Filters
from trading_live.replay.orders.exchange.model import Bar, Due, Terms
from trading_live.replay.streams import finest
from trading_live.replay.tape import Instrument, Kline, Tape, epoch_ms


def terms_of(settings: Settings) -> Terms:
    """The terms that the settings say: costs as in the backtest, the node's balance, and the section ``replay``."""
    return Terms(
        balance=Decimal(str(settings.node.starting_balance)),
        costs=settings.trading.costs,
        volume_share=settings.replay.volume_share,
        latency_ms=settings.replay.latency_ms,
    )


def open_account(tape: Tape, terms: Terms) -> Exchange:
    """An account with nothing but its balance, at the start of a tape."""
    start_ms = epoch_ms(tape.start)
    instruments = tape.instruments.values()
    found = Exchange(
        terms,
        filters={one.symbol: filters_of(one) for one in instruments},
        markets={one.symbol: one.market for one in instruments},
        prices={one.symbol: _price(one, start_ms) for one in instruments},
        funding=sorted((due for one in instruments for due in _funding(one, tape, terms)), key=lambda due: due.at_ms),
        first_id=start_ms,
        start_ms=start_ms,
    )
    for one in instruments:
        newest = finest(one).closed(start_ms, start_ms=None, end_ms=None, limit=1)
        if newest:
            found.volumes[one.symbol] = bar_of(newest[0]).volume
    return found


def filters_of(one: Instrument) -> Filters:
    """Tick and lot of the candles."""
    tick, lot = (Decimal(fixed(step(places), places)) for places in (one.price_decimals, one.volume_decimals))
    return Filters(tick, lot)


def bar_of(kline: Kline) -> Bar:
    """A candle as it is matched."""
    first, high, low, last, volume = map(Decimal, kline.texts)
    return Bar(kline.symbol, kline.open_ms, kline.close_ms, first, high, low, last, volume)


def with_filters(info: dict[str, Any], found: Filters | None) -> dict[str, Any]:
    """One symbol of ``exchangeInfo`` with the filters that orders are checked by."""
    if found is None:  # of a tape that was shown later, where nothing is traded
        return info
    tick, lot = f"{found.tick:f}", f"{found.step:f}"
    up, down = f"{1 + found.band:f}", f"{1 - found.band:f}"
    sizes = {"stepSize": lot, "minQty": lot}
    return info | {
        "status": found.status,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick, "maxPrice": f"{found.max_price:f}"},
            {"filterType": "LOT_SIZE", "maxQty": f"{found.max_quantity:f}"} | sizes,
            {"filterType": "MARKET_LOT_SIZE", "maxQty": f"{found.market_max_quantity:f}"} | sizes,
            {"filterType": "MIN_NOTIONAL", "notional": f"{found.min_notional:f}"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": up, "multiplierDown": down, "multiplierDecimal": "4"},
        ],
    }


def _price(one: Instrument, now_ms: int) -> Decimal:
    series = finest(one)
    newest = series.closed(now_ms, start_ms=None, end_ms=None, limit=1)
    if not newest and not len(series.open_ms):
        return Decimal(1)  # a market without candles: nothing can be traded
    return bar_of(newest[0]).close if newest else bar_of(series.kline(0)).open


def _funding(one: Instrument, tape: Tape, terms: Terms) -> list[Due]:
    series = finest(one)
    opened = pl.from_epoch(pl.Series("ts", series.open_ms), "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    due = payments(
        one.market,
        one.funding.frame,
        pl.DataFrame({"ts": opened, "close": series.closes}),
        timeframe=series.interval,
        start=tape.start,
        end=tape.end,
        assumed_bps=terms.costs.assumed_funding_bps,
    )
    return [
        Due(epoch_ms(row["ts"]), one.symbol, Decimal(str(row["rate"])), Decimal(str(row["price"])), row["assumed"])
        for row in due.iter_rows(named=True)
    ]
