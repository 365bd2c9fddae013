"""What must be so at the venue before a node sends its first order there."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.core.locks import lock_now
from trading_assets.settings import NodeSettings
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.venues.account import Account, Modes, VenueError, VenueOrder, VenuePosition

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What the node knows of the account already.

    Attributes
    ----------
    open_markets
        Where the journal has a position or a plan.
    has_order
        Whether an order is of a trade that the journal has, by its id.
    """

    open_markets: Collection[str]
    has_order: Callable[[str], bool]


def check_clock(account: Account, limit_s: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Refuse a clock that a venue would not take orders by.

    Half of the time that the answer took is counted as its way back.

    Raises
    ------
    NodeError
        If this machine's clock differs from the venue's by more than so many seconds.
    """
    before = now()
    there = account.clock()
    after = now()
    skew = (before + (after - before) / 2 - there).total_seconds()
    if abs(skew) > limit_s:
        raise NodeError(
            f"this machine's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the venue's, "
            f"limit {limit_s:g} s (node.max_clock_skew_s)",
            where=account.place,
            remedy="set it by the network (timedatectl set-ntp true), then start again",
        )


def check_modes(account: Account, markets: Iterable[str], node: NodeSettings, tell: Tell) -> None:
    """See that each perpetual is traded one-way, with the margin mode and leverage of the settings; set what is not.

    All is asked for at once, as one may say something of another, and read again: only what then is so was changed.

    Raises
    ------
    NodeError
        If the venue refuses a change, or takes it and does not make it: it says which, from what to what.
    """
    wanted = Modes(node.leverage, node.margin_mode, hedged=False)
    for market in markets:
        if not Market.parse(market).is_derivative:
            continue
        found = _differing(account.modes(market, wanted.margin_mode), wanted)
        if not found:
            continue
        why = "though the venue took the change"
        try:
            account.set_modes(market, wanted)
        except VenueError as error:
            why = f"and the venue does not change it: {error.what}"
        left = _differing(account.modes(market, wanted.margin_mode), wanted)
        still = {name for name, _, _ in left}
        for name, have, want in found:
            if name not in still:
                tell("account changed", f"{market}: {_word(name, have)} -> {_word(name, want)}")
        if left:
            differs = "; ".join(f"{_word(name, have)}, not {_word(name, want)}" for name, have, want in left)
            raise NodeError(
                f"{market} has {differs}, {why}",
                where=account.place,
                remedy="; ".join(_REMEDIES[name] for name, _, _ in left),
            )


def _differing(found: Modes, wanted: Modes) -> list[tuple[str, object, object]]:
    """Name, what is, and what is wanted; of what the venue does not say, only a leverage beside a margin mode."""
    rows = [(name, getattr(found, name), getattr(wanted, name)) for name in ("hedged", "margin_mode", "leverage")]
    said = {name for name, have, _ in rows if have is not None} | ({"leverage"} if found.margin_mode else set())
    return [(name, have, want) for name, have, want in rows if name in said and want is not None and have != want]


_REMEDIES: Final[Mapping[str, str]] = {
    "hedged": "close what is open and set the account to one-way positions at the venue",
    "margin_mode": "close what is open on the market, or set node.margin_mode to what the account has",
    "leverage": "set node.leverage to what the venue allows there, or leave it empty",
}


def _word(name: str, value: object) -> str:
    if name == "hedged":
        return "positions of both sides (hedge mode)" if value else "one-way positions"
    if name == "leverage":
        return "no leverage of its own" if value is None else f"leverage {value:g}"
    return f"{value} margin"


def check_holdings(
    account: Account, markets: Sequence[str], ids: OrderIds, known: Known, *, adopt: bool
) -> dict[str, str]:
    """Market -> why the node must not trade there: somebody else holds something on it.

    With ``adopt``, nothing stands in the way: what no plan explains is closed, and canceled where it rests.

    Raises
    ------
    NodeError
        If orders with the account's own prefix rest that the journal knows nothing of: another node trades the account.
    """
    orders = account.open_orders(markets)
    ours = [one for one in orders if ids.is_ours(one.client_id)]
    if (strange := [one for one in ours if not known.has_order(one.client_id)]) and not adopt:
        raise NodeError(
            f"orders of the account {ids.account!r} rest that this journal knows nothing of: {_orders(strange)}",
            where=account.place,
            remedy="another node trades the account: stop it, or give this one another node.account; where the "
            "journal was lost, node.adopt: true cancels them and closes what is open",
        )
    if adopt:
        return {}
    held = [one for one in account.positions() if one.market in markets and one.market not in known.open_markets]
    return _foreign(held, [one for one in orders if one not in ours])


def _foreign(held: Sequence[VenuePosition], orders: Sequence[VenueOrder]) -> dict[str, str]:
    remedy = "it is left alone and nothing is traded there; node.adopt: true takes it over"
    found = {one.market: f"the account holds {one.quantity:g} that no plan explains: {remedy}" for one in held}
    for market in sorted({one.market for one in orders}):
        resting = _orders([one for one in orders if one.market == market])
        found.setdefault(market, f"orders rest that the node did not send ({resting}): {remedy}")
    return found


def _orders(orders: Sequence[VenueOrder]) -> str:
    shown = [f"{one.side} {one.quantity:g} {one.market} {one.client_id or one.venue_id}" for one in orders[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(orders) - _SHOWN} more" if len(orders) > _SHOWN else "")


class AccountLock:
    """The right to trade an account: a lock of this machine, which the system frees when the process ends.

    On Linux it is a name in the kernel's own list of sockets, which every process of the machine sees whatever folders
    it is shown: a temporary folder of its own, as systemd gives one, would hide a file from a node beside it. Elsewhere
    it is a file in the user's state folder.

    Of nodes on other machines, and in containers with a network of their own, it knows nothing: those are found by
    their orders, see :func:`check_holdings` and :class:`~trading_live.node.reconciling.reconciler.Reconciler`.

    Parameters
    ----------
    key
        What tells the account from others: venue, environment, address and its public key.
    folder
        Where files lock instead.
    """

    def __init__(self, key: Sequence[str], folder: Path | None = None) -> None:
        self._name = f"trading-account-{hashlib.sha256('\0'.join(key).encode()).hexdigest()[:16]}"
        self._folder = folder or (None if sys.platform == "linux" else _state_folder())
        self._handle: object | None = None

    def acquire(self, place: str) -> None:
        """Take the lock; again is no more than once.

        Raises
        ------
        NodeError
            If another process of this machine trades the account.
        """
        if self._handle is not None:
            return
        handle = self._name_of_the_machine() if self._folder is None else self._file_in(self._folder)
        if handle is None:
            raise NodeError(
                "another node of this machine trades this account",
                where=place,
                remedy="stop it: one account, one node; a second one needs keys of another account",
            )
        self._handle = handle

    def _name_of_the_machine(self) -> socket.socket | None:
        """A socket of the lock's name; None where another process has it."""
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0{self._name}")
        except OSError:
            name.close()
            return None
        return name

    def _file_in(self, folder: Path) -> FileIO | None:
        """The lock's file, locked; None where another process has it."""
        file = folder / f"{self._name}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = file.open("ab", buffering=0)
        except OSError as error:
            raise NodeError(
                f"the account's lock cannot be opened: {error.strerror or error}",
                where=str(file),
                remedy="make the folder one that this user may write",
            ) from None
        if lock_now(handle):
            return handle
        handle.close()
        return None


def _state_folder() -> Path:
    """Where this user's programs keep what is not worth a backup."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "trading"
