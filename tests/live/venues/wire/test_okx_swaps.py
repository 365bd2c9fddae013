"""What a node sends to OKX for a swap, and what its engine makes of the answers: one node for all of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.live.venues.wire.okx_exchange import KEYS, OkxExchange
from tests.live.venues.wire.okx_rows import SWAP
from tests.live.venues.wire.okx_trader import IDS, OkxTrader, trade_at_okx
from trading_live.execution.rejections import kind_of

MARKET = "okx:BTC/USDT:USDT"
NUMBER = 10459
"""The swap's number at the exchange."""

REFUSED = {
    "enter": ("51008", "Order failed. Insufficient USDT margin in account ", "margin"),
    "aim": ("51138", "The lowest price limit for sell orders is 31,500.0.", "band"),
    "protect": ("51278", "SL trigger price cannot be higher than the last price.", "triggers"),
}


@dataclass
class Story:
    """What was seen on the wire and in the engine."""

    exchange: OkxExchange
    ids: dict[str, str] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    fills: dict[str, list[Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    held: list[tuple[float, float]] = field(default_factory=list)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return trade_at_okx(tmp_path_factory.mktemp("okx"), MARKET, script)


def script(at: OkxTrader) -> Story:
    """Two trades that end as trades do, one after the other; then what goes wrong."""
    story = Story(at.exchange)
    for act in (_bracket, _stopped, _refusals, _behind_its_back):
        act(at, story)
    for name, order_id in story.ids.items():
        story.seen[name], story.fills[name] = at.seen(order_id), at.fills(order_id)
    story.account["fills"] = at.account.fills(MARKET, datetime(2025, 1, 1, tzinfo=UTC))
    return story


def _entered(at: OkxTrader, story: Story, name: str) -> Any:
    plan = at.trade()
    story.ids[name] = at.enter(plan)
    at.becomes(plan.entry_order_id, "FILLED")
    return plan


def _bracket(at: OkxTrader, story: Story) -> None:
    """An entry in parts, stop and targets of which one fills in parts and one is canceled, an exit."""
    at.exchange.parts = 2
    plan = _entered(at, story, "entry")
    stop, far, target = at.protect(plan), at.aim(plan, 0.005), at.aim(plan)
    story.ids |= {"stop": stop, "far": far, "target": target}
    for order in (stop, far, target):
        at.becomes(order, "ACCEPTED")
    story.account["open"] = {one.client_id: one for one in at.account.open_orders([MARKET])}
    story.account["held"] = at.account.positions()
    for size, status in (("0.25", "PARTIALLY_FILLED"), ("0.75", "FILLED")):
        at.exchange.do(lambda size=size: at.exchange.reach(target, size))
        at.becomes(target, status)
        story.held.append((at.held(), float(at.exchange.account.held)))
    for order in (stop, far):
        at.cancel(order)
        at.becomes(order, "CANCELED")
    story.ids["exit"] = at.leave(plan, 0.01)
    at.becomes(story.ids["exit"], "FILLED")
    story.held.append((at.held(), float(at.exchange.account.held)))


def _stopped(at: OkxTrader, story: Story) -> None:
    """A stop that triggers: the order that it becomes has no client id of ours, or one of the exchange's making."""
    for name, child in (("plain", ""), ("named", "680800019749904384a0")):
        plan = _entered(at, story, f"{name} entry")
        stop = story.ids[name] = at.protect(plan)
        at.becomes(stop, "ACCEPTED")
        at.exchange.do(lambda stop=stop, child=child: at.exchange.trigger(stop, child))
        at.becomes(stop, "FILLED")
        story.account[name] = at.account.order(MARKET, stop)
        story.held.append((at.held(), float(at.exchange.account.held)))


def _refusals(at: OkxTrader, story: Story) -> None:
    """Each kind of order refused, on its own way; a stop that fails once it has triggered."""
    plan = at.trade()
    sends: dict[str, Callable[[], str]] = {
        "enter": lambda: at.enter(plan),
        "aim": lambda: at.aim(plan),
        "protect": lambda: at.protect(plan),
    }
    for name, send in sends.items():
        at.exchange.refuse_next = REFUSED[name][:2]
        story.ids[name] = send()
        at.becomes(story.ids[name], "REJECTED")
    story.ids["nothing to reduce"] = at.leave(plan)
    at.becomes(story.ids["nothing to reduce"], "REJECTED")
    plan = _entered(at, story, "failing entry")
    stop = story.ids["failing"] = at.protect(plan)
    at.becomes(stop, "ACCEPTED")
    at.exchange.do(lambda: at.exchange.fail(stop, "51008"))
    at.becomes(stop, "REJECTED")
    for name in ("enter", "aim", "protect", "nothing to reduce", "failing"):
        story.refused[name] = at.reason(story.ids[name])


def _behind_its_back(at: OkxTrader, story: Story) -> None:
    """Orders that somebody cancels while nothing is heard of it: the engine's own cancel is refused, and it asks."""
    plan = at.trade()
    stop, target = at.protect(plan), at.aim(plan)
    story.ids |= {"lost stop": stop, "lost target": target}
    for order, known in ((stop, at.exchange.algos), (target, at.exchange.orders)):
        at.becomes(order, "ACCEPTED")
        at.exchange.do(lambda row=known[order]: row.update(state="canceled"))
        at.cancel(order)
        at.until(lambda order=order: "OrderCancelRejected" in at.seen(order))
        at.query(order)
        at.becomes(order, "CANCELED")


def test_whatever_is_private_carries_a_signature_that_the_exchange_accepts(told: Story) -> None:
    assert told.exchange.unsigned == []
    logins = [one["args"][0] for one in told.exchange.frames if one["op"] == "login"]
    assert len(logins) == 2, "orders on one connection, algo orders on the other"
    assert {(one["apiKey"], one["passphrase"]) for one in logins} == {(KEYS.key, KEYS.passphrase)}
    sent = {name.lower() for one in told.exchange.asked if one.method == "POST" for name in one.headers}
    assert {f"ok-access-{what}" for what in ("key", "sign", "timestamp", "passphrase")} <= sent


def test_every_request_of_the_demo_says_so(told: Story) -> None:
    engine = [one for one in told.exchange.asked if "Nautilus" in one.headers.get("User-Agent", "")]
    account = [one for one in told.exchange.asked if one not in engine]
    assert engine
    assert account
    assert {one.headers.get("x-simulated-trading") for one in told.exchange.asked} == {"1"}


def test_what_becomes_of_orders_algo_orders_and_the_account_is_listened_to(told: Story) -> None:
    wanted = [arg for one in told.exchange.frames if one["op"] == "subscribe" for arg in one["args"]]
    for channel in ({"channel": "orders", "instType": "SWAP"}, {"channel": "orders-algo", "instType": "SWAP"}):
        assert channel in wanted
    assert {"channel": "account"} in wanted


def test_the_ids_of_the_strategies_are_sent_as_they_are(told: Story) -> None:
    for order_id in told.ids.values():
        assert re.fullmatch(r"[A-Za-z0-9]{1,32}", order_id)
        assert IDS.is_ours(order_id)
        assert told.exchange.sent(order_id)


def test_an_entry_is_a_market_order_in_contracts_and_in_the_margin_mode_of_the_settings(told: Story) -> None:
    sent = told.exchange.sent(told.ids["entry"])
    wanted = {"instIdCode": NUMBER, "tdMode": "cross", "side": "buy", "posSide": "net", "ordType": "market"}
    assert wanted.items() <= sent.items()
    assert float(sent["sz"]) == 2, "0.02 BTC in contracts of 0.01"
    assert not sent.get("reduceOnly", False)


def test_targets_and_exits_can_only_reduce(told: Story) -> None:
    target, leave = told.exchange.sent(told.ids["target"]), told.exchange.sent(told.ids["exit"])
    wanted = {"instIdCode": NUMBER, "tdMode": "cross", "side": "sell", "posSide": "net", "reduceOnly": True}
    assert (wanted | {"ordType": "limit", "px": "31000.0"}).items() <= target.items()
    assert (wanted | {"ordType": "market"}).items() <= leave.items()
    assert (float(target["sz"]), float(leave["sz"])) == (1, 1)


def test_a_stop_is_an_algo_order_at_the_last_price_that_can_only_reduce_and_sells_at_the_market(told: Story) -> None:
    sent = told.exchange.sent(told.ids["stop"])
    wanted = {"instId": SWAP, "tdMode": "cross", "side": "sell", "ordType": "trigger", "reduceOnly": True}
    assert (wanted | {"triggerPx": "29700.0", "triggerPxType": "last", "orderPx": "-1"}).items() <= sent.items()
    assert float(sent["sz"]) == 2
    assert sent["algoClOrdId"] == told.ids["stop"]


def test_each_order_is_canceled_where_it_rests(told: Story) -> None:
    (limit,) = [one["args"][0] for one in told.exchange.frames if one["op"] == "cancel-order"][:1]
    assert (limit["instIdCode"], limit["clOrdId"]) == (NUMBER, told.ids["far"])
    algo = next(one.body for one in told.exchange.asked if one.path == "/trade/cancel-algos")
    assert algo == [{"instId": SWAP, "algoId": told.exchange.algos[told.ids["stop"]]["algoId"]}]
    for name in ("far", "stop"):
        assert told.seen[name][-1] == "OrderCanceled"


def test_each_part_of_an_order_has_its_own_fee_which_is_a_cost(told: Story) -> None:
    part = (1.0, 30_000.0, pytest.approx(0.15), "USDT")
    assert told.fills["entry"] == [part, part]
    assert told.fills["target"] == [
        (0.25, 31_000.0, pytest.approx(0.03875), "USDT"),
        (0.75, 31_000.0, pytest.approx(0.11625), "USDT"),
    ]


def test_engine_and_exchange_hold_the_same_after_each_fill(told: Story) -> None:
    assert told.held == [(1.75, 1.75), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize("name", ["plain", "named"])
def test_the_order_that_a_stop_becomes_fills_the_stop(told: Story, name: str) -> None:
    assert told.fills[name] == [(2.0, 30_000.0, pytest.approx(0.3), "USDT")]
    found = told.account[name]
    assert (found.client_id, found.kind, found.status, found.filled) == (told.ids[name], "stop", "filled", 0.02)


def test_the_account_sees_what_rests_and_what_is_held_as_the_engine_sent_it(told: Story) -> None:
    stop, target = (told.account["open"][told.ids[name]] for name in ("stop", "target"))
    assert (stop.kind, stop.quantity, stop.stop_price, stop.reduce_only) == ("stop", 0.02, 29_700.0, True)
    assert (target.kind, target.quantity, target.price, target.reduce_only) == ("limit", 0.01, 31_000.0, True)
    assert [one.quantity for one in told.account["held"]] == [0.02]


def test_the_account_tells_each_fill_under_the_id_that_the_strategy_gave(told: Story) -> None:
    found = {one.client_id for one in told.account["fills"]}
    assert found == {told.ids[name] for name, fills in told.fills.items() if fills}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_told_with_the_code_of_the_exchange(told: Story, name: str) -> None:
    code, words, kind = REFUSED[name]
    assert told.seen[name][-1] == "OrderRejected"
    assert code in told.refused[name]
    assert words.strip() in told.refused[name]
    assert kind_of(told.refused[name]) == kind


def test_an_exit_that_finds_nothing_to_reduce_is_refused_and_understood(told: Story) -> None:
    assert kind_of(told.refused["nothing to reduce"]) == "reduce"


def test_a_stop_that_fails_once_it_has_triggered_is_known_as_refused(told: Story) -> None:
    assert told.seen["failing"][-2:] == ["OrderAccepted", "OrderRejected"]
    assert kind_of(told.refused["failing"]) == "margin"


@pytest.mark.parametrize("name", ["lost stop", "lost target"])
def test_an_order_that_is_gone_is_known_as_canceled_once_it_is_asked_for(told: Story, name: str) -> None:
    assert told.seen[name][-2:] == ["OrderCancelRejected", "OrderCanceled"]
