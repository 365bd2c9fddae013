"""Why a venue refused an order, in words: which filter, the order's value, the venue's limit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from trading_assets.core.precision import money
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders.contracts import in_base, size_of
from trading_assets.strategies.orders.limits import OrderLimits, on_grid
from trading_assets.strategies.orders.stop_moves import UNHEARD
from trading_assets.strategies.plans.plan import Purpose, TradePlan

EVENT: Final = "order refused"

_CHANGED: Final = ", as it was when it was asked for: it is another by now (node.instrument_refresh_s)"
"""An order is held against the venue's limits before it is sent: one that is refused for them met other ones."""

Tell = Callable[[str, str], None]

_KINDS: Final[tuple[tuple[str, str], ...]] = (
    ("maximum", r"-4005\b|\b51202\b|\b170136\b|market_lot_size|above.{0,20}max.{0,10}quantity"),
    ("minimum", r"-4003\b|-4004\b|\b51020\b|\b170140\b|\binvalidSize\b|lot_size|order minimum not met"),
    ("notional", r"-4164\b|\b110094\b|\b170124\b|min_notional|\bnotional\b|order value|cost minimum not met"),
    ("step", r"-4023\b|-1111\b|\b51121\b|\b170137\b|step size|precision"),
    ("tick", r"-4014\b|price_filter|tick size"),
    ("band", r"-4131\b|-4016\b|-4024\b|\b110003\b|\b51006\b|\b5113[78]\b|percent_price|price band|allowable range"),
    ("triggers", r"-2021\b|\b110092\b|\b110093\b|\b51278\b|\b51280\b|immediately trigger|expect (rising|falling)"),
    ("margin", r"-2019\b|\b1100(07|12)\b|\b51008\b|\b511(19|27|31)\b|\b170131\b|insufficient|not enough for new order"),
    ("leverage", r"-2027\b|-2028\b|\b110090\b|\b51004\b|maximum allowable position"),
    ("account", r"\b51010\b|current account mode"),
    ("reduce", r"-2022\b|\b110017\b|\b51169\b|wouldNotReducePosition|reduce.?only"),
    ("mode", r"-4061\b|\b10001\b.*position.?idx|\b51000\b.*posSide|position side"),
    ("stops", r"-4045\b|\b51261\b|max_num_algo|too many.*stop|max.*stop order"),
    ("unheard", UNHEARD),
)
"""Kind -> how Binance, Bybit, OKX and Kraken say it, by number or in words; the first that fits."""


def kind_of(reason: str) -> str:
    """Which filter refused; empty where none of those known is named."""
    return next((kind for kind, said in _KINDS if re.search(said, reason, re.IGNORECASE)), "")


def explained(reason: str, quantity: float, price: float, limits: OrderLimits | None) -> str:
    """A refusal in words, with value and limit where the filter has one.

    Parameters
    ----------
    reason
        As the venue, or the engine, said it.
    quantity, price
        Of the order; 0 for the price of one at the market.
    limits
        Of the instrument; None where it is not known.
    """
    words = _words(kind_of(reason), quantity, price, limits)
    return f"{words} ({reason})" if words else reason


def _words(kind: str, quantity: float, price: float, limits: OrderLimits | None) -> str:
    plain = {
        "band": f"price {price:.12g} outside the venue's price band" if price else "the price is outside its band",
        "triggers": f"the price has passed the stop at {price:.12g} already",
        "margin": f"not enough free margin or balance for {quantity:.12g}",
        "leverage": f"{quantity:.12g} more is above what the market's leverage allows (node.leverage)",
        "account": "the account is in a mode that does not trade this product",
        "reduce": f"there is no position that {quantity:.12g} would reduce",
        "mode": "the account does not hold one-way positions any more",
        "stops": "the venue holds no further stop on this market",
        "unheard": "the venue did not say what became of it",
    }
    if limits is None or kind in plain:
        return plain.get(kind, "")
    holds, words = _limit(kind, quantity, price, limits)
    return words if holds or not words else f"{words}{_CHANGED}"


def _limit(kind: str, quantity: float, price: float, limits: OrderLimits) -> tuple[bool, str]:
    """Whether the limit that the node knows explains a refusal, and the refusal with that limit in words."""
    value = f"notional {money(quantity * price)}" if price else f"notional of {quantity:.12g}"
    small = 0 < quantity * price < limits.min_notional
    return {
        "maximum": (
            quantity > limits.max_quantity,
            f"quantity {quantity:.12g} above the venue's maximum {limits.max_quantity:.12g}",
        ),
        "minimum": (
            quantity < limits.min_quantity,
            f"quantity {quantity:.12g} below the venue's minimum {limits.min_quantity:.12g}",
        ),
        "notional": (small, f"{value} below the venue's minimum {money(limits.min_notional)}"),
        "step": (
            not _whole(quantity, limits.step),
            f"quantity {quantity:.12g} is not in whole steps of {limits.step:.12g}",
        ),
        "tick": (not _whole(price, limits.tick), f"price {price:.12g} is not in whole ticks of {limits.tick:.12g}"),
    }.get(kind, (True, ""))


def _whole(value: float, step: float) -> bool:
    return math.isclose(on_grid(value, step, round), value, rel_tol=1e-9)


class Refusals:
    """Tells of each refused order.

    Parameters
    ----------
    tell
        (event, detail): into journal and log.
    instrument
        Of a market, as the engine has it; None where it does not.
    """

    def __init__(self, tell: Tell, instrument: Callable[[str], Any | None]) -> None:
        self._tell = tell
        self._instrument = instrument

    def __call__(self, plan: TradePlan, purpose: Purpose, order: Any, reason: str) -> None:
        """Tell of one."""
        instrument = self._instrument(plan.market)
        limits = None if instrument is None else OrderLimits.of(instrument)
        said = getattr(order, "trigger_price", None) or getattr(order, "price", None)
        quantity, price = in_base(order.quantity, size_of(instrument)), exact(said) if said is not None else 0.0
        words = f"{purpose.replace('_', ' ')} {order.client_order_id.value}"
        self._tell(EVENT, f"{plan.market}: {words} of {quantity:.12g}: {explained(reason, quantity, price, limits)}")
