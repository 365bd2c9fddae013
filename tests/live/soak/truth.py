"""What the journal says, held against what the local exchange has booked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from tests.live.conftest import MARKET
from trading_assets.core.errors import TradingError
from trading_assets.journal import JOURNAL_FILE, read_since, read_state
from trading_assets.journal.state import OrderState
from trading_assets.settings import Settings
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.reconciliation.statement import beside
from trading_live.replay import ReplayServer
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account.base import RestAccount
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

IDS = OrderIds()


class Place(Protocol):
    """Where a node has traded."""

    settings: Settings
    server: ReplayServer


def differences(one: Place, asked: RestAccount | None = None) -> list[str]:
    """Everything in which the journal is not what the venue has; ``asked`` spares making an account."""
    path, account = one.settings.live_dir / JOURNAL_FILE, one.server.account
    try:
        journal = read_since(path, 0)
    except TradingError as error:
        return [str(error)]
    found = [
        *_of_orders(journal["orders"], journal["fills"], account),
        *_of_open_orders(read_state(path).orders, account),
        *_of_fills(journal["fills"], journal["plans"], account),
        *_of_position(journal["fills"], account),
    ]
    return found or _of_statement(path, asked or account_at(one.server))


def our_id(client_id: str) -> str:
    return client_id.removeprefix("x-aHRE4BCj-R")


def account_at(server: ReplayServer) -> RestAccount:
    """The account, asked as the node asks it."""
    keys = Credentials(REHEARSAL_KEY, REHEARSAL_SECRET)
    return make_account("binance", "perpetual", keys, [MARKET], place="replay", base_url=server.url_http, timeout_s=60)


def _of_orders(orders: pl.DataFrame, fills: pl.DataFrame, account: Any) -> list[str]:
    """None that rests or has filled is unknown, and each is open or ended on both sides.

    What a process has sent as its last, and the venue has ended without a fill, nobody need ever hear of.
    """
    known = set(orders["order_id"])
    every = (*account.orders, *account.conditionals)
    filled = {fill.order_id for fill in account.fills}
    sent = {
        our_id(one.client_id) for one in every if one.open or one.id in filled or getattr(one, "order_id", 0) in filled
    }
    last = dict(orders.select("order_id", "status").rows())
    wanted = dict(orders.select("order_id", "quantity").rows())
    done = dict(fills.group_by("order_id").agg(pl.col("quantity").sum()).rows())
    parts = {one for one, quantity in wanted.items() if quantity and done.get(one, 0.0) < quantity * (1 - 1e-9)}
    resting = {our_id(one.client_id) for one in every if one.open}
    ended = {"filled", "canceled", "rejected", "expired", "denied"}
    found = [f"lost order: {one} at the venue alone" for one in sorted(sent - known) if IDS.is_ours(one)]
    found += [
        f"order {one} rests at the venue, {last[one]} in the journal"
        for one in resting & known
        if last[one] in ended and not (last[one] == "filled" and one in parts)
    ]
    if not account.positions:
        found += [f"order {one} rests without a position" for one in sorted(resting)]
    return found


def _of_open_orders(orders: Mapping[str, OrderState], account: Any) -> list[str]:
    """Each that is open by the journal, where an order that has ended stays so whatever is told later, rests."""
    resting = {our_id(one.client_id) for one in (*account.orders, *account.conditionals) if one.open}
    return [
        f"order {one} is {said.row['status']} in the journal, ended at the venue"
        for one, said in orders.items()
        if said.row["status"] in ("accepted", "triggered") and one not in resting
    ]


def _of_fills(fills: pl.DataFrame, plans: pl.DataFrame, account: Any) -> list[str]:
    there: dict[str, list[float]] = {}
    parents = {one.order_id: one.client_id for one in account.conditionals if one.order_id is not None}
    orders = {one.id: parents.get(one.id, one.client_id) for one in account.orders}
    for fill in account.fills:
        name = our_id(orders[fill.order_id])
        row = there.setdefault(name if IDS.is_ours(name) else "others", [0.0, 0.0, 0.0])
        sign = 1 if fill.side == "BUY" else -1
        for place, amount in enumerate((fill.quantity, fill.quantity * fill.price, fill.fee)):
            row[place] += float(amount) * (sign if place < 2 else 1)
    sign = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    name = (
        pl.when(pl.col("order_id").map_elements(IDS.is_ours, pl.Boolean)).then("order_id").otherwise(pl.lit("others"))
    )
    sums = fills.group_by(name.alias("name")).agg(
        (sign * pl.col("quantity")).sum(),
        (sign * pl.col("quantity") * pl.col("price")).sum().alias("paid"),
        pl.col("fee").sum(),
    )
    here = {row[0]: list(row[1:]) for row in sums.rows()}
    found = []
    for name_ in sorted({*here, *there}):
        mine, theirs = here.get(name_, [0.0] * 3), there.get(name_, [0.0] * 3)
        if any(abs(a - b) > limit for a, b, limit in zip(mine, theirs, (1e-9, 0.005, 0.005), strict=True)):
            found.append(f"fills of {name_}: {mine} in the journal, {theirs} at the venue")
    entered: dict[str, set[str]] = {}
    for plan in map(TradePlan.from_json, plans["plan"]):
        if plan.entry_order_id in there:
            entered.setdefault(plan.signal_id, set()).add(plan.entry_order_id)
    found += [f"doubled: {one} was entered by {sorted(ids)}" for one, ids in entered.items() if len(ids) > 1]
    return found


def _of_position(fills: pl.DataFrame, account: Any) -> list[str]:
    held = sum(float(one.quantity) for one in account.positions.values())
    sign = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    booked = fills.select((sign * pl.col("quantity")).sum()).item() or 0.0
    return [] if abs(held - booked) < 1e-9 else [f"position {booked:+g} in the journal, {held:+g} at the venue"]


def _of_statement(path: Path, account: RestAccount) -> list[str]:
    try:
        compared = beside(account, path, IDS.is_ours)
    except TradingError as error:
        return [str(error)]
    return [f"statement: {line}" for line in compared.lines if not line.agrees]
