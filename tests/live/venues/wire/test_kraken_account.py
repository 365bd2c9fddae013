"""What the node knows of a Kraken spot account: what it is worth while it trades, and what rested before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import AccountId

from tests.backtest.worlds import GENEROUS, share_of_equity
from tests.live.venues.account.documented import KEYS
from tests.live.venues.wire.kraken_node import IDS, MARKET, NOW, Desk, at_kraken, settings_at
from tests.live.venues.wire.kraken_orders import Order
from tests.live.venues.wire.kraken_venue import KrakenVenue, kraken_venue
from trading_assets.journal.holdings import Fill, Holding
from trading_assets.settings import Settings
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.matching import AT_VENUE_SPOT
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.admission import EntryAdmission
from trading_assets.strategies.risk.cash import SpotCash
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import MemoryJournal
from trading_live.node.asked_balances import AskedBalances, with_balances
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.registry import venue_of


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_SPOT_API_KEY", KEYS.key)
    monkeypatch.setenv("KRAKEN_SPOT_API_SECRET", KEYS.secret)


class Books:
    """The cash of a node's account, and its look at the balances, as fast as the test has the time go."""

    def __init__(self, hands: Any, desk: Desk) -> None:
        self.now, instruments = 0.0, {MARKET: desk.instrument}
        plan = replace(desk.plan, stage="open")
        trades = BracketOrders(hands, instruments, MemoryJournal(), RiskGate(GENEROUS), (plan,), matching=AT_VENUE_SPOT)
        self.hands, self.cash = hands, SpotCash(trades, taker_fee_bps=0.0, coins=AT_VENUE_SPOT.binds)
        self.admission = EntryAdmission(
            hands, instruments, RiskGate(GENEROUS), self.cash, None, sizing=share_of_equity(0.5)
        )
        self.asked = AskedBalances(hands, [desk.instrument], AccountId("KRAKEN-001"), lambda: self.now)

    def look(self, after_s: float) -> None:
        self.now += after_s
        self.asked.look()

    def says(self, price: float = 30000.0) -> tuple[float, float]:
        """Equity, and the balance less what is open."""
        portfolio, instrument = self.hands.portfolio, self.hands.cache.instrument(self.asked._instruments[0])
        equity = self.cash.equity(portfolio, instrument, {MARKET: price})
        balance = self.cash.balance(portfolio, instrument, {MARKET: price})
        if price == 30000.0:  # as the curve, the metrics and the protections are told, which know no newer one
            assert self.admission.equity()["USD"] == pytest.approx(equity)
        return round(equity, 4), round(balance - self.cash._bound(), 4)


def bought_and_sold(desk: Desk, venue: KrakenVenue) -> dict[str, Any]:
    found: dict[str, Any] = {}
    books = desk.do(lambda hands: Books(hands, desk))

    def says(price: float = 30000.0) -> Any:
        return desk.do(lambda _: books.says(price))

    def asks() -> None:
        before = len(venue.asked("BalanceEx"))
        for seconds in (0.0, 0.5, 0.6):
            found.setdefault("early", []).append(len(venue.asked("BalanceEx")) - before)
            desk.do(lambda _, s=seconds: books.look(s))
        desk.until(lambda: len(venue.asked("BalanceEx")) > before)

    asks()
    found["before"] = says()
    desk.becomes(desk.enter(), "FILLED")
    desk.until(lambda: desk.do(lambda hands: hands.portfolio.unrealized_pnls(desk.instrument.venue)))
    found["filled"] = says()
    asks()
    desk.until(lambda: says() != found["filled"])
    found["told"] = says()
    found["risen"] = says(31000.0)
    desk.becomes(desk.exit(), "FILLED")
    asks()
    desk.until(lambda: says()[0] == float(venue.balances["ZUSD"]))
    found["sold"] = says()
    before = len(venue.asked("BalanceEx"))
    for seconds in (58.0, 2.0):
        desk.do(lambda _, s=seconds: books.look(s))
    desk.until(lambda: len(venue.asked("BalanceEx")) == before + 1)
    return found


def test_equity_and_cash_follow_the_trades(settings: Settings) -> None:
    """The adapter hears of executions alone: without asking, the balance would be the start's for ever."""
    found: dict[str, Any] = {}
    with kraken_venue() as venue:
        at_kraken(settings_at(venue, settings), lambda desk: found.update(bought_and_sold(desk, venue)))
    assert found["before"] == (10_000.0, 10_000.0)
    assert found["filled"] == (10_000.0, 7_000.0), "what was paid is not there any more, whatever the engine adds up to"
    assert found["told"] == (9_988.0, 6_988.0)
    assert found["risen"] == (10_088.0, 6_988.0)
    assert found["sold"] == (9_976.0, 9_976.0)
    assert set(found["early"]) == {0}, "a second after the fill, not at once"


def test_a_node_with_orders_at_kraken_asks_and_others_do_not(settings: Settings) -> None:
    def plain() -> None: ...

    for name, mode, asks in (("kraken", "live", True), ("kraken", "paper", False), ("binance", "live", False)):
        node = settings.node.model_copy(update={"venue": name, "mode": mode, "environment": "live"})
        venue = venue_of(settings.model_copy(update={"node": node}))
        assert (with_balances(plain, venue, SimpleNamespace(), ()) is not plain) is asks


class Restarted:
    """The orders of a trade that is open, in a new process."""

    def __init__(self, hands: Any, desk: Desk, plan: TradePlan) -> None:
        self.journal = MemoryJournal()
        self.trades = BracketOrders(
            hands, {MARKET: desk.instrument}, self.journal, RiskGate(GENEROUS), (plan,), matching=AT_VENUE_SPOT
        )
        self.trades.now = NOW

    def follow(self, desk: Desk) -> None:
        """Take in what the engine has told since."""
        while self.heard < len(desk.events):
            self.trades.on_order_event(desk.events[self.heard][2])
            self.heard += 1

    heard = 0


def test_a_stop_that_rests_through_a_restart_is_known_again_and_another_takes_its_place(settings: Settings) -> None:
    """The adapter names it by the venue's id alone, and would tell of its fills twice."""
    plan = Desk.another("m-v1")
    plan, stop = IDS.next(replace(plan, stage="open"), "stop_loss")
    plan = replace(plan, stop_order_id=stop)
    found: dict[str, Any] = {}

    with kraken_venue() as venue:
        asked = {"symbol": "BTC/USD", "order_qty": "0.1"}
        venue._do(venue.buy(asked | {"order_type": "market", "side": "buy", "cl_ord_id": plan.entry_order_id}))
        resting = {"order_type": "stop-loss", "side": "sell", "cl_ord_id": stop, "trigger": {"price": "29000.0"}}
        venue._do(venue.add(asked | resting))

        def script(desk: Desk) -> None:
            desk.until(lambda: desk.held() == 0.1)
            restarted = desk.do(lambda hands: Restarted(hands, desk, plan))
            desk.do(lambda _: restarted.trades.resume())

            def protected() -> bool:
                desk.do(lambda _: restarted.follow(desk))
                resting = [one for one in venue.orders.values() if one.status == "open"]
                return (
                    len(resting) == 1
                    and resting[0].client_id != stop
                    and desk.status(resting[0].client_id) == "ACCEPTED"
                )

            desk.until(protected)
            newer = restarted.trades.open[MARKET].stop_order_id
            venue.trigger(newer, "0.04", "0.06", price="28990.0")
            desk.becomes(newer, "FILLED")
            desk.do(lambda _: restarted.follow(desk))
            found.update(newer=newer, rows=restarted.journal, held=desk.held())

        holding = Holding(MARKET, tuple(bought(venue.of(plan.entry_order_id))))
        at_kraken(settings_at(venue, settings), script, Recovered(holdings=(holding,)))
        assert venue.of(stop).status == "canceled"
        assert venue.of(found["newer"]).volume == venue.of(stop).volume
        assert venue.of(found["newer"]).price == venue.of(stop).price
    said = [(row["order_id"], row["status"]) for row in found["rows"].of("orders")]
    assert (stop, "canceled") in said
    fills = [(row["order_id"], row["quantity"]) for row in found["rows"].of("fills")]
    assert fills == [(found["newer"], 0.04), (found["newer"], 0.06)]
    assert found["held"] == 0


def bought(order: Order) -> list[Fill]:
    return [
        Fill(
            n,
            datetime.fromtimestamp(one.at, UTC),
            order.client_id,
            one.id,
            "m-v1",
            "buy",
            float(one.volume),
            float(one.price),
            float(one.fee),
            "USD",
        )
        for n, one in enumerate(order.trades)
    ]
