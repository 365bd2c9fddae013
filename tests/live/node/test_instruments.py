"""A venue that changes an instrument while the node runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import LabelSettings
from trading_live.node.instruments import InstrumentWatch
from trading_live.operations import kill_switch
from trading_live.replay import Faults

M15 = Timeframe.parse("15m")


@dataclass
class Told:
    price_increment: str
    size_increment: str


@pytest.mark.parametrize(
    ("tick", "lot", "reloads", "effect", "text"),
    [
        ("0.001", "0.1", True, "reload", "tick size 0.01 -> 0.001"),
        ("0.001", "0.1", False, "refuse", "tick size 0.01 -> 0.001"),
        ("0.10", "0.1", False, "none", "tick size 0.01 -> 0.1"),
        ("0.01", "0.01", True, "reload", "step of quantity 0.1 -> 0.01"),
        ("0.01", "10", True, "none", "step of quantity 0.1 -> 10"),
        ("0.001", "1", True, "refuse", "tick size 0.01 -> 0.001, step of quantity 0.1 -> 1"),
        ("0.025", "0.1", True, "refuse", "tick size 0.01 -> 0.025"),
    ],
)
def test_a_changed_step_says_what_becomes_of_the_bars(
    tick: str, lot: str, *, reloads: bool, effect: str, text: str
) -> None:
    venue: dict[str, Any] = {MARKET: None}
    watch = InstrumentWatch({MARKET: lambda: venue[MARKET]}, reloads=reloads)
    assert watch.changes() == []
    venue[MARKET] = Told("0.01", "0.1")
    assert watch.changes() == []
    assert watch.changes() == []
    venue[MARKET] = Told(tick, lot)
    (change,) = watch.changes()
    assert (change.effect, change.text) == (effect, f"{MARKET}: {text}")
    assert watch.changes() == []


def test_after_a_finer_tick_every_decision_is_what_the_model_says_of_the_exact_bars(
    tmp_path: Path,
    live_store_file: Path,
    make_bundle: MakeBundle,
    decision_rows: pl.DataFrame,
) -> None:
    faults = Faults()
    faults.next("tick_size", tick=0.1)  # the bars have two decimals: until the venue says so, they are read rounded
    refresh = {"TRADING_NODE__INSTRUMENT_REFRESH_S": "1"}
    wide = LabelSettings(take_profit_pct=30, stop_loss_pct=20, horizon_bars=500)
    with desk(tmp_path, live_store_file, speed=1800, hours=40, further=refresh, faults=faults) as one:
        bundle = make_bundle(one.settings.bundles_dir, labels=wide)
        put_live(one.settings, bundle)
        process = one.start()
        try:
            one.freeze(lambda: one.signals().height >= 2, process)  # no bar of the old tick is on its way
            faults.next("tick_size", tick=0.01)
            (told,) = wait_for(lambda: one.told("instrument changed"), while_alive=process)
            one.server.go_on()
            changed = one.journal()["node"].filter(pl.col("event") == "instrument changed")["seq"].item()
            wait_for(lambda: one.signals().filter(pl.col("seq") > changed).height >= 3, while_alive=process)
            kill_switch.engage(one.settings.live_dir)
            code, output = finish(process)
        finally:
            process.kill()
    assert code == 0, output
    assert told == f"{MARKET}: tick size 0.1 -> 0.01; the bars held may be rounded: they are loaded again"
    later = one.signals().filter(pl.col("seq") > changed).select("bar_ts", "probability")
    rows = decision_rows.join(later, left_on="ts", right_on="bar_ts").sort("ts")
    assert rows.height == later.height
    assert rows["probability"].to_list() == bundle.predict(rows).to_list()
