"""Decimals and steps of prices and volumes at any scale: what they are, what the engine holds, how people read them."""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame

MAX_DECIMALS: Final = 16
MAX_PRICE: Final = 1.7e13
MAX_QUANTITY: Final = 3.4e13
"""What NautilusTrader's fixed-point numbers hold: decimals, the largest price, the largest quantity or volume."""

_DIGITS: Final = 10
"""After a price's first one: prices that are not whole ticks are rounded to so many significant digits."""

_EXACT_DIGITS: Final = 15
"""That a float holds: volumes are written with no more."""

_A_FEW: Final = 1_000

_TELLING: Final = 10
"""Price moves in whole ticks that tell a tick of more than a hundredth of the price from a market that stood still."""


def price_decimals(prices: pl.Series) -> int:
    """The fewest decimals that write every price, negative where all are multiples of ten, a hundred and so on.

    They follow the prices, so that a market quoted in other units has another tick and the same trades. Prices that
    are not multiples of anything are cut after eleven significant digits of the lowest.

    Raises
    ------
    InvalidFrame
        If a price is larger than the engine holds, or too small for its decimals.
    """
    if prices.is_empty():
        return 2  # a market that has no candle yet
    lowest, highest = _range(prices)
    if highest > MAX_PRICE:
        raise InvalidFrame(
            f"a price of {highest:.6g} is more than the engine holds, {MAX_PRICE:g}", remedy="leave this market out"
        )
    enough = _DIGITS - magnitude(lowest)
    moves = int((prices.diff().drop_nulls() != 0).sum())
    fewest = -magnitude(lowest) if moves >= _TELLING else 2 - magnitude(lowest)
    for decimals in range(fewest, min(enough, MAX_DECIMALS) + 1):
        if _fits(prices, decimals):
            return decimals
    if enough - 2 > MAX_DECIMALS:  # rounding there would change the price by more than a hundred-millionth
        raise InvalidFrame(
            f"a price of {lowest:.6g} has more decimals than the engine holds, {MAX_DECIMALS}",
            remedy="use a market quoted in larger units (e.g. 1000 coins)",
        )
    return min(enough, MAX_DECIMALS)


def volume_decimals(volumes: pl.Series) -> int:
    """The fewest decimals that write every volume, negative for whole tens; at most what a float holds."""
    traded = volumes.filter(volumes > 0)
    if traded.is_empty():
        return 0
    lowest, highest = _range(traded)
    most = min(_EXACT_DIGITS - 1 - magnitude(highest), MAX_DECIMALS)
    return next((decimals for decimals in range(-magnitude(lowest), most) if _fits(traded, decimals)), most)


def check_volumes(volumes: pl.Series) -> None:
    """Refuse volumes that a client's bars cannot have.

    Raises
    ------
    InvalidFrame
        If a volume is larger than the engine holds.
    """
    highest = volumes.max()
    if isinstance(highest, float) and highest > MAX_QUANTITY:
        raise InvalidFrame(
            f"a volume of {highest:.6g} is more than the engine holds, {MAX_QUANTITY:g}",
            remedy="use a market quoted in larger units (e.g. 1000 coins)",
        )


def magnitude(value: float) -> int:
    """The power of ten of the first digit.

    >>> magnitude(150.0), magnitude(8e-5)
    (2, -5)
    """
    return int(f"{value:e}".partition("e")[2])


def step(decimals: int) -> float:
    """The smallest step of a number with so many decimals.

    >>> step(2), step(-3)
    (0.01, 1000.0)
    """
    return float(f"1e{-decimals}")


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals as text.

    >>> fixed(150.25, 2), fixed(8e-8, 9), fixed(12_000.0, -3)
    ('150.25', '0.000000080', '12000')
    """
    return f"{value:.{max(decimals, 0)}f}"


def significant(value: float, digits: int = 8) -> str:
    """A number for people: so many significant digits, whole ones never cut, no power of ten.

    >>> significant(65_432.1), significant(8.1234567891e-8), significant(1_234_567_890.6), significant(0.0)
    ('65,432.1', '0.000000081234568', '1,234,567,891', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    text = f"{value:,.{max(digits - 1 - magnitude(value), 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: float) -> str:
    """An amount of the quote currency for people: cents, or as many decimals as a small amount needs.

    >>> money(20_000.0), money(0.0), money(-0.00012345)
    ('20,000.00', '0.00', '-0.000123')
    """
    return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else significant(value, 3)


def _range(values: pl.Series) -> tuple[float, float]:
    lowest, highest = values.min(), values.max()
    assert isinstance(lowest, float)
    assert isinstance(highest, float)
    return lowest, highest


def _fits(values: pl.Series, decimals: int) -> bool:
    if len(values) > _A_FEW and not _fits(values[:_A_FEW], decimals):  # mostly these say it already
        return False
    steps = values * 10.0**decimals if decimals >= 0 else values / 10.0**-decimals
    return bool(((steps.round() - steps).abs() <= steps * 1e-12).all())
