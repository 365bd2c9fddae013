"""What the node sends to Kraken spot and understands from it, through the engine's own adapter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.live.venues.account.documented import KEYS, account_at
from tests.live.venues.wire.kraken_node import IDS, MARKET, Desk, at_kraken, settings_at
from tests.live.venues.wire.kraken_venue import KrakenVenue, kraken_venue, until
from trading_assets.settings import load_settings
from trading_live.execution.rejections import explained, kind_of
from trading_live.venues.account.contract import Account, VenueError

REFUSED = ("EOrder:Insufficient funds", "EOrder:Order minimum not met", "EOrder:Cost minimum not met")


@dataclass
class Story:
    """What was done, and what was seen meanwhile."""

    venue: KrakenVenue
    account: Account
    desk: Desk
    notes: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module", autouse=True)
def keys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRAKEN_SPOT_API_KEY", KEYS.key)
        patch.setenv("KRAKEN_SPOT_API_SECRET", KEYS.secret)
        yield


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A trade that is stopped out, one that is closed, refusals, and a connection that is lost."""
    with kraken_venue() as venue:
        settings = settings_at(venue, load_settings(data_dir=tmp_path_factory.mktemp("kraken")))
        account, stories = account_at(venue, "kraken", "spot", MARKET), list[Story]()

        def script(desk: Desk) -> None:
            one = Story(venue, account, desk)
            stories.append(one)
            stopped_out(one)
            refused(one)
            closed_at_the_market(one)
            unanswered(one)
            cut_off(one)
            by_rest(one)

        at_kraken(settings, script)
        yield stories[0]


def stopped_out(one: Story) -> None:
    desk, notes = one.desk, one.notes
    notes["entry"] = desk.enter()
    desk.becomes(notes["entry"], "FILLED")
    notes["canceled stop"] = desk.protect()
    desk.becomes(notes["canceled stop"], "ACCEPTED")
    notes["resting"] = one.account.open_orders([MARKET])
    desk.withdraw(notes["canceled stop"])
    notes["target"] = desk.target(31000.04)
    desk.becomes(notes["target"], "ACCEPTED")
    desk.withdraw(notes["target"])
    notes["stop"] = desk.protect()
    desk.becomes(notes["stop"], "ACCEPTED")
    one.venue.trigger(notes["stop"], "0.03", "0.07", price="28990.0")
    desk.becomes(notes["stop"], "FILLED")
    notes["held"] = desk.held()


def refused(one: Story) -> None:
    for number, words in enumerate(REFUSED):
        one.venue.refusals.append(words)
        entry = one.desk.enter(f"refused-{number}")
        one.desk.becomes(entry, "REJECTED")
        one.notes[words] = entry


def closed_at_the_market(one: Story) -> None:
    entry = one.desk.enter("m-v2")
    one.desk.becomes(entry, "FILLED")
    one.notes["exit"] = one.desk.exit()
    one.desk.becomes(one.notes["exit"], "FILLED")


def unanswered(one: Story) -> None:
    entry = one.desk.enter("m-v3")
    one.desk.becomes(entry, "FILLED")
    one.venue.silent = True
    one.notes["unanswered"] = one.desk.protect()
    one.desk.becomes(one.notes["unanswered"], "ACCEPTED")
    one.desk.becomes(one.notes["unanswered"], "CANCELED")
    one.venue.silent = False


def cut_off(one: Story) -> None:
    before = len(one.venue.frames)
    one.venue.hang_up()
    one.notes["again"] = until(lambda: [f for f in one.venue.frames[before:] if f["method"] == "subscribe"])
    until(lambda: one.venue.listens)
    one.notes["last exit"] = one.desk.exit()
    one.desk.becomes(one.notes["last exit"], "FILLED")


def by_rest(one: Story) -> None:
    one.venue.closed = True
    one.venue.hang_up()
    until(lambda: one.venue.turned_away)
    one.venue.refusals.append(REFUSED[0])
    one.notes["by rest"] = one.desk.enter("m-v4")
    one.desk.becomes(one.notes["by rest"], "REJECTED")


def test_orders_go_by_websocket_in_the_words_of_the_documentation(story: Story) -> None:
    notes, sent = story.notes, {one["cl_ord_id"]: one for one in story.venue.sent("add_order")}
    common = {"symbol": "BTC/USD", "order_qty": 0.1}
    assert sent[notes["entry"]] == common | {"order_type": "market", "side": "buy", "cl_ord_id": notes["entry"]}
    trigger = {"reference": "last", "price": 29000.0}
    assert sent[notes["stop"]] == common | {
        "order_type": "stop-loss",
        "side": "sell",
        "cl_ord_id": notes["stop"],
        "trigger": trigger,
    }
    assert sent[notes["target"]] == common | {
        "order_type": "limit",
        "side": "sell",
        "cl_ord_id": notes["target"],
        "limit_price": 31000.1,
    }
    assert sent[notes["exit"]] == common | {"order_type": "market", "side": "sell", "cl_ord_id": notes["exit"]}


def test_our_ids_are_of_a_form_that_kraken_takes_and_come_back_as_they_were_sent(story: Story) -> None:
    notes, (resting,) = story.notes, story.notes["resting"]
    assert (resting.client_id, resting.kind, resting.stop_price, resting.quantity) == (
        notes["canceled stop"],
        "stop",
        29000.0,
        0.1,
    )
    assert len(resting.client_id) == 18
    assert IDS.is_ours(resting.client_id)
    assert IDS.purpose_of(resting.client_id) == "stop_loss"
    hit = story.account.order(MARKET, notes["stop"])
    assert hit is not None
    assert (hit.client_id, hit.status, hit.filled) == (notes["stop"], "filled", 0.1)
    since = datetime.now(UTC) - timedelta(hours=1)
    fills = [one for one in story.account.fills(MARKET, since) if one.client_id == notes["stop"]]
    assert [(one.signed, one.price, one.fee) for one in fills] == [(-0.03, 28990.0, 3.4788), (-0.07, 28990.0, 8.1172)]


def test_adapter_and_account_sign_with_one_key_and_their_nonces_count_upwards(story: Story) -> None:
    agents = {one.headers["user-agent"].partition("/")[0] for one in story.venue.requests}
    assert len(agents) == 2, "the adapter's requests, and the account's"
    assert {one.headers["api-key"] for one in story.venue.requests} == {KEYS.key}
    nonces = [int(one.params["nonce"]) for one in story.venue.requests]
    assert all(before < after for before, after in pairwise(nonces))


def test_a_request_that_another_one_has_overtaken_is_made_again(story: Story) -> None:
    story.venue.overtaken = 1
    before = len(story.venue.requests)
    assert story.account.balances()["USD"] > 0
    assert len(story.venue.requests) == before + 2
    story.venue.overtaken = 3
    with pytest.raises(VenueError, match="a nonce window"):
        story.account.balances()
    story.venue.overtaken = 0


def test_fills_come_in_parts_with_their_fees(story: Story) -> None:
    for order, parts in (
        ("entry", [(0.025, 30000.0, 3.0), (0.075, 30000.0, 9.0)]),
        ("stop", [(0.03, 28990.0, 3.48), (0.07, 28990.0, 8.12)]),
    ):
        fills = story.desk.of(story.notes[order], "OrderFilled")
        told = [(float(one.last_qty), float(one.last_px), float(one.commission.as_double())) for one in fills]
        assert told == parts
        assert {one.commission.currency.code for one in fills} == {"USD"}
    assert story.notes["held"] == 0


def test_a_stop_rests_is_triggered_and_fills(story: Story) -> None:
    assert story.desk.seen(story.notes["stop"])[1:] == ["OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderFilled"]


def test_an_order_is_canceled_by_the_venues_id(story: Story) -> None:
    for name in ("canceled stop", "target"):
        assert story.desk.seen(story.notes[name])[-1] == "OrderCanceled"
        assert {"order_id": [story.venue.of(story.notes[name]).id]} in story.venue.sent("cancel_order")


@pytest.mark.parametrize("words", REFUSED)
def test_a_refusal_comes_in_krakens_words_and_is_explained(story: Story, words: str) -> None:
    (event,) = story.desk.of(story.notes[words], "OrderRejected")
    assert event.reason == words
    assert kind_of(event.reason) == dict(zip(REFUSED, ("margin", "minimum", "notional"), strict=True))[words]
    assert "not enough free margin or balance" in explained(REFUSED[0], 0.1, 0, None)


def test_the_adapter_takes_back_an_order_whose_answer_was_lost_though_it_rests(story: Story) -> None:
    """The strategy sends another stop for one that was canceled."""
    assert {"cl_ord_id": [story.notes["unanswered"]]} in story.venue.sent("cancel_order")
    assert story.desk.seen(story.notes["unanswered"])[-2:] == ["OrderAccepted", "OrderCanceled"]


def test_after_a_cut_the_adapter_listens_with_a_new_token_and_orders_go_on(story: Story) -> None:
    (subscribed,) = (one for one in story.notes["again"] if one["params"]["channel"] == "executions")
    first = next(one for one in story.venue.frames if one["method"] == "subscribe")
    assert subscribed["params"]["token"] != first["params"]["token"]
    assert story.desk.seen(story.notes["last exit"])[-1] == "OrderFilled"


def test_while_no_websocket_is_let_in_an_order_goes_by_rest_once_and_a_refusal_is_understood(story: Story) -> None:
    (asked,) = story.venue.asked("AddOrder")
    said = {"pair": "XXBTZUSD", "type": "buy", "ordertype": "market", "volume": "0.10000000"}
    assert asked.params.items() >= (said | {"cl_ord_id": story.notes["by rest"]}).items()
    assert not {"oflags", "price", "timeinforce", "leverage", "reduce_only"} & asked.params.keys()
    (event,) = story.desk.of(story.notes["by rest"], "OrderRejected")
    assert kind_of(event.reason) == "margin"
