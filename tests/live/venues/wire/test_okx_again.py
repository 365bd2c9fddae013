"""What an engine finds at OKX by asking: orders of which it heard nothing, and what an engine before it has left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId

from tests.live.replay.orders.trader import Hands
from tests.live.venues.wire.okx_exchange import OkxExchange
from tests.live.venues.wire.okx_trader import OkxTrader, trade_at

MARKET = "okx:BTC/USDT:USDT"


@dataclass
class Story:
    """Orders by name; what each engine made of them, and what both sides held."""

    ids: dict[str, str] = field(default_factory=dict)
    unheard: dict[str, list[str]] = field(default_factory=dict)
    found: dict[str, tuple[str, str, str, bool]] = field(default_factory=dict)
    held: dict[str, tuple[float, float]] = field(default_factory=dict)
    stopped: list[tuple[float, float, float, str]] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story, folder = Story(), tmp_path_factory.mktemp("okx")
    with OkxExchange() as exchange:
        for script in (_unheard, _again):
            trade_at(exchange, folder, MARKET, lambda at, do=script: do(at, story), margin_mode="isolated")
        story.modes = {name: exchange.sent(one)["tdMode"] for name, one in story.ids.items()}
    return story


def _unheard(at: OkxTrader, story: Story) -> None:
    """An entry, its stop and its target, of none of which the exchange says a word."""
    at.exchange.silent = True
    plan = at.trade()
    story.ids["entry"] = at.enter(plan)
    at.becomes(story.ids["entry"], "FILLED")
    story.ids |= {"stop": at.protect(plan), "target": at.aim(plan)}
    for name in ("stop", "target"):
        at.becomes(story.ids[name], "ACCEPTED")
    at.exchange.silent = False
    at.exchange.do(lambda: at.exchange.reach(story.ids["target"], "0.25"))
    at.becomes(story.ids["target"], "PARTIALLY_FILLED")
    story.unheard = {name: at.seen(one) for name, one in story.ids.items()}
    story.held["unheard"] = _both(at)


def _again(at: OkxTrader, story: Story) -> None:
    """A second engine: the stop triggers, for what is left, and the target is canceled."""
    for name, order_id in story.ids.items():
        story.found[name] = at.do(lambda hands, one=order_id: _order(hands, one))
    story.held["found"] = _both(at)
    at.exchange.do(lambda: at.exchange.trigger(story.ids["stop"]))
    at.until(lambda: at.held() == 0)
    story.held["stopped"] = _both(at)
    story.stopped = at.fills(story.ids["stop"])
    at.cancel(story.ids["target"])
    at.becomes(story.ids["target"], "CANCELED")
    story.ended = {name: at.exchange.orders[one]["state"] for name, one in story.ids.items() if name != "stop"}


def _both(at: OkxTrader) -> tuple[float, float]:
    return at.held(), float(at.exchange.account.held)


def _order(hands: Hands, order_id: str) -> tuple[str, str, str, bool]:
    order: Any = hands.cache.order(ClientOrderId(order_id))
    kind, status = (str(one).rsplit(".", 1)[-1] for one in (order.order_type, order.status))
    return kind, status, str(order.leaves_qty), order.is_reduce_only


def test_every_order_is_of_the_margin_mode_of_the_settings(told: Story) -> None:
    assert told.modes == dict.fromkeys(("entry", "stop", "target"), "isolated")


def test_an_order_of_which_nothing_is_heard_is_found_by_asking(told: Story) -> None:
    assert "OrderFilled" in told.unheard["entry"]
    for name in ("stop", "target"):
        assert "OrderAccepted" in told.unheard[name]
    assert not [name for name, seen in told.unheard.items() if "OrderRejected" in seen]
    assert told.held["unheard"] == (1.75, 1.75), "nothing is counted twice"


def test_a_second_engine_finds_the_position_and_what_rests_for_it_under_our_ids(told: Story) -> None:
    assert told.held["found"] == (1.75, 1.75)
    assert told.found["stop"] == ("STOP_MARKET", "ACCEPTED", "2.00", True)
    assert told.found["target"] == ("LIMIT", "PARTIALLY_FILLED", "0.75", True)


def test_what_a_second_engine_has_found_fills_and_is_canceled_as_its_own(told: Story) -> None:
    assert told.held["stopped"] == (0.0, 0.0), "reduce-only, a stop that is too large sells what is left"
    assert told.stopped == [(1.75, 30_000.0, pytest.approx(0.2625), "USDT")]
    assert told.ended == {"entry": "filled", "target": "canceled"}
