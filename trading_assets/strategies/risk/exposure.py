"""What open positions are worth together, and how much room the limits on that leave for one more. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trading_assets.core.precision import money
from trading_assets.core.sides import Side
from trading_assets.settings import RiskSettings
from trading_assets.strategies.risk.gate import CUT_TO

_LEAST_SHARE: Final = 0.5
"""An entry is made smaller down to this share of what is wanted, and refused below: no crumbs of a position."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Holding:
    """A position that is open or on its way.

    Attributes
    ----------
    notional
        At the newest price known, in quote currency, whatever the side.
    """

    market: str
    side: Side
    notional: float


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a wanted notional the limits leave.

    Attributes
    ----------
    notional
        Admitted: all of what was wanted, less, or 0.
    cuts
        What made it smaller, with value and limit.
    refusal
        What refuses it, with value and limit; empty where something is admitted.
    """

    notional: float
    cuts: tuple[str, ...] = ()
    refusal: str = ""


SameMove = Callable[[Holding, Holding], bool]
"""Whether two positions bet on the same move of the market."""


def room(
    wanted: Holding, held: Sequence[Holding], equity: float, limits: RiskSettings, same_move: SameMove | None
) -> Room:
    """What the limits on exposure leave of an entry.

    A limit of one market makes the entry smaller. One on several positions makes it smaller down to half of what was
    wanted, and refuses it below.

    Parameters
    ----------
    wanted
        The entry; nothing is open in its market.
    held
        What is open or on its way beside it.
    equity
        The account's.
    limits
        Of ``trading.risk``.
    same_move
        Asked for the limit on correlated positions; None where that is not set.
    """
    notional, cuts = wanted.notional, list[str]()
    for name, key, most, others, least in _caps(wanted, held, equity, limits, same_move):
        total, left = notional + others, most - others
        if total <= most * (1 + _ROUNDING):
            continue
        if left <= 0 or left < least * wanted.notional:
            return Room(0.0, refusal=f"{name} {money(total)} above the limit {money(most)} ({key})")
        cuts.append(f"{name} {money(total)}{CUT_TO}{money(most)} ({key})")
        notional = left
    return Room(notional, tuple(cuts))


_Cap = tuple[str, str, float, float, float]
"""Its name, its key with the setting, the limit, what others take of it, and the least share of an entry to be made."""


def _caps(
    wanted: Holding, held: Sequence[Holding], equity: float, limits: RiskSettings, same_move: SameMove | None
) -> Iterable[_Cap]:
    total = sum(one.notional for one in held)
    if limits.max_market_leverage is not None:
        factor = limits.max_market_leverage
        yield "market exposure", _key("max_market_leverage", factor, equity), factor * equity, 0.0, 0.0
    if limits.max_leverage is not None:
        factor = limits.max_leverage
        yield "total exposure", _key("max_leverage", factor, equity), factor * equity, total, _LEAST_SHARE
    if limits.max_total_notional is not None:
        most = limits.max_total_notional
        yield "total exposure", "trading.risk.max_total_notional", most, total, _LEAST_SHARE
    if limits.max_correlated_leverage is not None and same_move is not None:
        factor, alike = limits.max_correlated_leverage, [one for one in held if same_move(wanted, one)]
        names = f" with {', '.join(one.market for one in alike)}" if alike else ""
        key = _key("max_correlated_leverage", factor, equity) + names
        yield "correlated exposure", key, factor * equity, sum(one.notional for one in alike), _LEAST_SHARE


def _key(name: str, factor: float, equity: float) -> str:
    return f"trading.risk.{name} {factor:g} of {money(equity)}"
