"""A world without faults: what the venue refuses by its own rules, and a restart that finds an old position.

A refusal is told once, with the remedy; nothing is left bare, and nothing at rest. What is held over a restart stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.live.desk import wait_for
from tests.live.forks import Forks, parent
from tests.live.soak.test_faults_and_deaths import prepare_in, problems
from tests.live.soak.truth import IDS, our_id
from tests.live.soak.world import SPEED, Ground, Outcome, World
from tests.shared import made_once
from trading_assets.journal import JOURNAL_FILE, read_since
from trading_live.execution.rejections import EVENT, kind_of
from trading_live.replay import ReplayServer
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.model import Conditional, Order, Refusal
from trading_live.replay.orders.opening import terms_of
from trading_live.replay.tape import Tape

SYMBOL = "SYNAUSDT"
HOURS = 8
BAR = timedelta(minutes=15)
OLD_MS = 11 * 24 * 3_600_000
LOOKS = 3
"""So often the account is compared before a restart counts as settled."""

type Change = Callable[[Exchange], AbstractContextManager[None]]


def filters(**changes: Any) -> Change:
    """The venue's filters as they were not when the node asked for them."""

    @contextmanager
    def changed(exchange: Exchange) -> Iterator[None]:
        former = exchange.filters[SYMBOL]
        exchange.filters[SYMBOL] = replace(former, **changes)
        yield
        exchange.filters[SYMBOL] = former

    return changed


@contextmanager
def spent(exchange: Exchange) -> Iterator[None]:
    """Of the balance next to nothing is left."""
    former, exchange.ledger.balance = exchange.ledger.balance, Decimal(1)
    yield
    exchange.ledger.balance = former


@contextmanager
def hedged(exchange: Exchange) -> Iterator[None]:
    """Positions are held apart by their sides."""
    exchange.hedged = True
    yield
    exchange.hedged = False


@contextmanager
def closed_by_hand(exchange: Exchange) -> Iterator[None]:
    """Somebody has closed the position a moment before."""
    (held,) = exchange.ledger.held()
    sign, number, now = (-1 if held.quantity > 0 else 1), exchange.number(), held.updated_ms
    side = "SELL" if sign < 0 else "BUY"
    order = Order(number, "web_1", SYMBOL, side, "MARKET", abs(held.quantity), now, now, reduce_only=True)  # type: ignore[arg-type]
    assert not isinstance(exchange.place(order, now), Refusal)
    yield


@dataclass(frozen=True)
class Case:
    """An order that is refused.

    Attributes
    ----------
    code
        The venue's.
    purpose
        Of the order.
    kind, says
        What is told of it.
    change
        What has changed at the venue.
    same
        Whether the order is of the trade of the case before.
    """

    code: int
    purpose: str
    kind: str
    says: str
    change: Change
    same: bool = False


CHANGED = "node.instrument_refresh_s"
CASES = (
    Case(-1111, "entry", "step", CHANGED, filters(step=Decimal(1))),
    Case(-4164, "entry", "notional", CHANGED, filters(min_notional=Decimal(10**7))),
    Case(-4005, "entry", "maximum", CHANGED, filters(market_max_quantity=Decimal("0.001"))),
    Case(-2027, "entry", "leverage", "node.leverage", filters(max_position=Decimal(5))),
    Case(-2019, "entry", "margin", "not enough free margin", spent),
    Case(-4061, "entry", "mode", "does not hold one-way positions", hedged),
    Case(-4131, "entry", "band", "the price is outside its band", filters(band=Decimal(0))),
    Case(-4014, "stop_loss", "tick", CHANGED, filters(tick=Decimal(7))),
    Case(-4131, "exit", "band", "the price is outside its band", filters(band=Decimal(0)), same=True),
    Case(-2022, "take_profit", "reduce", "there is no position that", closed_by_hand),
    Case(-4014, "take_profit", "tick", CHANGED, filters(tick=Decimal(7))),
)


class Refusing:
    """The account's own rules, with the next change in force for the order that it is for."""

    def __init__(self, exchange: Exchange) -> None:
        self.left, self.done = list(CASES), list[tuple[Case, str]]()
        self._exchange = exchange
        self._place, self._wait = exchange.place, exchange.wait
        exchange.place = self.place  # type: ignore[method-assign]
        exchange.wait = self.wait  # type: ignore[method-assign]

    def place(self, order: Order, now_ms: int) -> Order | Refusal:
        """Take an order, or not."""
        return self._taken(order, lambda: self._place(order, now_ms))

    def wait(self, order: Conditional, now_ms: int) -> Conditional | Refusal:
        """Take a conditional order, or not."""
        return self._taken(order, lambda: self._wait(order, now_ms))

    def _taken[T](self, order: Order | Conditional, take: Callable[[], T]) -> T:
        if not self._is_due(our_id(order.client_id)):
            return take()
        case = self.left.pop(0)
        with case.change(self._exchange):
            found = take()
        assert isinstance(found, Refusal)
        assert found.code == case.code
        self.done.append((case, our_id(order.client_id)))
        return found

    def _is_due(self, order_id: str) -> bool:
        if not self.left or IDS.purpose_of(order_id) != self.left[0].purpose:
            return False
        before = self.done[-1][1] if self.done else ""
        return (IDS.trade_of(order_id) == IDS.trade_of(before)) == self.left[0].same


class RefusingWorld(World):
    """A node at a venue that refuses one order after the other; then it is ended and started again.

    Attributes
    ----------
    refusing
        What is refused.
    before, after
        The restart: the position, the resting stops, and how many orders were ever sent.
    """

    def __init__(self, ground: Ground, folder: Path, forks: Forks) -> None:
        super().__init__(1, ground, folder, forks)
        self.faults.clear()
        self.end = self.start + timedelta(hours=HOURS)
        tape = Tape(list(ground.tape.instruments.values()), self.start, self.end)
        self.server = ReplayServer(tape, speed=SPEED, faults=self.faults, terms=terms_of(self.settings))
        self.refusing = Refusing(self.server.account.exchange)
        self.before: Any = None
        self.after: Any = None

    def _live(self) -> None:
        self._start()
        until = self.start
        while self.refusing.left and until < self.end:
            until += BAR
            self._until(until)
        self.server.pause()
        self._settled()
        self._end()
        self.before = self._open()
        self._start_with_an_old_position()
        self.after = self._open()
        self._end()

    def _start_with_an_old_position(self) -> None:
        """The venue's list of fills begins after the entry, as it does for what is older than an engine looks back."""
        fills = self.server.account.exchange.fills
        aged = [replace(one, at_ms=one.at_ms - OLD_MS) for one in fills]
        fills[:], true = aged, fills[:]
        self._start()
        wait_for(lambda: self.trades)
        looked = self._looks()
        wait_for(lambda: self._looks() >= looked + LOOKS)
        fills[:] = true

    def _looks(self) -> int:
        """How often anybody has asked what rests."""
        return sum(one.path == "/fapi/v1/openAlgoOrders" for one in list(self.faults.asked))

    def _open(self) -> Any:
        account = self.server.account
        resting = sorted(one.client_id for one in account.conditionals if one.open)
        held = {symbol: one.quantity for symbol, one in account.positions.items()}
        return held, resting, len(account.orders) + len(account.conditionals)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[RefusingWorld, Outcome, dict[str, pl.DataFrame]]:
    ground = Ground.of(made_once(tmp_path_factory, "soak", prepare_in) / "soak")
    world = RefusingWorld(ground, tmp_path_factory.mktemp("without-faults"), parent())
    return world, world.live(), read_since(world.settings.live_dir / JOURNAL_FILE, 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{one.kind}_{one.purpose}" for one in CASES])
def test_a_refused_order_is_journalled_and_told_once_with_its_remedy(refused: Any, number: int) -> None:
    world, _, journal = refused
    case, order_id = world.refusing.done[number]
    mine = journal["orders"].filter(order_id=order_id)
    assert mine["status"].to_list()[-1] == "rejected"
    assert str(case.code) in mine["reason"].to_list()[-1]
    told = [one for one in journal["node"].filter(event=EVENT)["detail"] if order_id in one]
    assert len(told) == 1
    assert case.says in told[0]
    assert kind_of(told[0]) == case.kind


@pytest.mark.slow
def test_after_all_refusals_the_journal_is_the_venues_and_what_is_held_has_its_stop(refused: Any) -> None:
    world, outcome, _ = refused
    assert world.refusing.left == []
    assert problems(outcome) == []


@pytest.mark.slow
def test_a_restart_leaves_an_old_position_and_its_stop_as_they_were(refused: Any) -> None:
    world, _, journal = refused
    held, resting, _ = world.before
    assert held
    assert len(resting) == 1
    assert world.after == world.before, "nothing was sent, closed or canceled"
    assert journal["node"].filter(event="position recovered").height == 1
