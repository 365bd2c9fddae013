"""What the venue says of the account, asked outside the engine: orders, fills, positions, balances, payments, modes.

The engine hears of an account through events, and of what happened while no engine ran it hears nothing. The account
here is asked by signed REST requests of its own, so that it answers with the engine down, too.
"""

from trading_live.venues.account.contract import (
    Account,
    MarginMode,
    Modes,
    OrderStatus,
    Payment,
    PaymentKind,
    VenueError,
    VenueFill,
    VenueOrder,
    VenuePosition,
)

__all__ = [
    "Account",
    "MarginMode",
    "Modes",
    "OrderStatus",
    "Payment",
    "PaymentKind",
    "VenueError",
    "VenueFill",
    "VenueOrder",
    "VenuePosition",
]
