"""How venues write numbers: decimals as text, money with eight decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

ASSET: Final = "USDT"
"""The currency of the account."""


def money(amount: Decimal) -> str:
    """With eight decimals.

    >>> money(Decimal("-1.5"))
    '-1.50000000'
    """
    return f"{amount:.8f}"


def text(value: Decimal) -> str:
    """A decimal without exponent and without needless zeros.

    >>> text(Decimal("1E+2")), text(Decimal("0.100")), text(Decimal(0))
    ('100', '0.1', '0')
    """
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
