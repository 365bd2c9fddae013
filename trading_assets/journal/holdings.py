"""Fills, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, Self

from trading_assets.core.sides import Side
from trading_assets.journal.fees import fee_price, taken_base

_ROUNDING = 1e-12
"""What floating-point sums of a trade's quantities may miss, as a share of what was traded."""


def nothing(quantity: float, traded: float) -> bool:
    """Whether a quantity is what rounding left of ``traded``."""
    return abs(quantity) <= _ROUNDING * traded


@dataclass(frozen=True, slots=True)
class Fill:
    """One journalled fill; quantity in base units.

    Attributes
    ----------
    fee, fee_currency
        As the venue took it; None for quote currency.
    fee_value
        The fee in quote currency, by the price of its time; None where nobody knew one.
    taken
        Base units that the fee took of what was bought.
    """

    seq: int
    ts: datetime
    order_id: str
    trade_id: str
    signal_id: str
    side: Literal["buy", "sell"]
    quantity: float
    price: float
    fee: float
    fee_currency: str | None = None
    fee_value: float | None = None
    taken: float = 0.0

    @property
    def signed(self) -> float:
        """What is held more, base units: positive for a buy, less what its fee took."""
        return (self.quantity if self.side == "buy" else -self.quantity) - self.taken

    def names(self, other: Self) -> bool:
        """Whether both are the same fill."""
        return (self.order_id, self.trade_id) == (other.order_id, other.trade_id)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A journalled ``fills`` event with its ``seq``."""
        fee, currency = row["fee"], row.get("fee_currency")
        worth = row.get("fee_price")
        if worth is None:
            worth = fee_price(row["market"], currency, row["price"])
        ts = row["ts"]
        return cls(
            **{name: row[name] for name in _AS_WRITTEN},
            ts=datetime.fromisoformat(ts) if isinstance(ts, str) else ts,
            fee_currency=currency,
            fee_value=None if worth is None else fee if worth == 1.0 else fee * worth,
            taken=taken_base(row["market"], currency, fee),
        )


_AS_WRITTEN: Final = ("seq", "order_id", "trade_id", "signal_id", "side", "quantity", "price", "fee")


@dataclass(frozen=True)
class Holding:
    """The fills of one market since it was last flat, at least one; the open position is their sum.

    ``ended`` where the trade is over by its plan, and what is left of it on spot is less than can be sold.
    """

    market: str
    fills: tuple[Fill, ...]
    ended: bool = False

    @property
    def quantity(self) -> float:
        """Base units held, negative for a short position."""
        return sum(fill.signed for fill in self.fills)

    @property
    def traded(self) -> float:
        """Base units bought and sold."""
        return sum(fill.quantity for fill in self.fills)

    @property
    def is_flat(self) -> bool:
        """Whether buys and sells cancel out."""
        return self.ended or nothing(self.quantity, self.traded)

    @property
    def side(self) -> Side:
        """What the first fill opened: a buy a long trade, a sell a short one."""
        return Side.LONG if self.fills[0].side == "buy" else Side.SHORT

    @property
    def average_price(self) -> float:
        """Mean price of the fills that opened it."""
        opening = [fill for fill in self.fills if fill.side == self.fills[0].side]
        quantity = sum(fill.quantity for fill in opening)
        return sum(fill.quantity * fill.price for fill in opening) / quantity if quantity else 0.0

    @property
    def realized_pnl(self) -> float:
        """Quote currency, fees taken off: what the price did for its side between opening and closing fills.

        Fees in another coin count what they were worth then; see :attr:`unvalued` for those that nobody knew it of.
        """
        average = self.average_price
        closing = (fill for fill in self.fills if fill.side != self.fills[0].side)
        gained = sum(fill.quantity * (fill.price - average) for fill in closing)
        return self.side * gained - self.fees

    @property
    def fees(self) -> float:
        """Quote currency, as far as their worth is known."""
        return sum(fill.fee_value or 0.0 for fill in self.fills)

    @property
    def unvalued(self) -> dict[str, float]:
        """Coin -> fees that no result holds, for nobody knew what the coin was worth."""
        found: dict[str, float] = {}
        for fill in self.fills:
            if fill.fee_value is None and fill.fee:
                found[fill.fee_currency or ""] = found.get(fill.fee_currency or "", 0.0) + fill.fee
        return found


class NewestTrades:
    """The newest trade of each market by its fills, each counted once: what the journal adds them up to.

    Parameters
    ----------
    holdings
        What is open already.
    """

    def __init__(self, holdings: Iterable[Holding] = ()) -> None:
        self._trades = {one.market: one for one in holdings}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a ``fills`` row."""
        market, fill = row["market"], Fill.of({**row, "seq": 0})
        trade = self._trades.get(market)
        if trade is not None and any(fill.names(one) for one in trade.fills):
            return
        before = () if trade is None or trade.is_flat else trade.fills
        self._trades[market] = Holding(market, (*before, fill))

    def end(self, market: str) -> None:
        """End a trade of which less is left than can be sold."""
        if (trade := self._trades.get(market)) is not None:
            self._trades[market] = replace(trade, ended=True)

    def __getitem__(self, market: str) -> Holding | None:
        return self._trades.get(market)
