"""All sessions of an account make its history, each market time once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.performance.test_performance import MARKET, T0, traded
from trading_assets.journal import NODE, Journal
from trading_assets.performance.stored import keep, measure
from trading_assets.settings import Settings
from trading_assets.store import configured_store
from trading_assets.store.tables import LIVE_TRADES, PERFORMANCE

DAY = timedelta(days=1)
PAPER, LIVE = "binance replay", "binance live, live main"


def begin(journal: Journal, place: str, *, anew: bool = True) -> None:
    """A start of the node, of another session or of the same."""
    if anew:
        journal.new_session()
    journal.record(NODE, {"ts": T0, "event": "started", "detail": place})


def trade(journal: Journal, day: float, version: int = 3) -> None:
    """A closed trade, with what the account was worth before and after it."""
    for kind, row in moved(traded(f"m-v{version}-{MARKET}-{(T0 + day * DAY):%Y%m%dT%H%M}"), day * DAY):
        journal.record(kind, row)


def worth(journal: Journal, day: float, equity: float) -> None:
    """A minute of the account."""
    row = {"ts": T0 + day * DAY, "currency": "USDT", "equity": equity, "unrealized_pnl": 0.0}
    journal.record("account_equity", row)


def moved(rows: list[tuple[str, dict[str, Any]]], by: timedelta) -> list[tuple[str, dict[str, Any]]]:
    """The same, so much later."""
    return [
        (kind, {name: value + by if isinstance(value, datetime) else value for name, value in row.items()})
        for kind, row in rows
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def journal(settings: Settings) -> Journal:
    return Journal(settings.live_dir / "journal.sqlite", "n")


def figures(settings: Settings) -> tuple[int, dict[str, Any]]:
    """How many trades the table has after two runs of the asset's work, and the row of all time."""
    store = configured_store(settings)
    with store.kept_open():
        for _ in range(2):
            keep(store, *measure(store, settings))
        trades, rows = store.read(LIVE_TRADES), store.read(PERFORMANCE)
    (whole,) = rows.filter(period="all").to_dicts()
    return trades.height, whole


def test_a_place_left_and_come_back_to_has_all_its_sessions(settings: Settings, journal: Journal) -> None:
    begin(journal, LIVE, anew=False)
    worth(journal, 0, 1_000)
    trade(journal, 0)
    worth(journal, 0.5, 1_100)
    begin(journal, PAPER)
    trade(journal, 1)
    worth(journal, 1.5, 50_000)
    begin(journal, LIVE)
    worth(journal, 2, 1_100)
    trade(journal, 2)
    begin(journal, LIVE, anew=False)  # a restart: the same session goes on
    worth(journal, 2.5, 1_210)
    count, whole = figures(settings)
    assert count == 3, "of all places"
    assert whole["trades"] == 2
    assert (whole["start_equity"], whole["end_equity"]) == (1_000, 1_210)
    assert whole["return"] == pytest.approx(0.21)
    assert whole["max_drawdown"] == 0, "what happened elsewhere is not this account's"
    assert whole["sharpe"] is not None


def test_what_a_replay_goes_through_again_counts_once(settings: Settings, journal: Journal) -> None:
    begin(journal, PAPER, anew=False)
    worth(journal, 0, 1_000)
    trade(journal, 0)
    worth(journal, 0.5, 1_100)
    trade(journal, 1)
    worth(journal, 1.5, 500)
    begin(journal, PAPER)
    worth(journal, 1, 1_000)
    trade(journal, 1)
    worth(journal, 1.5, 1_100)
    count, whole = figures(settings)
    assert count == whole["trades"] == 2
    assert whole["start_equity"] == 1_000
    assert whole["return"] == pytest.approx(0.2), "the second account begins where the first one was by then"
    assert whole["max_drawdown"] == 0


def test_another_models_trades_of_the_same_time_give_way_to_the_newest_run(
    settings: Settings, journal: Journal
) -> None:
    begin(journal, PAPER, anew=False)
    worth(journal, 0, 1_000)
    trade(journal, 0)
    begin(journal, PAPER)
    worth(journal, 0, 1_000)
    trade(journal, 0, version=4)
    worth(journal, 0.5, 1_010)
    count, whole = figures(settings)
    assert (count, whole["trades"]) == (1, 1)
    assert whole["return"] == pytest.approx(0.01)
