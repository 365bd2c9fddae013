"""The ids of our orders: made from the trade's plan alone, so that a venue can be asked for them after a crash.

An id says whose it is: ``t``, four signs of the account's name, nine of the trade, a letter of the purpose, and three
of how many orders the trade had sent before. Eighteen lower-case letters and digits are what every venue takes: of
Kraken's spot orders no more, of OKX's no other signs, of Binance's 36 with what the adapter puts before them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trading_assets.strategies.plans.plan import Purpose, TradePlan

DEFAULT_ACCOUNT: Final = "main"
LENGTH: Final = 18

_OURS: Final = "t"
_ACCOUNT: Final = 4
_TRADE: Final = 9
_COUNT: Final = 3
_SIGNS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_LETTERS: Final[dict[Purpose, str]] = {"entry": "e", "take_profit": "p", "stop_loss": "s", "exit": "x"}
_PURPOSES: Final[dict[str, Purpose]] = {letter: purpose for purpose, letter in _LETTERS.items()}
_UNWRITTEN: Final = 8
"""So many orders a process may have sent that its journal does not know of: what one burst of events brings, twice."""


@dataclass(frozen=True)
class OrderIds:
    """Makes and reads the ids of an account's orders.

    Attributes
    ----------
    account
        Our name of the account (``node.account``).

    Examples
    --------
    >>> ids = OrderIds("main")
    >>> ids.is_ours("O-20250101-000000-001-001-1")
    False
    """

    account: str = DEFAULT_ACCOUNT

    @cached_property
    def prefix(self) -> str:
        """How every id of the account begins."""
        return _OURS + _digest(self.account, _ACCOUNT)

    def entry(self, market: str, signal_id: str, known_at: datetime) -> str:
        """The id of a trade's first order, before there is a plan of it."""
        return f"{self.prefix}{_trade(market, signal_id, known_at)}{_LETTERS['entry']}{_number(0)}"

    def next(self, plan: TradePlan, purpose: Purpose) -> tuple[TradePlan, str]:
        """The id of the trade's next order, and the plan that counts it."""
        order_id = f"{self.of_trade(plan)}{_LETTERS[purpose]}{_number(plan.sent)}"
        return replace(plan, sent=plan.sent + 1), order_id

    def of_trade(self, plan: TradePlan) -> str:
        """How the ids of all orders of a trade begin."""
        return self.of_signal(plan.market, plan.signal_id, plan.known_at)

    def of_signal(self, market: str, signal_id: str, known_at: datetime) -> str:
        """How the ids of all orders on a signal begin, or would: what names it from the bar to the exit."""
        return self.prefix + _trade(market, signal_id, known_at)

    @staticmethod
    def trade_of(order_id: str) -> str:
        """What the ids of one of our orders' trade begin with.

        >>> OrderIds.trade_of("tqne3vbbfd5qc4s001")
        'tqne3vbbfd5qc4'
        """
        return order_id[: 1 + _ACCOUNT + _TRADE]

    @staticmethod
    def entry_of(trade: str) -> str:
        """The id of a trade's first order, from what the ids of all of them begin with."""
        return f"{trade}{_LETTERS['entry']}{_number(0)}"

    def is_ours(self, order_id: str) -> bool:
        """Whether an order is the account's own, by its id alone."""
        return len(order_id) == LENGTH and order_id.startswith(self.prefix)

    def unwritten(self, plan: TradePlan) -> Iterator[tuple[str, Purpose]]:
        """Ids that a killed process may have given to orders which its journal does not know of."""
        before = self.of_trade(plan)
        for count in range(plan.sent, plan.sent + _UNWRITTEN):
            for purpose, letter in _LETTERS.items():
                yield f"{before}{letter}{_number(count)}", purpose

    @staticmethod
    def after_a_crash(plan: TradePlan) -> TradePlan:
        """The plan whose next ids are none of those that a killed process may have given."""
        return replace(plan, sent=plan.sent + _UNWRITTEN)

    def purpose_of(self, order_id: str) -> Purpose | None:
        """What one of our orders is for; None of one that is not ours."""
        return self.purpose_in(order_id) if self.is_ours(order_id) else None

    @staticmethod
    def purpose_in(order_id: str) -> Purpose | None:
        """What an order of some account of ours is for."""
        return _PURPOSES.get(order_id[-_COUNT - 1]) if len(order_id) == LENGTH else None


def _trade(market: str, signal_id: str, known_at: datetime) -> str:
    return _digest(f"{market} {signal_id} {known_at.isoformat()}", _TRADE)


@lru_cache(maxsize=256)
def _digest(text: str, length: int) -> str:
    """A text as so many letters and digits: with nine, a million trades share one with a chance of half a percent."""
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return _in_signs(value, length)


def _number(count: int) -> str:
    return _in_signs(count, _COUNT)


def _in_signs(value: int, length: int) -> str:
    signs = []
    for _ in range(length):
        value, digit = divmod(value, len(_SIGNS))
        signs.append(_SIGNS[digit])
    return "".join(reversed(signs))
