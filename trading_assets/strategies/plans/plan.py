"""What the strategy intends with one trade: written to the journal before it acts, read back after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, Self

from trading_assets.core.sides import Side
from trading_assets.exits.open_trade import OpenTrade
from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.plans import as_json
from trading_assets.strategies.signals import Signal

Stage = Literal["entering", "open", "exiting", "closed"]
Purpose = Literal["entry", "take_profit", "stop_loss", "exit"]
ExitReason = Literal[
    "",
    "take_profit",
    "stop_loss",
    "break_even",
    "trailing",
    "time",
    "opposite",
    "funding",
    "halted",
    "end",
    "kill",
    "close_only",
    "unprotected",
    "unfilled",
    "lost",
    "liquidation",
    "by_hand",
]
StopKind = Literal["stop_loss", "break_even", "trailing"]

NO_PLAN: Final = ExitPlan(0.0, (), timedelta(0))
"""Of a position that no journal explains."""

_ALL: Final = 1 - 1e-9


class TargetOrder(NamedTuple):
    """A target of an open trade.

    Attributes
    ----------
    price
        Where its limit rests.
    quantity
        Base units that it closes; 0 where its part is too small for an order, and belongs to the next one.
    order_id
        Of the order that rests, or the last one that did.
    filled
        Base units of it that are closed.
    before
        Those of them that earlier orders have closed.
    """

    price: float
    quantity: float
    order_id: str = ""
    filled: float = 0.0
    before: float = 0.0

    def by(self, order_id: str) -> TargetOrder:
        """The target with an order for what is left of it."""
        return self._replace(order_id=order_id, before=self.filled)

    @property
    def is_filled(self) -> bool:
        """Whether all of it is closed."""
        return self.quantity > 0 and self.filled >= self.quantity * _ALL

    @property
    def left(self) -> float:
        """Base units that are still to be closed."""
        return 0.0 if self.is_filled else self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class TradePlan:
    """One trade: its side, its signal, its exit plan, and how far it has come.

    Attributes
    ----------
    known_at, expires_at
        When the signal was known, and when what is left is closed at the market.
    exits
        What becomes of the trade, as distances.
    quantity
        Base units ordered, whatever the side; after the entry, base units filled.
    cost
        Of in and out, as a fraction of the notional: what break-even is beyond the entry price.
    bar
        Length of the decision bars, at whose end a stop follows.
    entry_price, stop_price
        0 until the entry is filled; then its average fill price, and where the stop lies now.
    best_price
        The most favourable price up to the end of the newest decision bar; 0 until the entry is filled.
    stop_kind
        What put the stop where it lies.
    targets
        From near to far, those of ``exits``; none until the entry is filled.
    counted
        Targets whose filling has moved the stop, if it was to.
    replaced_order_id
        A stop that another one has taken the place of, and that is being canceled.
    exit_reason
        Why the trade is being closed, or was.
    side
        A short trade's stop is above its entry and its targets below.
    sent
        Orders that were sent for it: what the next one's id goes on from.
    """

    market: str
    signal_id: str
    probability: float
    known_at: datetime
    expires_at: datetime
    exits: ExitPlan
    quantity: float
    entry_order_id: str
    cost: float = 0.0
    bar: timedelta = timedelta(0)
    stage: Stage = "entering"
    entry_price: float = 0.0
    stop_price: float = 0.0
    best_price: float = 0.0
    stop_kind: StopKind = "stop_loss"
    targets: tuple[TargetOrder, ...] = ()
    counted: int = 0
    stop_order_id: str = ""
    replaced_order_id: str = ""
    exit_order_id: str = ""
    exit_reason: ExitReason = ""
    side: Side = Side.LONG
    sent: int = 0

    @classmethod
    def of(cls, signal: Signal, *, quantity: float, entry_order_id: str) -> Self:
        """The plan of a trade on a signal, before its entry is sent."""
        exits = signal.plan
        return cls(
            market=signal.market,
            signal_id=signal.signal_id,
            probability=signal.probability,
            known_at=signal.known_at,
            expires_at=signal.known_at + exits.hold,
            exits=exits,
            quantity=quantity,
            entry_order_id=entry_order_id,
            cost=signal.rule.cost_bps / 1e4,
            bar=signal.known_at - signal.ts,
            side=signal.side,
            sent=1,
        )

    @classmethod
    def unknown(cls, market: str, now: datetime, signed_quantity: float) -> Self:
        """The plan for a position that no journal explains: it has expired already."""
        long_ago, side = datetime.min.replace(tzinfo=UTC), Side.LONG if signed_quantity > 0 else Side.SHORT
        return cls(market, "", 0.0, now, long_ago, NO_PLAN, abs(signed_quantity), "", stage="open", side=side)

    # -- what happens to it ---------------------------------------------------------------------------------------

    def filled(self, quantity: float, price: float, parts: Sequence[float] | None = None) -> TradePlan:
        """The plan once the entry has filled at an average price: stop and targets are known.

        Parameters
        ----------
        quantity, price
            Of the entry's fills.
        parts
            Base units that each target closes (:func:`trading_assets.strategies.plans.parts.parts_of`); by default its
            share of the quantity.
        """
        trade = OpenTrade.entered(self.side, price, quantity, self.exits, cost=self.cost)
        parts = [target.share * quantity for target in self.exits.targets] if parts is None else parts
        targets = tuple(TargetOrder(*one) for one in zip(trade.target_prices, parts, strict=True))
        return replace(
            self,
            stage="open",
            quantity=quantity,
            entry_price=price,
            stop_price=trade.stop_price,
            best_price=trade.best,
            targets=targets,
        )

    def with_filled(self, order_id: str, quantity: float) -> TradePlan:
        """The plan once all fills of a target's order come to a quantity that is not below what is known of it."""
        return replace(
            self,
            targets=tuple(
                one._replace(filled=max(one.filled, one.before + quantity)) if one.order_id == order_id else one
                for one in self.targets
            ),
        )

    def after_targets(self) -> TradePlan:
        """The plan once filled targets have moved the stop, where they are to."""
        trade = self._trade
        for _ in range(self.targets_filled - self.counted):
            trade = trade.after_target()
        return self._moved_to(trade, "break_even")

    def after_bar(self, high: float, low: float) -> TradePlan:
        """The plan at the end of a decision bar: the stop may have followed."""
        return self._moved_to(self._trade.after_bar(high, low), "trailing")

    @property
    def _trade(self) -> OpenTrade:
        return OpenTrade(
            self.side,
            self.entry_price,
            self.quantity,
            self.exits,
            self.cost,
            self.counted,
            self.best_price,
            self.stop_price,
        )

    def _moved_to(self, trade: OpenTrade, kind: StopKind) -> TradePlan:
        if trade.stop_price == self.stop_price:
            if trade.filled == self.counted and trade.best == self.best_price:
                return self
            return replace(self, best_price=trade.best, counted=trade.filled)
        return replace(self, best_price=trade.best, counted=trade.filled, stop_price=trade.stop_price, stop_kind=kind)

    # -- what is asked of it --------------------------------------------------------------------------------------

    @property
    def targets_filled(self) -> int:
        """How many targets are filled, from the nearest on; one without an order of its own with the next."""
        return max((number for number, one in enumerate(self.targets, 1) if one.is_filled), default=0)

    @property
    def left(self) -> float:
        """Base units that targets have not closed."""
        closed = sum(one.filled for one in self.targets)
        return self.quantity - closed if closed < self.quantity * _ALL else 0.0

    @property
    def target_price(self) -> float:
        """The nearest target that is not filled; 0 where there is none."""
        return next((one.price for one in self.targets if one.left > 0), 0.0)

    @property
    def target_order_ids(self) -> tuple[str, ...]:
        """Orders of the targets that are not filled."""
        return tuple(one.order_id for one in self.targets if one.order_id and not one.is_filled)

    @property
    def has_parts(self) -> bool:
        """Whether a target may leave something open."""
        return len(self.exits.targets) != 1 or self.exits.targets[0].share < _ALL

    @property
    def is_moving(self) -> bool:
        """Whether its stop, or what rests, may change while it is open."""
        return self.has_parts or self.exits.trailing is not None or self.exits.before_funding

    def is_stopped_at(self, price: float) -> bool:
        """Whether the price is at the stop or beyond, or no stop is known."""
        return self.stop_price <= 0 or self.side * (price - self.stop_price) <= 0

    def orders(self) -> list[tuple[str, Purpose]]:
        """The trade's orders and what each is for."""
        named: list[tuple[str, Purpose]] = [
            (self.entry_order_id, "entry"),
            (self.stop_order_id, "stop_loss"),
            (self.replaced_order_id, "stop_loss"),
            *((one.order_id, "take_profit") for one in self.targets),
            (self.exit_order_id, "exit"),
        ]
        return [(order_id, purpose) for order_id, purpose in named if order_id]

    def purpose_of(self, order_id: str) -> Purpose | None:
        """What one of the trade's orders is for; None if it is not the trade's."""
        if not order_id:
            return None
        if order_id == self.exit_order_id:
            return "exit"
        if any(order_id == one.order_id for one in self.targets):
            return "take_profit"
        if order_id in (self.stop_order_id, self.replaced_order_id):
            return "stop_loss"
        return "entry" if order_id == self.entry_order_id else None

    def closed_by(self, order_id: str | None) -> ExitReason:
        """Why the trade ended, from the order that closed the last of its position."""
        purpose = self.purpose_of(order_id) if order_id is not None else None
        if purpose == "take_profit":
            return "take_profit"
        return self.stop_kind if purpose == "stop_loss" else self.exit_reason or "lost"

    def to_json(self) -> str:
        """As text for the journal."""
        return as_json.written(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what :meth:`to_json` wrote, also before plans had parts.

        Raises
        ------
        NodeError
            If the text is not a plan.
        """
        values, targets = as_json.read(text)
        return cls(**values, targets=tuple(TargetOrder(*one) for one in targets))


def farthest_prices(side: Side, price: float, exits: ExitPlan) -> tuple[float, float]:
    """Stop and farthest target of a trade entered at a price: a short one's stop is above it, its targets below.

    >>> farthest_prices(Side.SHORT, 200.0, ExitPlan.bracket(0.02, 0.01, timedelta(hours=6)))
    (202.0, 196.0)
    """
    distance = exits.targets[-1].distance if exits.targets else 0.0
    return price * (1 - side * exits.stop), price * (1 + side * distance)
