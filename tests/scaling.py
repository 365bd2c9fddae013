"""Candles in other units, for tests that nothing depends on the absolute size of a price or a volume."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from trading_assets.core.candles import PRICES


def rescaled(frame: pl.DataFrame, price: int, volume: int) -> pl.DataFrame:
    """Prices and volumes times these powers of ten: each number the float of its decimal text, as an exchange sends it.

    So an exact price stays exact, which a product of floats would not.
    """
    powers = dict.fromkeys(PRICES, price) | {"volume": volume}
    return frame.with_columns(
        pl.Series(name, [float(Decimal(repr(value)).scaleb(power)) for value in frame[name]], pl.Float64)
        for name, power in powers.items()
    )
