"""Journal, engine and venue: each kind of difference is found, and settled by its rule."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.reconciliation.books import MARKET, OTHER, Ledger, at, fill, fill_row, order, order_row, ours
from trading_assets.journal import standing
from trading_live.reconciliation.asking import ask, begin_of
from trading_live.reconciliation.comparison import compare, compare_balances
from trading_live.reconciliation.differences import ELSEWHERE, RULES
from trading_live.reconciliation.fees import FeesInDoubt
from trading_live.reconciliation.settlement import settled
from trading_live.reconciliation.views import EngineSays, VenueSays

FOREIGN = {"foreign order", "foreign position"}


def kinds(differences):
    return [one.kind for one in differences]


@pytest.fixture
def ledger():
    return Ledger()


def held(market, quantity):
    return {market: quantity}


def test_books_that_agree_differ_in_nothing(ledger):
    entry = fill("1", "tA", 1.0)
    ledger.write([order_row("tA"), fill_row(entry), order_row("tS", side="sell", purpose="stop_loss")])
    venue = VenueSays([order("tS", side="sell", kind="stop")], {}, [entry], held(MARKET, 1.0))
    engine = EngineSays({"tS": MARKET}, held(MARKET, 1.0))
    explains = lambda one: one.client_id == "tS"  # noqa: E731
    assert compare(ledger.says(), engine, venue, markets=[MARKET], ours=ours, explains=explains) == []


def test_an_order_of_no_open_trade_is_unknown_though_all_three_have_it(ledger):
    """Its cancel was refused: it would meet the next trade."""
    ledger.write([order_row("tS", side="sell", purpose="stop_loss")])
    venue = VenueSays([order("tS", side="sell", kind="stop")], {}, [], {})
    engine = EngineSays({"tS": MARKET}, {})
    found = compare(ledger.says(), engine, venue, markets=[MARKET], ours=ours)
    assert [(one.kind, one.subject) for one in found] == [("unknown order", "tS")]
    assert compare(ledger.says(), None, venue, markets=[MARKET], ours=ours) == [], "before the engine has started"


def test_a_fill_that_nobody_told_of_is_journalled_as_the_venue_booked_it(ledger):
    ledger.write([order_row("tA")])
    done = replace(fill("77", "tA", 1.0, second=30), price=101.5, fee=0.07)
    venue = VenueSays([], {"tA": order("tA", filled=1.0, status="filled")}, [done], held(MARKET, 1.0))
    differences, _ = ledger.settle(venue)
    assert "unseen fill" in kinds(differences)
    row = ledger.fills[-1]
    assert (row["trade_id"], row["price"], row["fee"], row["ts"], row["signal_id"]) == ("77", 101.5, 0.07, at(30), "s1")
    assert ledger.settle(venue) == ([], 0)
    assert not ledger.state.orders


def test_a_stop_filled_while_we_thought_it_open_ends_the_position(ledger):
    ledger.write([order_row("tA"), fill_row(fill("1", "tA", 1.0)), order_row("tS", side="sell", purpose="stop_loss")])
    hit = fill("2", "tS", -1.0, price=95.0, second=60)
    venue = VenueSays([], {"tS": order("tS", side="sell", filled=1.0, status="filled")}, [fill("1", "tA", 1.0), hit])
    ledger.settle(venue)
    assert ledger.state.markets[MARKET].held == 0
    assert ledger.state.markets[MARKET].realized == pytest.approx(-5.0 - 0.1)


def test_an_order_whose_first_fill_lies_at_the_edge_of_what_was_asked_is_not_doubled(ledger):
    """The venue's stamp may lie a millisecond before ours: the answer then begins behind it."""
    first, second = fill("1", "tA", 0.4, second=60), fill("2", "tA", 0.6, second=120)
    ledger.write([order_row("tA"), fill_row(first), fill_row(second)])
    venue = VenueSays([], {}, [second], held(MARKET, 1.0), {MARKET: at(60)})
    assert compare(ledger.says(), None, venue, markets=[MARKET], ours=ours) == []


def test_what_floating_point_leaves_of_a_position_is_no_position(ledger):
    parts = [0.1, 0.2, 0.3]
    bought = [fill(str(number), f"tA{number}", part) for number, part in enumerate(parts)]
    ledger.write([row for one in bought for row in (order_row(one.client_id), fill_row(one))])
    sold = fill("9", "tS", -0.6, second=60)
    ledger.write([order_row("tS", side="sell", purpose="stop_loss", quantity=0.6)])
    differences, _ = ledger.settle(VenueSays([], {}, [*bought, sold], {}))
    assert 0.1 + 0.2 + 0.3 != 0.6
    assert kinds(differences) == ["unseen fill"]


def test_an_order_that_the_venue_never_had_is_refused_in_the_journal(ledger):
    ledger.write([order_row("tA")])
    differences, _ = ledger.settle(VenueSays(asked={"tA": None}))
    assert kinds(differences) == ["lost order"]
    assert not ledger.state.orders


def test_an_order_that_nobody_asked_for_is_not_concluded_about(ledger):
    ledger.write([order_row("tA")])
    assert ledger.settle(VenueSays())[0] == []
    assert ledger.state.orders


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected"])
def test_an_order_that_ended_at_the_venue_ends_in_the_journal(ledger, status):
    ledger.write([order_row("tA")])
    differences, _ = ledger.settle(VenueSays(asked={"tA": order("tA", status=status)}))
    assert kinds(differences) == ["ended order"]
    assert not ledger.state.orders


def test_an_order_of_ours_that_no_trade_explains_is_to_be_canceled_and_anothers_never(ledger):
    venue = VenueSays([order("tX"), order("hand-1"), order("")])
    differences = compare(ledger.says(), None, venue, markets=[MARKET], ours=ours)
    assert sorted(kinds(differences)) == ["foreign order", "foreign order", "unknown order"]
    assert not next(one for one in differences if one.kind == "foreign order").stops
    explained = compare(ledger.says(), None, venue, markets=[MARKET], ours=ours, explains=lambda _: True)
    assert kinds(explained) == ["foreign order", "foreign order"]


def test_a_position_that_another_hand_closed_is_closed_at_its_price(ledger):
    entry = fill("1", "tA", 1.0)
    ledger.write([order_row("tA"), fill_row(entry)])
    theirs = fill("2", "web_1", -0.4, price=103.0, second=50)
    differences, _ = ledger.settle(VenueSays([], {}, [entry, theirs], held(MARKET, 0.6)))
    assert kinds(differences) == ["closed elsewhere"]
    assert "by another hand" in differences[0].detail
    row = ledger.fills[-1]
    assert (row["order_id"], row["quantity"], row["price"]) == (f"{ELSEWHERE}v-web_1", 0.4, 103.0)
    assert ledger.state.markets[MARKET].held == pytest.approx(0.6)


def test_a_liquidation_is_told_as_the_venues_own(ledger):
    entry = fill("1", "tA", 1.0)
    ledger.write([order_row("tA"), fill_row(entry)])
    theirs = fill("2", "autoclose-99", -1.0, price=60.0, second=50)
    differences, _ = ledger.settle(VenueSays([], {}, [entry, theirs]))
    assert "by the venue" in differences[0].detail


def test_a_position_that_is_gone_without_a_fill_is_booked_at_its_entry_and_said_so(ledger):
    entry = fill("1", "tA", 1.0, price=100.0)
    ledger.write([order_row("tA"), fill_row(entry)])
    differences, _ = ledger.settle(VenueSays([], {}, [entry]))
    assert "no fill says how" in differences[0].detail
    assert ledger.fills[-1]["price"] == 100.0
    assert ledger.state.markets[MARKET].held == 0


@pytest.mark.parametrize(
    ("venue", "ours_left", "kind"),
    [(3.0, 1.0, {"foreign position"}), (-2.0, 0.0, {"closed elsewhere", "foreign position"})],
)
def test_what_is_held_beside_ours_is_left_alone_and_stops_entries(ledger, venue, ours_left, kind):
    entry = fill("1", "tA", 1.0)
    ledger.write([order_row("tA"), fill_row(entry)])
    differences, _ = ledger.settle(VenueSays([], {}, [entry], held(MARKET, venue)))
    assert set(kinds(differences)) == kind
    assert all(one.stops for one in differences)
    assert ledger.state.markets[MARKET].held == ours_left


def test_of_spot_what_else_is_owned_of_a_currency_is_nobodys_position(ledger):
    entry = fill("1", "tA", 1.0)
    ledger.write([order_row("tA"), fill_row(entry)])
    for owned in (50.0, 0.999):
        venue = VenueSays([], {}, [entry], held(MARKET, owned))
        assert compare(ledger.says(), None, venue, markets=[MARKET], ours=ours, spot=lambda _: True) == []
    gone = VenueSays([], {}, [entry], held(MARKET, 0.0))
    assert kinds(compare(ledger.says(), None, gone, markets=[MARKET], ours=ours, spot=lambda _: True)) == [
        "closed elsewhere"
    ]


def test_an_engine_that_made_up_a_fill_is_not_journalled_twice(ledger):
    """Its own id for what the order adds up to; the quantity of the order is what counts."""
    made_up, true = fill("uuid", "tA", 1.0), [fill("1", "tA", 0.4, fee=0.02), fill("2", "tA", 0.6, fee=0.04)]
    ledger.write([order_row("tA"), fill_row(made_up)])
    venue = VenueSays([], {"tA": order("tA", filled=1.0, status="filled")}, true, held(MARKET, 1.0))
    assert kinds(ledger.settle(venue)[0]) == ["unseen fee"]
    assert ledger.settle(venue) == ([], 0)
    ledger.write([fill_row(one) for one in true])  # the events come after all
    differences, _ = ledger.settle(venue)
    assert kinds(differences)[0] == "doubled fill"
    assert ledger.state.markets[MARKET].held == pytest.approx(1.0)
    assert kinds(ledger.settle(venue, second=1_001)[0]) == ["unseen fee"]
    assert ledger.settle(venue, second=1_002)[0] == []
    assert sum(row["fee"] for row in ledger.fills) == pytest.approx(0.06)


@pytest.mark.parametrize("sold", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("late", [False, True])
def test_a_fill_that_the_engine_made_up_gets_the_venues_prices(ledger, sold, late):
    """It knows an order's average price, rounded to a tick: half a tick of what was traded is lacking, or too much."""
    true = [fill("1", "tA", 0.4, price=100.00, fee=0.02), fill("2", "tA", 0.6, price=100.01, fee=0.04)]
    exits = [fill("3", "tX", -sold, price=110.0, second=60)] if sold else []
    ledger.write([order_row("tA"), fill_row(fill("uuid", "tA", 1.0, price=100.01, fee=0.01, second=30))])
    ledger.write([fill_row(one) for one in exits])
    venue = VenueSays([], {}, [*true, *exits], held(MARKET, 1.0 - sold))
    differences, _ = ledger.settle(venue)
    assert kinds(differences) == ["unseen price"]
    assert not differences[0].stops
    assert str(differences[0]).startswith(f"{MARKET}: unseen price: tA 100.006 at the venue, 100.01 in the journal;")
    if late:
        assert ledger.write([fill_row(one) for one in true]) == 0, "the events come after all"
    assert ledger.settle(venue, second=1_001) == ([], 0)
    signed = [(row["quantity"] if row["side"] == "buy" else -row["quantity"], row) for row in ledger.fills]
    assert sum(quantity for quantity, _ in signed) == pytest.approx(1.0 - sold)
    assert sum(quantity * row["price"] for quantity, row in signed) == pytest.approx(100.006 - 110 * sold)
    assert sum(row["fee"] for row in ledger.fills) == pytest.approx(0.06 + (0.05 if sold else 0))
    assert ledger.state.markets[MARKET].held == pytest.approx(1.0 - sold)
    assert not ledger.state.orders
    left = standing(pl.DataFrame(ledger.fills))
    assert left["trade_id"].to_list() == (["3"] if sold else []) + ["1", "2"]
    if sold == 1.0:
        assert ledger.state.markets[MARKET].realized == pytest.approx(110 - 100.006 - 0.11)


def test_an_event_that_comes_after_what_was_made_up_of_it_leaves_the_venues_prices(ledger):
    true = [fill("1", "tA", 0.4, price=100.00), fill("2", "tA", 0.6, price=100.01)]
    ledger.write([order_row("tA"), *map(fill_row, [fill("uuid", "tA", 1.0, price=100.01), *true])])
    venue = VenueSays([], {}, true, held(MARKET, 1.0))
    assert kinds(ledger.settle(venue, second=1_000)[0]) == ["doubled fill"]
    assert kinds(ledger.settle(venue, second=1_001)[0]) == ["unseen price"]
    assert ledger.settle(venue, second=1_002) == ([], 0)
    assert standing(pl.DataFrame(ledger.fills))["trade_id"].to_list() == ["1", "2"]


def test_a_fill_made_up_of_an_order_whose_trade_is_over_is_taken_back_and_no_close_is_made_up(ledger):
    """A start looks at no more than what is held: that order's first fill lies long before the one made up."""
    true = [fill("1", "tA", 1.0, second=10), fill("2", "tX", -1.0, price=101.0, second=300)]
    ledger.write([order_row("tA"), *map(fill_row, true)])
    ledger.write([fill_row(fill("uuid", "tA", 1.0, fee=0.0, second=3_000))])
    says = ledger.says()
    begin = begin_of(MARKET, says, {})
    assert begin <= at(10)
    venue = VenueSays([], {}, true, held(MARKET, 0.0), {MARKET: begin})
    assert kinds(ledger.settle(venue)[0]) == ["doubled fill"]
    assert ledger.settle(venue, second=1_001) == ([], 0)
    assert ledger.state.markets[MARKET].held == 0.0
    assert ledger.state.markets[MARKET].realized == pytest.approx(0.9)


def test_an_order_of_which_a_fill_was_taken_back_still_rests(ledger):
    ledger.write([order_row("tA", quantity=3.0), fill_row(fill("uuid", "tA", 2.0, price=100.01))])
    true = [fill("1", "tA", 0.8, price=100.00), fill("2", "tA", 1.2, price=100.01)]
    resting = order("tA", quantity=3.0, filled=2.0)
    differences = compare(
        ledger.says(), None, VenueSays([resting], {}, true, held(MARKET, 2.0)), markets=[MARKET], ours=ours
    )
    ledger.write(settled(differences, ledger.says(), ledger.state.markets, at(1_000)))
    assert ledger.state.orders["tA"].filled == pytest.approx(2.0)


def test_the_fee_of_a_fill_that_the_engine_made_up_is_the_venues(ledger):
    """It knows what an order adds up to, and nothing of what it cost; the trade is over when that is found."""
    made_up, sold = fill("uuid", "tA", 1.0, fee=0.0, second=900), fill("3", "tX", -1.0, price=110.0, second=950)
    true = [fill("1", "tA", 0.4, fee=0.02), fill("2", "tA", 0.6, fee=0.03)]
    ledger.write([fill_row(made_up), fill_row(sold)])
    says = ledger.says()
    assert set(says.feeless[MARKET]) == {"tA"}
    assert begin_of(MARKET, says, {}) is None
    assert begin_of(MARKET, says, {}, says.feeless[MARKET]) <= true[0].ts
    venue = VenueSays([], {}, [*true, sold], held(MARKET, 0.0))
    differences, _ = ledger.settle(venue)
    assert kinds(differences) == ["unseen fee"]
    assert not differences[0].stops
    assert ledger.settle(venue) == ([], 0)
    assert sum(row["fee"] for row in ledger.fills) == pytest.approx(0.1)
    assert ledger.state.markets[MARKET].held == pytest.approx(0.0)


def test_a_fee_stays_in_doubt_until_all_fills_of_its_order_agree(ledger):
    """Of an order filled in parts, one made up, the account is asked again when a further fill comes."""
    doubts, true = FeesInDoubt(), [fill("1", "tA", 0.4, fee=0.02), fill("2", "tA", 0.6, fee=0.03)]

    def compared(fills):
        says, venue = ledger.says(), VenueSays([], {}, fills, held(MARKET, sum(one.signed for one in fills)))
        assert doubts.of(says)[MARKET] == {"tA"}
        doubts.learn(says, venue, compare(says, None, venue, markets=[MARKET], ours=ours))

    ledger.write([order_row("tA"), fill_row(fill("uuid", "tA", 0.4, fee=0.0))])
    compared([])  # the account shows it a moment later
    compared(true)  # another fill is unseen, so that nothing is said of the fee yet
    ledger.write([fill_row(true[1])])
    compared(true)
    assert kinds(ledger.settle(VenueSays([], {}, true, held(MARKET, 1.0)))[0]) == ["unseen fee"]
    compared(true)
    assert doubts.of(ledger.says())[MARKET] == set()
    ledger.write([fill_row(fill("uuid2", "tA", 0.2, fee=0.0))])
    assert doubts.of(ledger.says())[MARKET] == {"tA"}


def test_a_fill_that_ends_an_order_ends_it_in_the_journal_too(ledger):
    """Asked for a moment before its fill, it still rested."""
    ledger.write([order_row("tP", side="sell", purpose="take_profit"), fill_row(fill("1", "tA", 1.0))])
    done = fill("2", "tP", -1.0, second=60)
    venue = VenueSays([order("tP", side="sell")], {}, [fill("1", "tA", 1.0), done], held(MARKET, 0.0))
    rows = settled(compare(ledger.says(), None, venue, markets=[MARKET], ours=ours), ledger.says(), {}, at(99))
    assert [(kind, row.get("status")) for kind, row in rows] == [("fills", None), ("orders", "filled")]


def test_an_order_that_a_dying_node_could_not_write_of_is_journalled_with_its_fill(ledger):
    ledger.write([order_row("tA"), fill_row(fill("1", "tA", 1.0))])
    done = fill("2", "tmain000000000s005", -1.0, second=60)
    venue = VenueSays([], {}, [fill("1", "tA", 1.0), done], held(MARKET, 0.0))
    rows = settled(compare(ledger.says(), None, venue, markets=[MARKET], ours=ours), ledger.says(), {}, at(99))
    (row,) = [row for kind, row in rows if kind == "orders" and row["order_id"] == "tmain000000000s005"]
    assert (row["status"], row["purpose"], row["side"], row["quantity"]) == ("filled", "stop_loss", "sell", 1.0)


@pytest.mark.parametrize(("stranger", "closed"), [(5.0, 10.0), (10.0, 10.0), (-3.0, 10.0), (0.0, 10.0), (5.0, 4.0)])
def test_what_a_command_has_closed_was_ours_whatever_a_stranger_holds_beside_it(ledger, stranger, closed):
    """Somebody else traded on our market, and `trading kill` closed ours while no node ran."""
    ledger.write([order_row("tA", quantity=10.0), fill_row(fill("1", "tA", 10.0))])
    by_command = fill("2", "close-1", -closed, second=60)
    by_hand = fill("3", "web", stranger, second=30) if stranger else None
    fills = [one for one in (fill("1", "tA", 10.0), by_hand, by_command) if one is not None]
    venue = VenueSays(
        [], {"tA": order("tA", filled=10.0, status="filled")}, fills, held(MARKET, 10 + stranger - closed)
    )
    ledger.settle(venue)
    assert ledger.state.markets[MARKET].held == pytest.approx(10.0 - closed)
    assert set(kinds(ledger.settle(venue)[0])) == ({"foreign position"} if stranger else set())


def test_what_the_engine_alone_still_waits_for_stops_a_market_only_as_long_as_it_matters(ledger):
    ledger.write([order_row("tQ", status="canceled")])
    engine, nothing = EngineSays({"tQ": MARKET}, held(MARKET, 0.0)), VenueSays([], {}, [], held(MARKET, 0.0))
    (left,) = compare(ledger.says(), engine, nothing, markets=[MARKET], ours=ours)
    assert (left.kind, left.stops) == ("engine leftover", False)
    ledger.write([order_row("tA"), fill_row(fill("1", "tA", 1.0))])
    holding = VenueSays([], {}, [fill("1", "tA", 1.0)], held(MARKET, 1.0))
    engine = EngineSays({"tQ": MARKET}, held(MARKET, 1.0))
    (open_,) = compare(ledger.says(), engine, holding, markets=[MARKET], ours=ours)
    assert (open_.kind, open_.stops) == ("engine order", True), "it may be a stop that does not rest"


def test_engine_and_venue_that_differ_stop_the_market_and_nothing_is_written(ledger):
    venue = VenueSays([order("tS")], {}, [], held(MARKET, 0.0))
    engine = EngineSays({"tQ": MARKET}, held(MARKET, 2.0))
    differences = compare(ledger.says(), engine, venue, markets=[MARKET], ours=ours, explains=lambda _: True)
    assert kinds(differences) == ["engine order", "engine order", "engine position"]
    assert all(one.stops for one in differences)


def test_a_balance_is_compared_to_the_cent():
    assert compare_balances({"USDT": 100.0}, {"USDT": -1.5}, {"USDT": 98.504}) == []
    (one,) = compare_balances({"USDT": 100.0}, {"USDT": -1.5}, {"USDT": 98.52, "BNB": 3.0})
    assert one.kind == "balance"
    assert "+0.02" in one.detail


def test_every_kind_has_a_rule_in_words():
    assert all(rule.settles for rule in RULES.values())


# -- properties -------------------------------------------------------------------------------------------------------

QUANTITIES = st.sampled_from([0.1, 0.25, 0.4, 1.0, 2.5])


@st.composite
def histories(draw):
    """What happened at the venue, and what of it the journal has heard, how often, and what comes late."""
    rows, fills, resting, asked, number = [], [], [], {}, 0
    for name in range(draw(st.integers(0, 6))):
        client_id, market = f"t{name}", draw(st.sampled_from([MARKET, OTHER]))
        side, quantity = draw(st.sampled_from(["buy", "sell"])), draw(QUANTITIES)
        sign = 1 if side == "buy" else -1
        begun = order_row(client_id, market, side=side, quantity=quantity)
        fate = draw(st.sampled_from(["open", "filled", "canceled", "rejected", "never", "unwritten"]))
        if fate != "unwritten":
            rows.append((begun, True))
        shares = {"filled": [1.0], "never": [], "rejected": []}.get(
            fate, draw(st.sampled_from([[], [0.3], [0.2, 0.5]]))
        )
        if fate == "filled":
            shares = draw(st.sampled_from([[1.0], [0.5, 0.5], [0.3, 0.3, 0.4]]))
        for share in shares:
            number += 1
            one = fill(str(number), client_id, sign * share * quantity, market, price=100.0 + number, second=number)
            fills.append(one)
            rows.append((fill_row(one), False))
        filled = sum(shares) * quantity
        state = {"never": None, "unwritten": "open"}.get(fate, fate)
        known = (
            None
            if state is None
            else order(client_id, market, side=side, quantity=quantity, filled=filled, status=state)
        )
        if state == "open":
            resting.append(known)
        else:
            asked[client_id] = known
            if state in ("canceled", "rejected"):
                rows.append((order_row(client_id, market, side=side, quantity=quantity, status=state), False))
    for name in range(draw(st.integers(0, 3))):
        market, number = draw(st.sampled_from([MARKET, OTHER])), number + 1
        if draw(st.booleans()):
            signed = draw(QUANTITIES) * draw(st.sampled_from([1, -1]))
            fills.append(fill(str(number), f"hand{name}", signed, market, second=number))
        else:
            resting.append(order(f"hand{name}", market))
    heard, late = [], []
    for row, always in rows:
        times = 1 if always else draw(st.sampled_from([0, 1, 1, 2]))
        heard += [row] * times
        late += [] if times else [row]
    positions = {one: sum(fill.signed for fill in fills if fill.market == one) for one in (MARKET, OTHER)}
    return VenueSays(resting, asked, fills, positions), heard, late


def assert_equal(ledger, venue):
    """What is left are strangers' things; of ours, journal and venue say the same."""
    left = compare(ledger.says(), None, venue, markets=[MARKET, OTHER], ours=ours)
    assert {one.kind for one in left} <= FOREIGN | {"unknown order"}
    says = ledger.says()
    for client_id in {one.client_id for one in venue.fills if ours(one.client_id)}:
        true = sum(one.signed for one in venue.fills if one.client_id == client_id)
        assert sum(one.signed for one in says.filled[client_id].values()) == pytest.approx(true)
    assert set(says.orders) == {one.client_id for one in venue.orders if one.client_id in says.orders}
    for market in (MARKET, OTHER):
        mine, actual = says.held.get(market, 0.0), venue.held[market]
        assert mine == pytest.approx(0.0) or (mine * actual > 0 and abs(mine) <= abs(actual) + 1e-9)


@given(histories(), st.randoms(use_true_random=False))
def test_from_any_mixture_of_lost_and_doubled_events_the_journal_comes_to_say_what_the_venue_does(history, chance):
    venue, heard, _ = history
    ledger = Ledger()
    begun = [row for row in heard if row[1].get("status") == "initialized"]
    rest = [row for row in heard if row not in begun]
    chance.shuffle(rest)
    ledger.write(begun + rest)
    ledger.settle(venue)
    assert_equal(ledger, venue)


@given(histories())
def test_settling_again_changes_nothing(history):
    venue, heard, _ = history
    ledger = Ledger()
    ledger.write(heard)
    ledger.settle(venue)
    before = ledger.says()
    differences, written = ledger.settle(venue, second=2_000)
    assert written == 0
    assert {one.kind for one in differences} <= FOREIGN | {"unknown order"}
    assert ledger.says() == before


@given(histories())
def test_events_that_come_late_change_nothing_any_more(history):
    venue, heard, late = history
    ledger = Ledger()
    ledger.write(heard)
    ledger.settle(venue)
    ledger.write(late)
    ledger.settle(venue, second=2_000)
    assert_equal(ledger, venue)


@given(histories())
def test_nothing_of_a_stranger_is_canceled_or_journalled_but_what_closed_ours(history):
    venue, heard, _ = history
    ledger = Ledger()
    ledger.write(heard)
    differences, _ = ledger.settle(venue)
    canceled = [one.order.client_id for one in differences if one.kind == "unknown order"]
    assert all(map(ours, canceled))
    assert all(ours(row["order_id"]) or row["order_id"].startswith(ELSEWHERE) for row in ledger.fills)


def test_what_fills_while_a_start_asks_is_no_position_that_nobody_explains(ledger):
    """A target filled after the fills were asked for, and before the positions were."""

    class Busy:
        def __init__(self):
            self.told = [fill("1", "tA", 1.0)]

        def open_orders(self, _):
            return []

        def order(self, *_):
            return None

        def fills(self, *_):
            return list(self.told)

        def positions(self):
            if len(self.told) == 1:
                self.told.append(fill("2", "tP", -1.0, second=1))
            return []

    ledger.write([order_row("tA"), fill_row(fill("1", "tA", 1.0))])
    hasty = ask(Busy(), ledger.says(), {}, [MARKET], ours=ours)
    assert kinds(compare(ledger.says(), None, hasty, markets=[MARKET], ours=ours)) == ["closed elsewhere"]
    calm = ask(Busy(), ledger.says(), {}, [MARKET], ours=ours, at_rest=True)
    assert kinds(compare(ledger.says(), None, calm, markets=[MARKET], ours=ours)) == ["unseen fill"]
