"""What happened at the venue while no node ran: asked for before anything is concluded from the journal.

The engine hears nothing of what ended while it was down. So the account is asked first for the orders that the journal
names and for the fills since the trades began; what the journal lacks is written with the venue's price, fee and time;
and only then is it read what is open, and what became of each trade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trading_assets.journal import NODE, PLANS, JournalState, nothing, read_state
from trading_assets.journal.events import encode
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.plans.plan import ExitReason, Purpose, TradePlan
from trading_live.reconciliation.asking import OwnIds, ask, is_spot, journalled_fills
from trading_live.reconciliation.comparison import compare
from trading_live.reconciliation.differences import BY_COMMAND, BY_VENUE, ELSEWHERE, Difference
from trading_live.reconciliation.settlement import Rows, settled
from trading_live.reconciliation.views import JournalSays, VenueSays
from trading_live.recovery.from_journal import Recovered, newest_plans, recovered_from
from trading_live.venues.account.contract import Account, VenueFill

FOUND_EVENT: Final = "found at the venue"
"""The node event for each thing that happened while no node ran."""


def recover_at_venue(
    journal: Path, account_of: Callable[[Sequence[str]], Account], ids: OwnIds, place: str | None = None
) -> Recovered:
    """What is open, once the journal has what the venue knows.

    Parameters
    ----------
    journal
        The node's journal.
    account_of
        Gives the account for the markets on which the journal holds something open; where it holds nothing, nothing is
        asked: an entry stands in the journal before it is sent.
    ids
        Whose an order is.
    place
        Where this node trades, as its start journals it: what another place's session holds is not this account's.

    Returns
    -------
    Recovered
        Its repairs begin with what was found at the venue; ``newest`` is the journal's, as the former process left it.

    Raises
    ------
    NodeError
        If the journal cannot be read, or the venue does not answer: then nothing is concluded.
    """
    state = read_state(journal)
    says = JournalSays.of(state, journalled_fills(journal))
    plans = {market: plan for market, plan in newest_plans(state).items() if plan.stage != "closed"}
    markets = sorted({*plans, *(one.market for one in says.orders.values()), *_held(says)})
    if not markets or (place is not None and state.started not in (None, place)):
        return recovered_from(state)
    account = account_of(markets)
    named = [(market, order_id) for market, plan in plans.items() for order_id, _ in plan.orders()]
    venue = ask(account, says, plans, markets, ours=ids.is_ours, also=named, at_rest=True)
    differences = compare(
        says,
        None,
        venue,
        markets=markets,
        ours=ids.is_ours,
        explains=lambda order: order.market in plans and order.client_id.startswith(ids.of_trade(plans[order.market])),
        spot=is_spot,
    )
    now = account.clock()
    rows = settled(differences, says, state.markets, now)
    after = with_rows(state, rows)
    rows += _plan_rows(plans, after, differences, venue, ids, now)
    after = with_rows(state, rows)
    recovered = recovered_from(after)
    told = [(NODE, {"ts": now, "event": FOUND_EVENT, "detail": str(one)}) for one in differences]
    newest = datetime.fromisoformat(state.newest) if state.newest else None  # what is found is of now
    return replace(recovered, repairs=(*told, *rows, *recovered.repairs), newest=newest)


def with_rows(state: JournalState, rows: Rows) -> JournalState:
    """What the events add up to with these after them."""
    after = deepcopy(state)
    for kind, event in rows:
        _, _, payload = encode(kind, event)
        after.add(after.seq + 1, after.session, kind, payload)
    return after


def _held(says: JournalSays) -> Iterable[str]:
    return (market for market, quantity in says.held.items() if quantity)


# -- plans ------------------------------------------------------------------------------------------------------------


def _plan_rows(
    plans: Mapping[str, TradePlan],
    state: JournalState,
    differences: Sequence[Difference],
    venue: VenueSays,
    ids: OwnIds,
    now: datetime,
) -> Rows:
    rows: Rows = []
    for market, plan in plans.items():
        mine = [one for one in differences if one.market == market]
        filled = _fills_of(state, market, plan, ids)
        told = _explained(_named(plan, filled, ids), mine)
        if told.stage == "entering":
            told = _entered(told, filled, venue)
        if told != plan:
            rows.append((PLANS, plan_row(told, now)))
    return rows


def ended_by(plan: TradePlan, state: JournalState, venue: VenueSays, ids: OwnIds) -> ExitReason | None:
    """Why a trade is over whose position is gone, by the journal's last fill of it; None while the journal holds some.

    Parameters
    ----------
    plan
        The trade.
    state
        Of a journal that has what the venue knows.
    venue
        What the account said.
    ids
        Whose an order is.
    """
    one = state.markets.get(plan.market)
    if one is None or not one.fills or one.fills[-1]["signal_id"] != plan.signal_id:
        return "unfilled" if plan.stage == "entering" else "lost"
    if not nothing(one.held, one.traded):
        return None
    order_id = one.fills[-1]["order_id"]
    if order_id.startswith(ELSEWHERE):
        found = [fill for fill in venue.fills if fill.venue_id == order_id.removeprefix(ELSEWHERE)]
        return _closed_by(found, plan)
    purpose = plan.purpose_of(order_id) or ids.purpose_of(order_id)
    if purpose == "take_profit":
        return "take_profit"
    return plan.stop_kind if purpose == "stop_loss" else plan.exit_reason or "by_hand"


def _fills_of(state: JournalState, market: str, plan: TradePlan, ids: OwnIds) -> list[dict[str, Any]]:
    """The journalled fills of a trade's own orders, those found at the venue among them."""
    begins, named = ids.of_trade(plan), {order_id for order_id, _ in plan.orders()}
    rows = state.markets[market].fills if market in state.markets else []
    return [row for row in rows if row["order_id"] in named or row["order_id"].startswith(begins)]


def _named(plan: TradePlan, fills: Sequence[Mapping[str, Any]], ids: OwnIds) -> TradePlan:
    """A plan that names the orders whose fills ended it or a part of it, also those sent just before a process died."""
    for order_id in dict.fromkeys(row["order_id"] for row in fills):
        if plan.purpose_of(order_id) is not None:
            continue
        purpose: Purpose | None = ids.purpose_of(order_id)
        if purpose == "stop_loss":
            plan = replace(plan, replaced_order_id=plan.stop_order_id, stop_order_id=order_id)
        elif purpose == "exit":
            plan = replace(plan, stage="exiting", exit_order_id=order_id)
        elif purpose == "take_profit":
            plan = _with_target(plan, order_id)
    return plan


def _with_target(plan: TradePlan, order_id: str) -> TradePlan:
    targets = list(plan.targets)
    for number, one in enumerate(targets):
        if not one.is_filled and not one.order_id:
            targets[number] = one.by(order_id)
            return replace(plan, targets=tuple(targets))
    return replace(plan, exit_reason=plan.exit_reason or "take_profit")


def _explained(plan: TradePlan, differences: Sequence[Difference]) -> TradePlan:
    """A plan that says who closed its position where that was not one of its orders."""
    for one in differences:
        if one.kind == "closed elsewhere":
            plan = replace(plan, exit_reason=_closed_by(one.fills, plan))
    return plan


def _closed_by(fills: Sequence[VenueFill], plan: TradePlan) -> ExitReason:
    if not fills:
        return "lost"
    client_id = fills[-1].client_id
    if client_id.startswith(BY_VENUE):
        return "liquidation"
    return plan.exit_reason or "kill" if client_id.startswith(BY_COMMAND) else "by_hand"


def _entered(plan: TradePlan, fills: Sequence[Mapping[str, Any]], venue: VenueSays) -> TradePlan:
    """The plan of an entry that filled while nobody listened, or ended without a fill."""
    entry = [row for row in fills if row["order_id"] == plan.entry_order_id]
    quantity = sum(row["quantity"] for row in entry)
    if any(one.client_id == plan.entry_order_id for one in venue.orders):
        return plan  # it rests, and the strategy goes on with it
    if quantity <= 0:
        return replace(plan, stage="closed", exit_reason="unfilled")
    average = sum(row["quantity"] * row["price"] for row in entry) / quantity
    return plan.filled(quantity, average)
