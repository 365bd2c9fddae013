"""What the portfolio's weights do to the size of a trade, in the engine, while it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.backtest.worlds import START, A, flat, signals
from tests.strategies.desk import Desk, Rows
from trading_assets.registry.sleeve_weights import WEIGHTS, SleeveWeights, write_weights
from trading_assets.settings import PortfolioSettings, Settings
from trading_live.node.decisions.sleeve_weights import WeightsInUse, weight_of

DAY = datetime(2025, 5, 1, tzinfo=UTC)
ROUND_TRIP: Rows = [*flat(20), (100, 103, 100, 103), *flat(9, 103)]
BACK: Rows = [(103, 103, 100, 100), *flat(14)]
WORLD: Rows = [*ROUND_TRIP, *BACK, *ROUND_TRIP, *BACK, *ROUND_TRIP, *flat(60, 103)]
WANTED = signals((A, 0, 0.7), (A, 3, 0.7), (A, 6, 0.7))
"""Bars whose ends are flat at 100, so that each entry is filled there and leaves by its target."""


def weights(live_dir: Path, **shares: float) -> None:
    write_weights(live_dir, SleeveWeights(decided_at=DAY, method="equal", weights=shares))


class Told(list):
    def __call__(self, event: str, detail: str) -> None:
        self.append((event, detail))


def quantities(desk: Desk) -> list[float]:
    fills = {row["signal_id"]: row["quantity"] for row in desk.journal.of("fills") if row["side"] == "buy"}
    return [*fills.values()]


def test_half_the_weight_halves_the_position_and_a_new_weight_needs_no_restart(tmp_path: Path) -> None:
    whole, told = Desk(WORLD), Told()
    whole.start(WANTED)
    whole.run(START + timedelta(hours=3))

    weights(tmp_path, m=1.0)
    shared = Desk(WORLD)
    strategy = shared.start(WANTED, weight_of=WeightsInUse(tmp_path, told))
    shared.run(START + timedelta(minutes=40))
    weights(tmp_path, m=0.5, other=0.5)
    shared.run(START + timedelta(minutes=85))
    weights(tmp_path, other=1.0)
    shared.run(START + timedelta(hours=3))

    assert strategy is shared.strategy
    first, second, third = quantities(whole)
    assert quantities(shared) == [first, pytest.approx(second / 2, abs=0.001)]
    assert third > 0, "without weights, there is a third trade"
    assert shared.actions()[-1] == ("refuse", "the model m has 0 of the capital: its weight in the portfolio")
    assert [event for event, _ in told] == ["portfolio weights"] * 3
    assert told[1][1] == "m 50.0%, other 50.0% by equal of 2025-05-01"


def test_without_weights_nothing_is_entered_and_the_node_says_so(tmp_path: Path) -> None:
    told = Told()
    asked = WeightsInUse(tmp_path, told)
    assert asked("m") == 0
    assert [event for event, _ in told] == ["no portfolio weights"]
    weights(tmp_path, m=0.25)
    assert asked("m") == 0.25


def test_a_file_that_cannot_be_read_leaves_the_weights_of_before(tmp_path: Path) -> None:
    told = Told()
    weights(tmp_path, m=0.25)
    asked = WeightsInUse(tmp_path, told)
    (tmp_path / WEIGHTS).write_text("{")
    assert asked("m") == 0.25
    assert asked("m") == 0.25
    assert [event for event, _ in told] == ["portfolio weights", "portfolio weights refused"]
    assert told[-1][1].endswith("the weights of before stay")


def test_without_the_section_a_file_changes_nothing(tmp_path: Path) -> None:
    chosen = Settings(
        data_dir=tmp_path,
        sources={"sample": {"kind": "sample"}},
        markets={"sample:BTC/USDT": {"source": "sample"}},
    )
    weights(chosen.live_dir, m=0.25)
    assert weight_of(chosen, Told()) is None
    with_section = chosen.model_copy(update={"portfolio": PortfolioSettings()})
    assert weight_of(with_section, Told())("m") == 0.25
