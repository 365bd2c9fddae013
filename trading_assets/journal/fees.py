"""What a fee in any currency was worth in the market's quote currency, at a price of its fill's own time.

A venue takes fees in the quote currency, in what was bought (spot), or in a coin of its own. The first needs no price,
the second has the fill's; for the third the fill carries ``fee_price``, what one unit was worth in quote currency when
it was filled. Where nobody knew that price, the fee is not guessed: it counts nothing, and whoever shows a result says
how much of which coin it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import polars as pl

from trading_assets.core.candles import Market

PriceOf = Callable[[str, str], float | None]
"""(coin, quote) -> what one unit of the coin is worth now; None where nobody knows."""


@cache
def _of_market(market: str) -> tuple[str, str, bool]:
    parsed = Market.parse(market)
    return parsed.base, parsed.quote, parsed.is_derivative


def fee_price(market: str, currency: str | None, price: float, known: PriceOf | None = None) -> float | None:
    """What one unit of a fee's currency is worth in the quote currency of a fill.

    Parameters
    ----------
    market, price
        Of the fill.
    currency
        Of the fee; None, as old rows have it, is the quote currency.
    known
        Asked about a coin that is neither base nor quote.

    >>> fee_price("binance:BTC/USDT", "USDT", 100.0), fee_price("binance:BTC/USDT", "BTC", 100.0)
    (1.0, 100.0)
    >>> fee_price("binance:BTC/USDT", "BNB", 100.0) is None
    True
    """
    base, quote, _ = _of_market(market)
    if currency in (None, "", quote):
        return 1.0
    if currency == base:
        return price
    return None if known is None else known(currency or "", quote)


def taken_base(market: str, currency: str | None, fee: float) -> float:
    """Base units that a fee took from what a spot account owns; what is held is so much less than what was bought.

    >>> taken_base("binance:BTC/USDT", "BTC", 0.001), taken_base("binance:BTC/USDT:USDT", "BTC", 0.001)
    (0.001, 0.0)
    """
    base, quote, derivative = _of_market(market)
    return 0.0 if derivative or currency in (None, "", quote) or currency != base else fee


def valued(fills: pl.DataFrame, prices: Mapping[str, pl.DataFrame] | None = None) -> pl.DataFrame:
    """Fills with their fee in quote currency.

    Parameters
    ----------
    fills
        Columns of the table of this name.
    prices
        Market -> ``end`` and ``close`` of its candles, ascending: what a coin was worth that the node knew no price of
        (``exchange:COIN/QUOTE``, the newest close at the fill, at most an hour old).

    Returns
    -------
    pl.DataFrame
        ``fee`` is in quote currency, 0 where its price is not known; then ``unvalued`` says how much of which coin it
        was (else it is null), and ``base_taken`` what a fee took of what was bought.
    """
    rows = fills.select("market", "ts", "price", "fee", "fee_currency", "fee_price").to_dicts()
    fees, unvalued, taken = list[float](), list[str | None](), list[float]()
    for row in rows:
        fee, currency = row["fee"] or 0.0, row["fee_currency"]
        worth = row["fee_price"]
        if worth is None:
            worth = fee_price(row["market"], currency, row["price"])
        if worth is None and prices:
            worth = _stored(row, prices)
        fees.append(0.0 if worth is None else fee if worth == 1.0 else fee * worth)
        unvalued.append(f"{fee:.10g} {currency}" if worth is None and fee else None)
        taken.append(taken_base(row["market"], currency, fee))
    return fills.with_columns(
        fee=pl.Series(fees, dtype=pl.Float64),
        unvalued=pl.Series(unvalued, dtype=pl.String),
        base_taken=pl.Series(taken, dtype=pl.Float64),
    )


def coin_markets(fills: pl.DataFrame) -> set[str]:
    """The spot markets whose candles say what fees in a coin were worth that has no price yet."""
    lacking = fills.filter(pl.col("fee_price").is_null()).select("market", "fee_currency").unique()
    return {
        f"{Market.parse(market).exchange}:{coin}/{quote}"
        for market, coin in lacking.rows()
        for base, quote, _ in (_of_market(market),)
        if coin not in (None, "", base, quote)
    }


def _stored(row: Mapping[str, Any], prices: Mapping[str, pl.DataFrame]) -> float | None:
    parsed = Market.parse(row["market"])
    name = f"{parsed.exchange}:{row['fee_currency']}/{parsed.quote}"
    found = next((prices[one] for one in (name, f"{name}:{parsed.quote}") if one in prices), None)
    if found is None:
        return None
    at = pl.lit(row["ts"], pl.Datetime("us", "UTC"))
    near = found.filter(pl.col("end") <= at, pl.col("end") > at - pl.duration(hours=1)).tail(1)
    return float(near["close"].item()) if near.height else None
