"""What goes wrong with the user stream, seen by NautilusTrader's adapter."""

from __future__ import annotations

from nautilus_trader.live import LiveExecutionEngineConfig

from tests.live.replay.orders.trader import Trader, trade
from trading_live.replay import Faults, ReplayServer

TRADE = "ORDER_TRADE_UPDATE TRADE"


def test_doubled_late_and_swapped_events_are_one_fill_each(server: ReplayServer, faults: Faults) -> None:
    def script(trader: Trader) -> None:
        faults.next("event_doubled", path=TRADE)
        doubled = trader.market(1.0)
        trader.becomes(doubled, "FILLED")
        faults.next("event_late", path=TRADE, seconds=0.3)
        late = trader.market(1.0)
        trader.becomes(late, "FILLED")
        faults.next("event_swapped", path="ORDER_TRADE_UPDATE NEW")
        swapped = trader.market(1.0)
        trader.becomes(swapped, "FILLED")
        trader.until(lambda: trader.held() == 3)
        for order in (doubled, late, swapped):
            assert trader.seen(order).count("OrderFilled") == 1

    trade(server, script)
    told = [one for one in server.account.sent if one["e"] == "ORDER_TRADE_UPDATE" and one["o"]["x"] == "TRADE"]
    assert len(told) == 4, "three fills, one of them told twice"


def test_a_lost_fill_is_found_by_the_engines_checks(server: ReplayServer, faults: Faults) -> None:
    checks = LiveExecutionEngineConfig(
        reconciliation_startup_delay_secs=0.0,
        open_check_interval_secs=0.5,
        open_check_threshold_ms=100,
        position_check_interval_secs=0.5,
        position_check_threshold_ms=100,
        inflight_check_interval_ms=200,
        inflight_check_threshold_ms=300,
    )

    def script(trader: Trader) -> None:
        faults.next("event_lost", path=TRADE)
        trader.market(1.0)
        trader.until(lambda: trader.held() == 1)

    trade(server, script, engine=checks)
    told = [one for one in server.account.sent if one["e"] == "ORDER_TRADE_UPDATE" and one["o"]["x"] == "TRADE"]
    assert len(told) == 1, "the one that was lost"


def test_an_expired_key_and_a_broken_stream_are_replaced(server: ReplayServer, faults: Faults) -> None:
    def script(trader: Trader) -> None:
        price = float(server.account.exchange.prices["SYNAUSDT"])
        faults.next("key_expired", path="ORDER_TRADE_UPDATE NEW")
        trader.limit(1.0, round(price * 0.9, 2))
        trader.until(lambda: sum(one.path.endswith("listenKey") for one in faults.asked) > 2)
        order = trader.market(1.0)
        trader.becomes(order, "FILLED")
        faults.next("stream_broken", path="ORDER_TRADE_UPDATE NEW")
        trader.limit(1.0, round(price * 0.8, 2))
        trader.until(lambda: [one.path for one in faults.asked].count("/ws") >= 5)
        again = trader.market(1.0)
        trader.becomes(again, "FILLED")
        assert trader.held() == 2

    trade(server, script)


def test_a_liquidation_closes_the_position_of_the_engine(server: ReplayServer, faults: Faults) -> None:
    def script(trader: Trader) -> None:
        order = trader.market(2.0)
        trader.becomes(order, "FILLED")
        faults.next("liquidation")
        server.go_on()
        trader.until(lambda: trader.held() == 0)

    trade(server, script)
    kinds = server.account.statement()["kind"].to_list()
    assert kinds == ["transfer", "fee", "realized", "fee"]
    assert server.account.orders[-1].client_id.startswith("autoclose-")
