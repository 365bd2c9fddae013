"""Backtests of one signal, whose only trade is known."""

from __future__ import annotations

from tests.backtest.worlds import A, backtest, candles, flat, signals

ONE_SIGNAL = signals((A, 0, 0.7))
QUANTITY = 100.0
"""A tenth of 100,000 at a decision price of 100."""


def one_trade(*after: tuple[float, float, float, float], tail: int = 120, **kwargs: object) -> dict[str, object]:
    """The only trade of a market that stands at 100 for its first bar, then does what is given."""
    last = after[-1][3]
    result = backtest(ONE_SIGNAL, {A: candles([*flat(15), *after, *flat(tail, last)])}, **kwargs)  # type: ignore[arg-type]
    assert result.trades.height == 1
    return result.trades.row(0, named=True)
