"""Models of several timeframes on one market, in one node."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.live.conftest import MARKET, MakeBundle, bars_of, put_live
from tests.live.desk import desk, finish, wait_for
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import LabelSettings
from trading_live.operations import kill_switch

M5 = Timeframe.parse("5m")
WIDE = {"take_profit_pct": 30, "stop_loss_pct": 20, "horizon_bars": 500}


def test_each_model_decides_on_the_bars_of_its_own_timeframe(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, dataset: models.Dataset
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40) as one:
        slow = make_bundle(one.settings.bundles_dir, labels=LabelSettings(**WIDE))
        fast = models.write(
            one.settings.bundles_dir,
            model="fast",
            trained=models.train(dataset, slow.spec),
            dataset=dataset,
            spec=slow.spec,
            labels=LabelSettings(timeframe=M5, **WIDE),
            metrics={},
        )
        put_live(one.settings, slow)
        put_live(one.settings, fast)
        process = one.start()
        try:
            wait_for(lambda: (one.signals()["model"] == "syna").sum() >= 2, while_alive=process)
            beat = one.status().heartbeat
            kill_switch.engage(one.settings.live_dir)
            code, output = finish(process)
        finally:
            process.kill()
    assert code == 0, output
    assert beat is not None
    assert (beat.waiting, beat.refused) == ({}, {})
    assert beat.next_bars[MARKET] <= beat.last_bars[MARKET] + M5.length
    for bundle in (slow, fast):
        timeframe = bundle.labels.timeframe
        mine = one.signals().filter(pl.col("model") == bundle.model).select("bar_ts", "probability")
        rows = features.compute(bars_of(live_store_file, MARKET, timeframe.name), timeframe=timeframe)
        rows = rows.join(mine, left_on="ts", right_on="bar_ts").sort("ts")
        assert rows.height == mine.height >= 2
        assert rows["probability"].to_list() == bundle.predict(rows).to_list()
    told = one.told("history is short")
    assert told == []
