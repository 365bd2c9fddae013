"""Base units and the engine's quantities: some venues count contracts, each of so many base units.

Plans, sizes, limits, journal and books are in base units throughout; the engine's orders, fills and positions are in
contracts. These are the only two ways between them. Where a contract is one unit, numbers pass as they are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trading_assets.strategies.instruments import exact


def size_of(instrument: Any) -> Decimal | None:
    """Base units of a contract; None where it is one unit, or no instrument is known."""
    size = getattr(instrument, "multiplier", None)
    if size is None or exact(size) == 1.0:
        return None
    return Decimal(str(size))


def in_base(quantity: Any, size: Decimal | None) -> float:
    """An engine's quantity in base units.

    >>> in_base("12", Decimal("0.01")), in_base("12", None)
    (0.12, 12.0)
    """
    return exact(quantity) if size is None else float(Decimal(str(quantity)) * size)


def contracts(base: float, size: Decimal | None) -> float:
    """Base units as the engine counts them.

    >>> contracts(0.12, Decimal("0.01")), contracts(0.12, None)
    (12.0, 0.12)
    """
    return base if size is None else float(Decimal(repr(base)) / size)
