"""What must be so at the venue before the first order: clock, modes, holdings, and one node for an account."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.core.errors import NodeError
from trading_assets.settings import NodeSettings
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_live.execution.start_checks import AccountLock, Known, check_clock, check_holdings, check_modes
from trading_live.venues.account import MarginMode, Modes, VenueError, VenueOrder, VenuePosition

NOW = datetime(2025, 5, 20, tzinfo=UTC)
BTC, ETH = "binance:BTC/USDT:USDT", "binance:ETH/USDT:USDT"
IDS = OrderIds("main")


@dataclass
class Books:
    """An account that says what the test wants."""

    place: str = "binance testnet"
    held: list[VenuePosition] = field(default_factory=list)
    resting: list[VenueOrder] = field(default_factory=list)
    mode: Modes = field(default_factory=lambda: Modes(20.0, "cross", hedged=False))
    refuses: str = ""
    deaf: bool = False
    ahead: timedelta = timedelta(0)
    set_to: list[Modes] = field(default_factory=list)

    def open_orders(self, markets: Collection[str]) -> list[VenueOrder]:
        return [one for one in self.resting if one.market in markets]

    def positions(self) -> list[VenuePosition]:
        return self.held

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        return self.mode

    def set_modes(self, market: str, modes: Modes) -> None:
        if self.refuses:
            raise VenueError(self.refuses)
        self.set_to.append(modes)
        if not self.deaf:
            self.mode = modes

    def clock(self) -> datetime:
        return NOW + self.ahead


def order(client_id: str, market: str = BTC) -> VenueOrder:
    return VenueOrder(client_id, "77", market, "sell", "limit", 1.0, 0.0, 9.0, None, True, "open", NOW)


def known(*markets: str, orders: Collection[str] = ()) -> Known:
    return Known(markets, set(orders).__contains__)


def test_a_clock_that_is_wrong_is_refused_with_how_much() -> None:
    check_clock(Books(ahead=timedelta(seconds=0.9)), 1.0, lambda: NOW)
    with pytest.raises(NodeError, match=r"clock is 2.5 s behind the venue's, limit 1 s \(node.max_clock_skew_s\)"):
        check_clock(Books(ahead=timedelta(seconds=2.5)), 1.0, lambda: NOW)
    with pytest.raises(NodeError, match=r"3.0 s ahead of"):
        check_clock(Books(ahead=timedelta(seconds=-3)), 1.0, lambda: NOW)


def test_modes_that_differ_are_set_and_told() -> None:
    told: list[str] = []
    books = Books(mode=Modes(20.0, "cross", hedged=True))
    node = NodeSettings(leverage=5, margin_mode="isolated")
    check_modes(books, [BTC, "binance:BTC/USDT"], node, lambda _, detail: told.append(detail))
    assert books.set_to == [Modes(5, "isolated", hedged=False)]
    assert told == [
        f"{BTC}: positions of both sides (hedge mode) -> one-way positions",
        f"{BTC}: cross margin -> isolated margin",
        f"{BTC}: leverage 20 -> leverage 5",
    ]
    check_modes(same := Books(), [BTC], NodeSettings(), lambda *_: None)
    assert same.set_to == []


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (Modes(hedged=True), "hedge mode.*one-way positions, and the venue does not change it: -4068.*set the account"),
        (Modes(margin_mode="isolated"), "has isolated margin, not cross margin.*node.margin_mode"),
        (Modes(leverage=20), "has leverage 20, not leverage 5.*node.leverage"),
    ],
)
def test_a_mode_that_the_venue_does_not_change_is_refused_with_its_remedy(mode: Modes, says: str) -> None:
    with pytest.raises(NodeError, match=says):
        check_modes(Books(mode=mode, refuses="-4068"), [BTC], NodeSettings(leverage=5), lambda *_: None)


def test_a_change_that_the_venue_took_but_did_not_make_is_refused_and_not_told() -> None:
    told: list[str] = []
    with pytest.raises(NodeError, match=r"has leverage 20, not leverage 5, though the venue took the change"):
        check_modes(Books(deaf=True), [BTC], NodeSettings(leverage=5), lambda _, detail: told.append(detail))
    assert told == []


def test_what_the_account_holds_already_is_left_alone_market_by_market() -> None:
    books = Books(held=[VenuePosition(BTC, 0.5, 100.0), VenuePosition(ETH, 1.0, 9.0)], resting=[order("web_1", ETH)])
    found = check_holdings(books, [BTC, ETH], IDS, known(ETH), adopt=False)
    assert "holds 0.5 that no plan explains" in found[BTC]
    assert "node.adopt: true" in found[BTC]
    assert "orders rest that the node did not send" in found[ETH]
    assert check_holdings(books, [BTC, ETH], IDS, known(ETH), adopt=True) == {}
    assert check_holdings(books, ["binance:SOL/USDT:USDT"], IDS, known(), adopt=False) == {}


def test_a_second_node_of_the_account_is_found_by_its_orders() -> None:
    mine = f"{IDS.prefix}abcdefghis001"
    assert IDS.is_ours(mine)
    assert check_holdings(Books(resting=[order(mine)]), [BTC], IDS, known(BTC, orders=[mine]), adopt=False) == {}
    with pytest.raises(NodeError, match=f"knows nothing of: sell 1 {BTC} {mine}.*another node trades the account"):
        check_holdings(Books(resting=[order(mine)]), [BTC], IDS, known(BTC), adopt=False)
    assert check_holdings(Books(resting=[order(mine)]), [BTC], IDS, known(BTC), adopt=True) == {}


def test_a_second_node_of_this_machine_is_refused(tmp_path: Path) -> None:
    lock = AccountLock(("binance", "testnet", "", "key"), tmp_path)
    lock.acquire("binance testnet")
    lock.acquire("binance testnet")
    other = (
        "import sys; from pathlib import Path; from trading_live.execution.start_checks import AccountLock\n"
        "AccountLock(('binance', 'testnet', '', sys.argv[2]), Path(sys.argv[1])).acquire('binance testnet')"
    )

    def start(key: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", other, str(tmp_path), key]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "another node of this machine trades this account" in start("key").stderr
    assert start("another key").returncode == 0
    assert "key" not in {file.name for file in tmp_path.iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="a name of the machine")
def test_a_node_that_is_shown_other_folders_is_refused_all_the_same(tmp_path: Path) -> None:
    key = ("binance", "testnet", str(tmp_path), "key")
    lock = AccountLock(key)
    lock.acquire("binance testnet")
    other = (
        "import sys; from trading_live.execution.start_checks import AccountLock\n"
        "AccountLock(('binance', 'testnet', *sys.argv[1:])).acquire('binance testnet')"
    )
    of_a_service = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}

    def start(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", other, str(tmp_path), name]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | of_a_service)

    assert "another node of this machine trades this account" in start("key").stderr
    assert start("another key").returncode == 0
