"""With no node running, what is ours is closed at the venue, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from tests.live.closing.spot import SPOT_MARKET, spot_venue
from tests.live.conftest import MARKET
from tests.live.rehearsed import IDS, STILL, desk, opened, order_id
from trading_assets.journal import read_state
from trading_live.closing.flatten import Flattened, close_once, flatten_account
from trading_live.venues.account import VenueError, VenueOrder, VenuePosition


def held(one):
    return {market: state.held for market, state in read_state(one.path).markets.items()}


def test_position_and_orders_are_gone_and_strangers_are_left(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.market("web_1", 3.0)
        one.limit("web_2", 1.0, 90.0)
        (found,) = flatten_account(one.account, [MARKET], ours=IDS.is_ours, held=held(one))
        assert found.is_flat
        assert sum(order.filled for order in found.closed) == pytest.approx(10.0)
        assert len(found.canceled) == 2
        assert [order.client_id for order in one.account.open_orders([MARKET])] == ["web_2"]
        assert [position.quantity for position in one.account.positions()] == [3.0]
        assert flatten_account(one.account, [MARKET], ours=IDS.is_ours, held={MARKET: 0.0})[0].is_flat


def test_without_a_journal_everything_on_the_markets_is_closed(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.market("web_1", 3.0)
        (found,) = flatten_account(one.account, [MARKET], ours=IDS.is_ours, held=None)
        assert found.is_flat
        assert one.account.positions() == []


class Failing:
    """An account that fails some times at a call."""

    def __init__(self, account, **times):
        self._account, self._times, self.calls = account, times, []

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append(name)
            if self._times.get(name, 0) > 0:
                self._times[name] -= 1
                raise VenueError(f"{name} was not answered", where="here", answered=False)
            return getattr(self._account, name)(*args, **kwargs)

        return call


@pytest.mark.parametrize("name", ["positions", "open_orders", "close", "cancel"])
def test_a_failure_is_tried_again_after_looking(tmp_path, name):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account = Failing(one.account, **{name: 2})
        (found,) = flatten_account(account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None)
        assert found.is_flat
        assert one.account.positions() == []
        assert one.account.open_orders([MARKET]) == []


class Lossy(Failing):
    """An account of which the answer to the first closing order is lost; ``hidden`` times it does not find it then."""

    def __init__(self, account, hidden=0, **times):
        super().__init__(account, **times)
        self.sent, self._hidden = [], hidden

    def close(self, *asked):
        self.sent.append(self._account.close(*asked))
        if len(self.sent) == 1:
            raise VenueError("close was not answered", answered=False)
        return self.sent[-1]

    def order(self, *asked):
        self._hidden -= 1
        return None if self._hidden >= 0 else self._account.order(*asked)


class Slow(Failing):
    """An account that says of a closing order at first that nothing of it is filled."""

    def __init__(self, account):
        super().__init__(account)
        self.sent = []

    def close(self, *asked):
        self.sent.append(self._account.close(*asked))
        return replace(self.sent[-1], filled=0.0, status="open")


@pytest.mark.parametrize("hidden", [0, 10**6])
def test_an_order_whose_answer_was_lost_is_not_sent_again(tmp_path, hidden):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        one.market("web_1", 3.0)
        account = Lossy(one.account, hidden)
        (found,) = flatten_account(account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None)
        assert found.is_flat
        assert len(account.sent) == 1
        assert [position.quantity for position in one.account.positions()] == [3.0], "a stranger's is left alone"
        assert one.account.open_orders([MARKET]) == []


@pytest.mark.parametrize("slow", [Slow, Lossy, partial(Lossy, hidden=10**6)], ids=["slow", "lost", "lost and hidden"])
def test_of_a_balance_what_is_ours_is_sold_once(slow):
    with spot_venue("1.1") as one:
        one.rest(order_id("1", "s", 1), "0.1")
        account = slow(one.account)
        (found,) = flatten_account(
            account, [SPOT_MARKET], ours=IDS.is_ours, held={SPOT_MARKET: 0.1}, sleep=lambda _: None
        )
        assert found.is_flat
        assert one.sold == ["0.1"]


def test_while_an_order_that_was_accepted_is_open_no_other_is_sent(tmp_path):
    class Waiting(Slow):
        def close(self, *asked):
            self.sent.append(None)
            return VenueOrder(
                asked[-1], "1", MARKET, "sell", "market", 10.0, 0.0, None, None, True, "open", self.clock()
            )

        def order(self, *_):
            return None

    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account, time = Waiting(one.account), iter(range(1000))
        (found,) = flatten_account(
            account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None, clock=lambda: next(time)
        )
        assert found.left == 10.0
        assert len(account.sent) == 1


def test_a_venue_that_stays_silent_is_told_with_what_is_left(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account = Failing(one.account, close=10**6)
        time = iter(range(1000))
        (found,) = flatten_account(
            account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None, clock=lambda: next(time)
        )
        assert not found.is_flat
        assert found.left == 10.0
        assert "close was not answered" in found.problem


@pytest.mark.parametrize(("bought", "expected"), [(0.8, 0.7 + 0.1), (0.2, 0.3 - 0.1)])
def test_a_sum_of_fills_is_closed_in_whole_steps_of_the_venue(tmp_path, bought, expected):
    with desk(tmp_path, STILL, STILL) as one:
        one.market(order_id("1", "e", 0), bought)
        one.market("web_1", 3.0)
        assert expected != bought, "the last digits of the sum are none that the venue takes"
        (found,) = flatten_account(one.account, [MARKET], ours=IDS.is_ours, held={MARKET: expected})
        assert found.is_flat
        assert [order.filled for order in found.closed] == [bought]
        assert [position.quantity for position in one.account.positions()] == [3.0]


def test_of_a_balance_the_whole_steps_are_sold_and_what_fees_left_below_one_is_nothing():
    with spot_venue("0.00122877") as one:
        one.rest(stop := order_id("1", "s", 1), "0.00122")
        (found,) = flatten_account(one.account, [SPOT_MARKET], ours=IDS.is_ours, held={SPOT_MARKET: 0.00123})
        assert found.is_flat
        assert found.canceled == [stop]
        assert one.sold == ["0.00122"]
        assert one.owned == Decimal("0.00000877")


def test_what_is_below_a_step_is_nothing():
    with spot_venue("0.00000877") as one:
        (found,) = flatten_account(one.account, [SPOT_MARKET], ours=IDS.is_ours, held={SPOT_MARKET: 0.00000877})
        assert found.is_flat
        assert one.sold == []


def test_no_stop_is_canceled_before_it_is_known_what_can_be_sold():
    with spot_venue("0.00122877") as one:
        one.rest(stop := order_id("1", "s", 1), "0.00122")
        account = Failing(one.account, closable=1)
        with pytest.raises(VenueError):
            close_once(account, Flattened(SPOT_MARKET, left=0.00123), IDS.is_ours)
        assert one.resting == [stop]


class Two(Failing):
    """Another market beside the desk's, where 5 of ours are held and one of our orders rests."""

    other = "sample:SYNB/USDT:USDT"

    def __init__(self, account, **times):
        super().__init__(account, **times)
        self._held, self._resting = 5.0, [order_id("2", "s", 1)]

    def positions(self):
        more = [VenuePosition(self.other, self._held, 100.0)] if self._held else []
        return [*self.__getattr__("positions")(), *more]

    def closable(self, market, quantity):
        return quantity

    def close(self, market, *asked):
        self.calls.append(f"close {market}")
        if market != self.other:
            return self._account.close(market, *asked)
        self._held = 0.0
        return self._order(asked[-1], "market", 5.0, "filled")

    def open_orders(self, markets):
        if list(markets) != [self.other]:
            return self._account.open_orders(markets)
        return [self._order(one, "stop", 0.0, "open") for one in self._resting]

    def cancel(self, market, client_id):
        self.calls.append(f"cancel {market}")
        if market != self.other:
            return self._account.cancel(market, client_id)
        self._resting.remove(client_id)
        return True

    def _order(self, client_id, kind, filled, status):
        return VenueOrder(client_id, "1", self.other, "sell", kind, 5.0, filled, None, None, True, status, self.clock())


def test_every_position_is_closed_before_any_order_is_canceled(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account = Two(one.account)
        found = flatten_account(account, [MARKET, Two.other], ours=IDS.is_ours, held=held(one) | {Two.other: 5.0})
        assert all(one.is_flat for one in found)
        did = [call.split()[0] for call in account.calls if call.startswith(("close", "cancel"))]
        assert did == ["close", "close", "cancel", "cancel", "cancel"]


def test_what_a_slow_first_round_closed_is_told_as_closed(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        time = iter(range(0, 10_000, 60))
        (found,) = flatten_account(
            one.account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None, clock=lambda: next(time)
        )
        assert found.is_flat
        assert found.left == 0.0


def test_what_the_last_round_closed_is_told_as_closed(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        (found,) = flatten_account(one.account, [MARKET], ours=IDS.is_ours, held=held(one), seconds=0)
        assert found.is_flat
        assert one.account.positions() == []


def test_a_venue_that_says_late_what_is_held_is_still_asked_to_close_it(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account, time = Failing(one.account, positions=2), iter(range(0, 10_000, 15))
        (found,) = flatten_account(
            account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None, clock=lambda: next(time)
        )
        assert found.is_flat
        assert one.account.positions() == []


def test_a_venue_that_never_says_what_is_held_is_given_up(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        opened(one)
        account, time = Failing(one.account, positions=10**6), iter(range(0, 10_000, 15))
        (found,) = flatten_account(
            account, [MARKET], ours=IDS.is_ours, held=held(one), sleep=lambda _: None, clock=lambda: next(time)
        )
        assert not found.is_flat
        assert "positions was not answered" in found.problem
