"""A node's trade at the local exchange: orders sent as the node does, a journal as the node writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.live.conftest import MARKET, START
from tests.live.replay.orders.tapes import by_hand
from tests.live.replay.standing import standing
from trading_assets.exits.plan import ExitPlan, Target
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.replay import ReplayServer
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET
from trading_live.venues.account.base import RestAccount, text
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

STILL = (100.0, 100.0, 100.0, 100.01, 1_000_000.01)
IDS = OrderIds("main")


def order_id(signal: str, purpose: str, number: int) -> str:
    """As the node makes them: of the account, the trade, the purpose (e, s, p, x), and a number."""
    return f"{IDS.of_trade(plan_of(signal, entry_order_id='none'))}{purpose}{number:03}"


@dataclass
class Desk:
    """The local exchange, the account at it, and the journal of a node that is down."""

    server: ReplayServer
    account: RestAccount
    path: Path

    def call(self, endpoint: str, **params: Any) -> Any:
        return self.account._requests.call(endpoint, {"symbol": "SYNAUSDT", **params})

    def market(self, client_id: str, signed: float, *, reduce: bool = False) -> Any:
        side = "BUY" if signed > 0 else "SELL"
        wire = self.account._ids.wire(client_id) if IDS.is_ours(client_id) else client_id
        more = {"reduceOnly": "true"} if reduce else {}
        return self.call(
            "fapiPrivatePostOrder", side=side, type="MARKET", quantity=text(signed), newClientOrderId=wire, **more
        )

    def limit(self, client_id: str, signed: float, price: float) -> None:
        wire = self.account._ids.wire(client_id) if IDS.is_ours(client_id) else client_id
        self.call(
            "fapiPrivatePostOrder",
            side="BUY" if signed > 0 else "SELL",
            type="LIMIT",
            timeInForce="GTC",
            quantity=text(signed),
            price=text(price),
            newClientOrderId=wire,
        )

    def stop(self, client_id: str, signed: float, trigger: float) -> None:
        self.call(
            "fapiPrivatePostAlgoOrder",
            algoType="CONDITIONAL",
            side="BUY" if signed > 0 else "SELL",
            type="STOP_MARKET",
            quantity=text(signed),
            triggerPrice=text(trigger),
            reduceOnly="true",
            clientAlgoId=self.account._ids.wire(client_id),
        )

    def write(self, *rows: tuple[str, dict[str, Any]]) -> None:
        with closing(Journal(self.path, "node")) as journal:
            journal.record_all(rows)

    def pass_time(self, minutes: int) -> None:
        """Let the market go on while no node runs."""
        end = self.server.now + timedelta(minutes=minutes)
        self.server.play_until(end)
        self.server.go_on()
        while self.server.now < end and not self.server.finished:
            self.server.wait(0.01)
        self.server.pause()


@contextmanager
def desk(tmp_path: Path, *candles: tuple[float, ...], **more: Any) -> Iterator[Desk]:
    """The exchange at rest before the first of these candles; each is a minute."""
    with standing(by_hand(*candles), speed=6_000, **more) as server:
        account = make_account(
            "binance",
            "perpetual",
            Credentials(REHEARSAL_KEY, REHEARSAL_SECRET),
            [MARKET],
            place="binance replay",
            base_url=server.url_http,
            timeout_s=60,
            waits=Backoff(2, 0.0, sleep=lambda _: None),
        )
        yield Desk(server, account, tmp_path / JOURNAL_FILE)


def begin_again(former: Path, one: Desk) -> None:
    """Go on with the journal of another desk, as a node does where the replay begins anew."""
    one.path.parent.mkdir(exist_ok=True)
    former.rename(one.path)
    with closing(Journal(one.path, "node")) as journal:
        journal.new_session()
        journal.record_all([("node", {"ts": START, "event": "new session", "detail": "the replay begins anew"})])


def plan_of(signal: str = "1", *, targets: int = 1, quantity: float = 10.0, **changes: Any) -> TradePlan:
    """A long trade from 100: stop 5 % below, target 4 % above, or two halves of it at 2 % and 4 %."""
    aims = (Target(0.04, 1.0),) if targets == 1 else (Target(0.02, 0.5), Target(0.04, 0.5))
    plan = TradePlan(
        market=MARKET,
        signal_id=signal,
        probability=0.6,
        known_at=START,
        expires_at=START + timedelta(hours=6),
        exits=ExitPlan(0.05, aims, timedelta(hours=6)),
        quantity=quantity,
        entry_order_id="",
    )
    plan = replace(plan, **changes)
    return plan if plan.entry_order_id else replace(plan, entry_order_id=f"{IDS.of_trade(plan)}e000")


def order_row(plan: TradePlan, client_id: str, status: str = "initialized", quantity: float | None = None) -> Any:
    purpose = IDS.purpose_of(client_id)
    return "orders", {
        "ts": START,
        "market": plan.market,
        "order_id": client_id,
        "signal_id": plan.signal_id,
        "purpose": purpose,
        "side": "buy" if purpose == "entry" else "sell",
        "order_type": {"stop_loss": "stop_market", "take_profit": "limit"}.get(str(purpose), "market"),
        "quantity": plan.quantity if quantity is None else quantity,
        "price": None,
        "status": status,
        "reason": "",
    }


def fill_rows(plan: TradePlan, sent: Any, trades: Any) -> list[Any]:
    """The entry's fills, as the node heard them."""
    return [
        (
            "fills",
            {
                "event_id": f"{plan.entry_order_id}:{one.trade_id}",
                "ts": one.ts,
                "market": one.market,
                "order_id": one.client_id,
                "trade_id": one.trade_id,
                "signal_id": plan.signal_id,
                "side": one.side,
                "quantity": one.quantity,
                "price": one.price,
                "fee": one.fee,
                "fee_currency": one.fee_currency,
            },
        )
        for one in trades
        if one.client_id == plan.entry_order_id
    ]


def planned(plan: TradePlan) -> Any:
    return "plans", plan_row(plan, START)


def opened(desk: Desk, signal: str = "1", *, targets: int = 1, quantity: float = 10.0) -> TradePlan:
    """A trade that was entered and protected, all of it journalled: then the node died."""
    plan = plan_of(signal, targets=targets, quantity=quantity)
    desk.write(planned(plan), order_row(plan, plan.entry_order_id))
    sent = desk.market(plan.entry_order_id, quantity)
    entered = fill_rows(plan, sent, desk.account.fills(MARKET, START - timedelta(minutes=1)))
    average = sum(row["quantity"] * row["price"] for _, row in entered) / quantity
    plan = plan.filled(quantity, average)
    stop = order_id(signal, "s", 1)
    aims = [one._replace(order_id=order_id(signal, "p", 2 + number)) for number, one in enumerate(plan.targets)]
    plan = replace(plan, stop_order_id=stop, targets=tuple(aims))
    desk.stop(stop, -quantity, round(plan.stop_price, 2))
    for aim in aims:
        desk.limit(aim.order_id, -aim.quantity, round(aim.price, 2))
    resting = [order_row(plan, stop), *(order_row(plan, one.order_id, quantity=one.quantity) for one in aims)]
    position = {
        "ts": entered[0][1]["ts"],
        "market": MARKET,
        "position_id": "P",
        "event": "opened",
        "quantity": quantity,
    }
    position |= {"average_price": average, "realized_pnl": 0.0, "signal_id": signal}
    desk.write(
        *entered, ("positions", position), order_row(plan, plan.entry_order_id, "filled"), planned(plan), *resting
    )
    return plan
