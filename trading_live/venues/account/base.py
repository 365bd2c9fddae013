"""What the accounts of all venues have in common: names of markets, numbers, times, and windows of a history."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any, ClassVar, Final
from uuid import uuid4

from trading_assets.core.candles import Market
from trading_live.venues.account.contract import (
    MarginMode,
    Modes,
    OrderStatus,
    Payment,
    VenueError,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from trading_live.venues.account.ids import ClientIds, PlainIds
from trading_live.venues.account.requests import Requests

_QUOTES: Final = re.compile(r"(?P<base>.+?)-?(?P<quote>USDT|USDC|FDUSD|BUSD|TUSD|USD|EUR|GBP|BTC|ETH|BNB)")
_MANY: Final = 8
"""Of more markets than this, all of the account's open orders are asked for at once."""
_OFF: Final = Decimal("1e-6")
_DIGITS: Final = Decimal("1e-12")
"""What sums in floating point are off by: of a step, and of the quantity."""


class RestAccount(ABC):
    """An account that is asked by REST.

    Parameters
    ----------
    requests
        Signs and sends.
    markets
        Of this account that the caller knows; others are named as well as their symbol allows.
    ids
        Client order ids on the wire.
    """

    exchange: ClassVar[str]
    fee_coins: ClassVar[tuple[str, ...]] = ()
    """Coins of its own that the venue takes fees in from those who own some."""
    unknown: ClassVar[tuple[str, ...]] = ()
    """What the venue says where an order is not there, or not any more."""
    absent: ClassVar[tuple[str, ...]] = ()
    """What the venue says of a market that it does not have, or not any more: nothing rests and nothing fills there."""
    same: ClassVar[tuple[str, ...]] = ()
    """What the venue says where a mode is what it was to be."""

    def __init__(self, requests: Requests, markets: Sequence[str], *, ids: ClientIds | None = None) -> None:
        self._requests = requests
        self._markets = {self.symbol(market): market for market in markets}
        self._ids = ids or PlainIds()
        self._client_ids: dict[str, str] = {}
        self._steps: dict[str, float | None] = {}

    @property
    def place(self) -> str:
        """Venue and environment."""
        return self._requests.place

    # -- each venue's own -----------------------------------------------------------------------------------------

    @abstractmethod
    def symbol(self, market: str) -> str:
        """What the venue calls a market."""

    @abstractmethod
    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """All orders that rest on these markets, conditional ones included, whoever placed them."""

    @abstractmethod
    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """What became of an order; None where the venue has never seen its id, or has forgotten it."""

    @abstractmethod
    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """The account's fills on a market since a time, the oldest first."""

    @abstractmethod
    def positions(self) -> list[VenuePosition]:
        """Every open position of the account."""

    @abstractmethod
    def balances(self) -> dict[str, float]:
        """Currency -> what the account owns of it."""

    @abstractmethod
    def payments(self, since: datetime) -> list[Payment]:
        """The lines of the account's statement since a time, the oldest first."""

    def rate(self, coin: str, quote: str) -> float | None:
        """Fees are in base or quote currency here."""
        return None

    @abstractmethod
    def clock(self) -> datetime:
        """What time it is at the venue (UTC)."""

    def untraded(self, markets: Sequence[str]) -> dict[str, str]:
        """It is not asked."""
        return {}

    @abstractmethod
    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """How a market is traded."""

    @abstractmethod
    def set_modes(self, market: str, modes: Modes) -> None:
        """Change how a market is traded, as far as ``modes`` says something that differs."""

    def differing(self, market: str, modes: Modes) -> Modes:
        """What of these modes the market is not traded by yet."""
        have = self.modes(market, modes.margin_mode)
        return Modes(
            leverage=None if modes.leverage == have.leverage else modes.leverage,
            margin_mode=None if modes.margin_mode == have.margin_mode else modes.margin_mode,
            hedged=None if modes.hedged == have.hedged else modes.hedged,
        )

    @abstractmethod
    def cancel(self, market: str, client_id: str) -> bool:
        """Cancel one order; False where it did not rest any more."""

    @abstractmethod
    def cancel_all(self, market: str) -> None:
        """Cancel every order of the market, whoever placed it, conditional ones included."""

    @abstractmethod
    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """Close so much of a position at the market, reduce-only."""

    @abstractmethod
    def ask_step(self, market: str) -> float | None:
        """Base units that the market's quantities are multiples of; None where the venue does not list it."""

    def closable(self, market: str, quantity: float) -> float:
        """Whole steps of the venue's, which is asked for them once; of a market that it does not list, all of it."""
        if market not in self._steps:
            self._steps[market] = self.ask_step(market)
        step = self._steps[market]
        return math.copysign(whole_steps(quantity, step), quantity) if step else quantity

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """There is no such switch that a request turns on and off."""
        return False

    def placed(
        self, market: str, quantity: float, client_id: str, venue_id: object, ask: Callable[[], VenueOrder | None]
    ) -> VenueOrder:
        """What became of a closing order that was accepted; it is open where the venue does not find it yet."""
        try:
            found = ask()
        except VenueError:
            found = None
        return found or VenueOrder(
            client_id=client_id,
            venue_id=str(venue_id),
            market=market,
            side="sell" if quantity > 0 else "buy",
            kind="market",
            quantity=abs(quantity),
            filled=0.0,
            price=None,
            stop_price=None,
            reduce_only=not self.is_spot(market),
            status="open",
            ts=datetime.now(UTC),
        )

    # -- names ----------------------------------------------------------------------------------------------------

    def market(self, symbol: str, *, derivative: bool) -> str:
        """The market that the venue calls so: one that the caller knows, or else by its own parts."""
        if (known := self._markets.get(symbol)) is not None:
            return known
        found = _QUOTES.fullmatch(symbol.removesuffix("-SWAP"))
        if found is None:
            return f"{self.exchange}:{symbol}"
        name = f"{self.exchange}:{found['base']}/{found['quote']}"
        return f"{name}:{found['quote']}" if derivative else name

    def remember(self, venue_id: object, wire: object) -> str:
        """The client id of an order, as the node knows it; kept for the fills that name the venue's id alone."""
        known = self._ids.known(str(wire)) if wire else ""
        if known and venue_id:
            self._client_ids[str(venue_id)] = known
        return known

    def asked_at_once(self, markets: Sequence[str]) -> bool:
        """Whether one request for the whole account is cheaper than one for each market."""
        return len(markets) > _MANY

    def refuse(self, what: str, remedy: str = "") -> VenueError:
        """An error of this account."""
        return VenueError(what, where=self.place, remedy=remedy)

    def new_id(self) -> str:
        """Of an order that closes a position: short enough for every venue."""
        return f"close{uuid4().hex[:12]}"

    def is_spot(self, market: str) -> bool:
        """Whether a market is traded without margin."""
        return not Market.parse(market).is_derivative


def number(value: object) -> float:
    """A number of an answer; 0 where there is none."""
    return float(value) if value not in (None, "") else 0.0  # type: ignore[arg-type]


def price(value: object) -> float | None:
    """A price of an answer; None for nothing and for zero."""
    return number(value) or None


def text(quantity: float) -> str:
    """A quantity as the venue reads it: its digits and no more, no exponent."""
    return format(Decimal(repr(abs(quantity))).normalize(), "f")


def whole_steps(quantity: float, step: float) -> float:
    """The whole steps in a quantity: the nearest where it is off them by the last digits of a sum, else those below."""
    size = Decimal(repr(step))
    steps = Decimal(repr(abs(quantity))) / size
    nearest = steps.to_integral_value()
    off = abs(steps - nearest) > max(_OFF, steps * _DIGITS)
    return float(size * (steps.to_integral_value(ROUND_FLOOR) if off else nearest))


def decimals(places: object) -> float:
    """The step of a venue that says how many decimals a quantity may have."""
    return float(Decimal(1).scaleb(-int(str(places))))


def moment(milliseconds: object) -> datetime:
    """Milliseconds of an answer as UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=number(milliseconds))


def milliseconds(at: datetime) -> int:
    """UTC as the venues write it."""
    return math.floor(at.timestamp() * 1000)


def windows(since: datetime, until: datetime, longest: timedelta) -> Iterator[tuple[int, int]]:
    """Milliseconds from and to, in parts that a venue answers."""
    begin = since
    while begin <= until:
        end = min(begin + longest, until)
        yield milliseconds(begin), milliseconds(end)
        if end == until:
            return
        begin = end + timedelta(milliseconds=1)


def status(words: Mapping[str, OrderStatus], said: object) -> OrderStatus:
    """A venue's word for the state of an order; what is not known still rests, so that nobody forgets it."""
    return words.get(str(said), "open")


def unique[T](rows: Iterable[T], key: Any) -> list[T]:
    """Rows without those that came twice, in order."""
    return list({key(row): row for row in rows}.values())
