"""What can be asked of an account at a venue, whichever venue it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from trading_assets.core.errors import NodeError

OrderSide = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "stop"]
OrderStatus = Literal["open", "filled", "canceled", "rejected", "expired"]
MarginMode = Literal["cross", "isolated"]
PaymentKind = Literal["funding", "fee", "realized", "transfer", "other"]


class VenueError(NodeError):
    """The venue refused a request about the account, or did not answer it.

    Attributes
    ----------
    answered
        Whether the venue answered. Where it did not, what was asked for may have been done all the same.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", answered: bool = True) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.answered = answered


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue knows it.

    Attributes
    ----------
    client_id
        The id that its sender gave it, as the node knows it (without what an adapter puts before it); empty where it
        has none, as one placed by hand.
    venue_id
        The venue's own.
    market
        ``exchange:SYMBOL``.
    kind
        ``stop`` is a stop-market that rests until the price reaches ``stop_price``, wherever the venue keeps it.
    quantity, filled
        Base units, never negative.
    price, stop_price
        None where it has none; ``price`` of an order with fills and no limit is their average.
    reduce_only
        Whether it can only make a position smaller.
    status
        ``open`` also where a part is filled.
    ts
        When it was placed.
    """

    client_id: str
    venue_id: str
    market: str
    side: OrderSide
    kind: OrderKind
    quantity: float
    filled: float
    price: float | None
    stop_price: float | None
    reduce_only: bool
    status: OrderStatus
    ts: datetime


@dataclass(frozen=True, slots=True)
class VenueFill:
    """A fill as the venue booked it.

    Attributes
    ----------
    trade_id
        Unique within the market.
    client_id, venue_id
        Of the order; ``client_id`` is empty where the venue knows none.
    quantity
        Base units.
    fee
        What was paid, in ``fee_currency``; negative for a rebate.
    liquidity
        Empty where the venue does not say.
    """

    trade_id: str
    client_id: str
    venue_id: str
    market: str
    side: OrderSide
    quantity: float
    price: float
    fee: float
    fee_currency: str
    liquidity: Literal["maker", "taker", ""]
    ts: datetime

    @property
    def signed(self) -> float:
        """Base units, positive for a buy."""
        return self.quantity if self.side == "buy" else -self.quantity


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """An open position; spot holdings are balances, not positions.

    Attributes
    ----------
    quantity
        Base units, negative for a short one; never 0.
    leverage, liquidation_price
        None where the venue does not say.
    """

    market: str
    quantity: float
    average_price: float
    leverage: float | None = None
    margin_mode: MarginMode | None = None
    liquidation_price: float | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """A line of the account's statement.

    Attributes
    ----------
    id
        Unique within the account.
    kind
        ``realized`` is the profit or loss of closed contracts before fees, ``transfer`` what came in or went out.
    market
        Empty where it belongs to none.
    amount
        Received where positive, paid where negative, in ``currency``.
    trade_id
        Of the fill that a fee or result belongs to; empty where the venue does not say.
    """

    id: str
    kind: PaymentKind
    market: str
    amount: float
    currency: str
    ts: datetime
    trade_id: str = ""


@dataclass(frozen=True, slots=True)
class Modes:
    """How a market is traded by the account; None where the venue has no such choice, or does not say.

    Attributes
    ----------
    hedged
        Whether long and short positions are held side by side.
    """

    leverage: float | None = None
    margin_mode: MarginMode | None = None
    hedged: bool | None = None


class Account(Protocol):
    """An account at a venue, asked outside the engine. Every method raises :class:`VenueError`; none shows a key.

    Client order ids go in and come out as the node's strategy knows them: what an adapter puts before an id on the wire
    is put there, and taken away again, here.

    Attributes
    ----------
    place
        Venue and environment, as the journal says it.
    fee_coins
        Coins of its own that the venue takes fees in from those who own some.
    """

    fee_coins: ClassVar[tuple[str, ...]]

    @property
    def place(self) -> str:
        """Venue and environment."""
        ...

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """All orders that rest on these markets, conditional ones included, whoever placed them."""
        ...

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """What became of an order; None where the venue has never seen its id, or has forgotten it."""
        ...

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """The account's fills on a market since a time, the oldest first."""
        ...

    def positions(self) -> list[VenuePosition]:
        """Every open position of the account."""
        ...

    def balances(self) -> dict[str, float]:
        """Currency -> what the account owns of it, free or locked, without what open positions have gained."""
        ...

    def payments(self, since: datetime) -> list[Payment]:
        """The lines of the account's statement since a time, the oldest first."""
        ...

    def rate(self, coin: str, quote: str) -> float | None:
        """What one unit of a coin is worth now, by the venue's newest trade; None where it has no such market."""
        ...

    def clock(self) -> datetime:
        """What time it is at the venue (UTC)."""
        ...

    def untraded(self, markets: Sequence[str]) -> dict[str, str]:
        """Those of these markets that the venue does not trade, or not now, and why; empty where it is not asked."""
        ...

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """How a market is traded; nothing is said of spot.

        Where the margin mode comes with each order, it is how orders of ``margin_mode`` would be traded.
        """
        ...

    def set_modes(self, market: str, modes: Modes) -> None:
        """Change how a market is traded, as far as ``modes`` says something that differs.

        A margin mode and a leverage that belong together are given together.
        """
        ...

    def cancel(self, market: str, client_id: str) -> bool:
        """Cancel one order; False where it did not rest any more."""
        ...

    def cancel_all(self, market: str) -> None:
        """Cancel every order of the market, whoever placed it, conditional ones included."""
        ...

    def new_id(self) -> str:
        """A client id for an order that closes a position."""
        ...

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """Close so much of a position at the market, reduce-only; an error that is an answer means that nothing was.

        Parameters
        ----------
        market
            Where.
        quantity
            Of the position, as :attr:`VenuePosition.quantity` says it: negative for a short one, which is bought back.
        client_id
            By which the order can be asked for where no answer comes; a new one where it is empty.
        """
        ...

    def closable(self, market: str, quantity: float) -> float:
        """How much of a quantity one order can close: whole steps of the venue's, 0 where it is less than one.

        Of a sum of fills, or of a balance that fees were taken from, the last digits are none that a venue takes.
        """
        ...

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """Have the venue cancel orders unless it is asked again within so many seconds; None takes that back.

        Returns
        -------
        bool
            False where the venue has no such switch.
        """
        ...
