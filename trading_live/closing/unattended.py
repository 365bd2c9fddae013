"""Trades on markets that the engine does not know, as on one that the venue trades no more: the account minds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from trading_assets.journal import JournalState
from trading_assets.store.tables import POSITIONS
from trading_assets.strategies.plans.plan import ExitReason, TradePlan
from trading_live.closing.flatten import Flattened, close_once
from trading_live.reconciliation.comparison import kept_of
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.settlement import Rows
from trading_live.reconciliation.views import EngineSays, JournalSays, VenueSays
from trading_live.recovery.from_journal import recovered_from
from trading_live.venues.account.contract import Account, VenueError, VenueOrder

_ALL: Final = 1 - 1e-9
_WORDS: Final[Mapping[ExitReason, str]] = MappingProxyType(
    {"unprotected": "no stop of its size rests", "time": "its time is over"}
)


@dataclass(frozen=True, slots=True)
class Unattended:
    """What is to be closed, and what rests and is to be canceled, on one market.

    Attributes
    ----------
    held
        Base units of ours, negative for a short position; 0 where only orders are left.
    reason
        Why the position is closed.
    why
        In words.
    """

    market: str
    held: float
    reason: ExitReason
    why: str

    def end(self, account: Account, ours: Callable[[str], bool]) -> Difference:
        """Close at the market what is held, and cancel what rests; what the venue says against it is told.

        Raises
        ------
        VenueError
            If the venue does not answer: the next look finds what has become of it.
        """
        refused = ""
        try:
            close_once(account, Flattened(self.market, left=self.held), ours)
        except VenueError as error:
            if not error.answered:
                raise
            refused = f"; the venue refuses: {error.what}"
        detail = f"{self.held:+g} is held, and {self.why}{refused}"
        return Difference("unattended market", self.market, self.market, detail, amount=self.held)


def unattended(
    journal: JournalSays,
    engine: EngineSays,
    venue: VenueSays,
    now: datetime,
    *,
    markets: Sequence[str],
    ours: Callable[[str], bool],
) -> list[Unattended]:
    """What the account has to end, as no order of the engine can.

    A trade goes on as long as its own stop rests for all of it: its time, a kill and whatever else closes trades end
    it. Of one that is over, nothing may rest.

    Parameters
    ----------
    journal, engine, venue
        What each says.
    now
        The venue's time.
    markets
        That are compared; of them those that the engine does not know.
    ours
        Whether an order is ours, by its client id.
    """
    found = []
    for market in (one for one in markets if one in engine.apart):
        plan = engine.vanished.get(market)
        held = kept_of(journal.held.get(market, 0.0), venue.held.get(market, 0.0))
        resting = [one for one in venue.orders if one.market == market and ours(one.client_id)]
        if held and (reason := _over(plan, held, resting, now)):
            found.append(Unattended(market, held, reason, _WORDS.get(reason, f"it is to be closed: {reason}")))
        elif not held and resting and (plan is None or plan.stage != "entering"):
            found.append(Unattended(market, 0.0, "", f"{len(resting)} orders of its trade rest"))
    return found


def closed_positions(state: JournalState, markets: Collection[str]) -> Rows:
    """That the positions on these markets are closed, of which no engine tells."""
    rows = recovered_from(state).repairs if markets else ()
    return [(kind, row) for kind, row in rows if kind == POSITIONS.name and row["market"] in markets]


def _over(plan: TradePlan | None, held: float, resting: Sequence[VenueOrder], now: datetime) -> ExitReason:
    """Why a position is to be closed; empty where its trade goes on."""
    if plan is None:
        return "unprotected"
    if plan.stage == "exiting":
        return plan.exit_reason or "unprotected"
    if now >= plan.expires_at:
        return "time"
    closing = "sell" if held > 0 else "buy"
    stopped = sum(one.quantity - one.filled for one in resting if one.kind == "stop" and one.side == closing)
    return "" if stopped >= abs(held) * _ALL else "unprotected"
