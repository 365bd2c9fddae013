"""A market that the venue no longer has, beside one that it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, OTHER, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from tests.live.node.test_without_a_model import leave_open
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.replay import protocol
from trading_live.replay.tape import Tape

INFO = "/fapi/v1/exchangeInfo"


def test_a_market_that_the_venue_no_longer_has_is_left_out_and_the_others_are_traded(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def delisted(tape: Tape, now_ms: int, query: Mapping[str, str]) -> Any:
        """The listing without the other market, but for the node's first look at it."""
        listing = protocol.exchange_info(tape, now_ms, query)
        if asked:
            listing["symbols"] = [one for one in listing["symbols"] if one["symbol"] != raw_symbol(OTHER)]
        asked.append(now_ms)
        return listing

    monkeypatch.setitem(protocol.RESOURCES, INFO, delisted)  # type: ignore[call-overload]
    with desk(tmp_path, live_store_file, speed=1800, hours=40, markets=(MARKET, OTHER)) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        left = leave_open(one.settings, price=100.0, minutes=65, market=OTHER)
        process = one.start()
        try:
            wait_for(lambda: one.signals().height >= 2, while_alive=process)
            beat = wait_for(lambda: one.status().heartbeat, while_alive=process)
        finally:
            process.terminate()
            code, output = finish(process)
    assert code == 0, output
    (told,) = one.told("market missing")
    assert told.startswith(f"{OTHER}: the venue does not have NOISEUSDT-PERP.BINANCE; the trade")
    assert (OTHER in beat.open_markets, beat.refused[OTHER]) == (True, "the venue does not have NOISEUSDT-PERP.BINANCE")
    events = one.journal()
    plans = events["plans"].filter(pl.col("market") == OTHER)
    assert TradePlan.from_json(plans["plan"].item()).signal_id == left.signal_id, "nothing was written of its trade"
    assert set(events["signals"]["market"]) == {MARKET}
