"""What the local exchange knows of an account: orders, conditional orders, fills, payments. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from trading_assets.settings import CostSettings

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
Status = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "REJECTED"]
AlgoStatus = Literal["NEW", "TRIGGERING", "TRIGGERED", "FINISHED", "CANCELED", "EXPIRED", "REJECTED"]
Touch = Literal["worst_case", "path"]
PaymentKind = Literal["transfer", "realized", "fee", "funding", "insurance"]

ZERO: Final = Decimal(0)
CENT: Final = Decimal("1e-8")
"""Money is booked to a hundred-millionth, as at the venue."""

MAINTENANCE: Final = Decimal("0.005")
"""Maintenance margin as a share of the notional, whatever its size; Binance's first bracket of most symbols."""

LIQUIDATION_FEE: Final = Decimal("0.01")
"""Of the notional of a liquidated position, as ``exchangeInfo`` says."""

MAX_LEVERAGE: Final = 125


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is refused: the venue's own code and words."""

    code: int
    text: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Order:
    """An order in the book, or one that was there.

    Attributes
    ----------
    kind
        As it is in the book: MARKET or LIMIT; ``origin`` is what was sent, e.g. STOP_MARKET.
    spent, fees
        Quote currency of all its fills.
    parent
        The conditional order that it was, if it was one.
    """

    id: int
    client_id: str
    symbol: str
    side: Side
    kind: str
    quantity: Decimal
    created_ms: int
    updated_ms: int
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    reduce_only: bool = False
    close_position: bool = False
    position_side: PositionSide = "BOTH"
    status: Status = "NEW"
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    fees: Decimal = ZERO
    origin: str = ""
    stop_price: Decimal = ZERO
    working_type: str = "CONTRACT_PRICE"
    parent: int | None = None

    @property
    def open(self) -> bool:
        """Whether it may still be filled."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def rest(self) -> Decimal:
        """What is not filled."""
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        """Average price of its fills; 0 without any."""
        return self.spent / self.filled if self.filled else ZERO

    @property
    def sign(self) -> int:
        """+1 buys, -1 sells."""
        return 1 if self.side == "BUY" else -1


@dataclass(frozen=True, slots=True)
class Conditional:
    """An order that waits outside the book until a price is reached (Binance's "algo order")."""

    id: int
    client_id: str
    symbol: str
    side: Side
    kind: str
    quantity: Decimal
    trigger: Decimal
    created_ms: int
    updated_ms: int
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    reduce_only: bool = False
    close_position: bool = False
    position_side: PositionSide = "BOTH"
    working_type: str = "CONTRACT_PRICE"
    status: AlgoStatus = "NEW"
    triggered_ms: int = 0
    order_id: int | None = None
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it still waits for its price."""
        return self.status == "NEW"

    @property
    def sign(self) -> int:
        """+1 buys, -1 sells."""
        return 1 if self.side == "BUY" else -1

    @property
    def rises(self) -> bool:
        """Whether a rising price triggers it: a stop that buys, a target that sells."""
        return (self.side == "BUY") == self.kind.startswith("STOP")

    @property
    def limited(self) -> bool:
        """Whether it becomes a limit order."""
        return self.kind in ("STOP", "TAKE_PROFIT")


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realized: Decimal
    maker: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Payment:
    """One line of the account's statement; ``amount`` is received where positive."""

    id: int
    kind: PaymentKind
    symbol: str
    amount: Decimal
    balance: Decimal
    at_ms: int
    trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """One funding payment that comes due on a symbol."""

    at_ms: int
    symbol: str
    rate: Decimal
    price: Decimal
    assumed: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed candle of the finest series."""

    symbol: str
    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Terms:
    """How orders are filled and charged.

    Attributes
    ----------
    balance
        The account's first one.
    costs
        Fees and slippage (``trading.costs``): the price of an order at the market is worse by ``slippage_bps``, and by
        one tick more with ``slippage_probability``.
    volume_share
        The most that the account's limit orders take of a candle's volume; an order at the market is filled at once, in
        parts of so much.
    touch
        What comes first in a candle that reaches more than one order: in the ``worst_case`` the extreme against the
        open position, as in the backtest; ``path`` takes the low first where the candle rose.
    latency_ms
        Market time that a request takes to arrive, up to a fifth more by chance.
    seed
        Of all that is left to chance.
    leverage
        Of a symbol until it is set.
    """

    balance: Decimal = Decimal(100_000)
    costs: CostSettings = field(default_factory=CostSettings)
    volume_share: float = 1.0
    touch: Touch = "worst_case"
    latency_ms: float = 0.0
    seed: int = 0
    leverage: int = 20
