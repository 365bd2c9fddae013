"""Which models a node takes that read auxiliary series, and what it says while one of them is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
from nautilus_trader.model import InstrumentId

from tests.live.conftest import MARKET, START, bars_of, put_live
from tests.live.desk import wait_for
from tests.live.node.auxiliary.test_funding import PERPETUAL, Told
from tests.live.node.auxiliary.test_funding import Clock as VenueTime
from tests.live.node.auxiliary.worlds import bundle_of
from tests.live.node.test_parts import _Gaps, closed_bars
from tests.live.node.test_shadow import Engine, put_in_shadow
from trading_assets import features
from trading_assets.core.errors import StoreError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.features.framework.order_flow import of_trades
from trading_assets.recordings import spool_folder
from trading_assets.settings import ProtectionSettings, Settings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.sentiment import SentimentHttp
from trading_assets.store import Store
from trading_assets.store.tables import PUBLIC_TRADES
from trading_assets.strategies.signals import Stream
from trading_live.node.auxiliary import series as series_module
from trading_live.node.auxiliary.funding import VenueFunding
from trading_live.node.auxiliary.listening import AuxiliaryListener, spread_bps
from trading_live.node.auxiliary.needs import Needs
from trading_live.node.auxiliary.opening import open_series
from trading_live.node.auxiliary.recorded import RecordedSeries
from trading_live.node.auxiliary.series import AuxiliarySeries, Past
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.needs import needs_of
from trading_live.node.decisions.shadow import ShadowDecisions
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.decisions.steps import PriceSteps
from trading_live.venues.registry import venue_of

STREAM = Stream(MARKET, "5m")
GREED = SentimentHttp(kind="http", url="http://127.0.0.1:1/")


@pytest.fixture(scope="module")
def bars(live_store_file: Path) -> pl.DataFrame:
    return bars_of(live_store_file, MARKET, "5m")


@pytest.mark.parametrize(
    ("series", "provided", "held", "said"),
    [
        (["trades", "funding"], False, None, None),
        (["sentiment"], True, [("sentiment", MARKET)], None),
        (
            ["sentiment"],
            False,
            None,
            "it reads features of sentiment, which the node does not hold; name the provider of its scores",
        ),
        (
            ["second_exchange", "book"],
            False,
            None,
            "it reads features of second_exchange, which the node does not hold; train it without second_exchange",
        ),
        (
            ["book"],
            False,
            [("trades", MARKET)],
            "it reads features of book, which the node does not hold; start the node again",
        ),
    ],
)
def test_a_model_is_taken_with_the_series_that_can_be_had_here_and_else_refused_by_name(
    settings: Settings,
    store: Store,
    bars: pl.DataFrame,
    series: list[str],
    provided: bool,
    held: list[tuple[str, str]] | None,
    said: str | None,
) -> None:
    put_live(settings, bundle_of(settings.bundles_dir, store, bars, series))
    known = settings.model_copy(update={"sentiment": {"greed": GREED} if provided else {}})
    shelf = DeployedModels(known, lambda *_: None)
    if held is not None:
        shelf.hold(held)
    assert shelf.refresh() is (said is None)
    if said is None:
        assert tuple(shelf.models[0].beside) == tuple(sorted(series))
    else:
        assert said in shelf.refusals["beside"]


def test_what_is_read_is_held_as_far_back_as_features_look_and_payments_where_a_plan_leaves_before_them(
    settings: Settings, store: Store, bars: pl.DataFrame
) -> None:
    plan = ExitSettings(before_funding=True)
    put_live(settings, bundle_of(settings.bundles_dir, store, bars, ["book", "funding"], plan))
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    needs = needs_of(settings, shelf.models, [STREAM])
    assert needs.bars == {("book", MARKET): {"5m": 16}, ("funding", MARKET): {"5m": 289}}
    assert needs.reach("funding", MARKET) == 289 * timedelta(minutes=5) + COMPANIONS["funding"].max_age
    assert (needs.payments, needs.spreads) == ({MARKET}, frozenset())
    limits = settings.trading.model_copy(update={"protections": ProtectionSettings(funding_bps=30)})  # type: ignore[arg-type]
    watched = settings.model_copy(
        update={"trading": limits, "node": settings.node.model_copy(update={"watch_spreads": True})}
    )
    needs = needs_of(watched, [], [STREAM])
    assert (needs.payments, needs.spreads, needs.bars) == ({MARKET}, {MARKET}, {})
    real = settings.node.model_copy(update={"mode": "live", "environment": "testnet"})
    assert needs_of(settings.model_copy(update={"node": real}), [], [STREAM]).spreads == {MARKET}


def test_nothing_is_decided_and_the_reason_is_said_until_what_was_recorded_is_read(
    settings: Settings, store: Store, bars: pl.DataFrame
) -> None:
    bundle = bundle_of(settings.bundles_dir, store, bars, ["trades"])
    put_live(settings, bundle)
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    trades = RecordedSeries("trades", {"5m": 1})
    beside = AuxiliarySeries({("trades", MARKET): trades})
    signals = LiveSignals({STREAM: 200}, shelf, _Gaps(), cost_bps=0.0, auxiliary=beside)
    closed = [replace(bar, timeframe="5m") for bar in closed_bars(bars)[:202]]
    signals.histories[STREAM].merge(closed[:-2])
    assert signals.on_bar(closed[-2]) is None
    assert signals.state() == {MARKET: "trades: what was recorded before is not read yet"}
    trades.load(pl.DataFrame(schema=PUBLIC_TRADES.columns))
    assert signals.on_bar(closed[-1]) is not None, "nothing was recorded: null, as the tables have it"
    assert signals.state() == {}


def test_a_disk_that_takes_no_recording_leaves_open_trades_managed(settings: Settings) -> None:
    told: list[tuple[str, str]] = []
    spool_folder(settings).parent.mkdir(parents=True)
    spool_folder(settings).write_text("a file where the folder should be")
    needs = Needs({("trades", MARKET): {"5m": 1}}, spreads=frozenset({MARKET}))
    venue = venue_of(settings)
    instruments = {MARKET: InstrumentId.from_str(venue.instrument_id(MARKET))}
    beside = open_series(settings, venue, needs, instruments, lambda *one: told.append(one))
    try:
        assert beside.listener is None
        assert [event for event, _ in told] == ["recording refused"]
        assert beside.known(["trades"], STREAM, START) == f"trades of {MARKET} is not listened to"
        assert list(beside.measures()) == []
    finally:
        beside.close()


def test_a_spread_is_of_the_middle() -> None:
    assert spread_bps(99.95, 100.05) == pytest.approx(10.0)


def test_a_challenger_that_reads_a_series_speaks_when_it_is_known_as_its_model_would(
    settings: Settings, store: Store, bars: pl.DataFrame
) -> None:
    bundle = bundle_of(settings.bundles_dir, store, bars, ["trades"])
    put_in_shadow(settings, bundle, 2)
    challengers, engine = Challengers(settings, lambda *_: None, historic=True), Engine()
    written: list[tuple[str, dict[str, Any]]] = []
    shadowed = ShadowDecisions(
        challengers, written.extend, journal_trouble=lambda: None, cost_bps=0.0, steps=PriceSteps({}, 1.5)
    )
    shadowed.follow(engine)
    wait_for(lambda: challengers.refresh() or challengers.models)
    trades = RecordedSeries("trades", {"5m": 1})
    beside = AuxiliarySeries({("trades", MARKET): trades})
    shelf = DeployedModels(settings, lambda *_: None)
    signals = LiveSignals({STREAM: 400}, shelf, _Gaps(), cost_bps=0.0, shadow=shadowed, auxiliary=beside)
    closed = [replace(bar, timeframe="5m") for bar in closed_bars(bars)[:202]]
    signals.histories[STREAM].merge(closed[:-2])
    signals.on_bar(closed[-2])
    engine.rest()
    assert written == []
    assert "trades" not in signals.state()[MARKET], "a challenger holds nothing up"
    rows = pl.DataFrame(
        {
            "market": [MARKET] * 3,
            "ts": [closed[-1].known_at - timedelta(minutes=number) for number in (3, 2, 1)],
            "trade_id": ["1", "2", "3"],
            "price": [100.0] * 3,
            "quantity": [1.0, 2.0, 5.0],
            "side": ["buy", "buy", "sell"],
        }
    ).with_columns(known_at=pl.col("ts"))
    trades.load(rows.select(list(PUBLIC_TRADES.columns)).cast(PUBLIC_TRADES.columns))  # type: ignore[arg-type]
    signals.on_bar(closed[-1])
    engine.rest()
    ((_, event),) = written
    table = features.compute(
        signals.histories[STREAM].frame,
        {"trades": of_trades(rows, Timeframe.parse("5m"))},
        timeframe=Timeframe.parse("5m"),
        features=bundle.features,
    ).tail(1)
    assert not any(table[name].null_count() for name in bundle.features)
    assert str(bundle.predict(table)[0]) in str(event)


class Past3:
    """Stands for a store that is held twice."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, wanted: Mapping[tuple[str, str], datetime]) -> Mapping[tuple[str, str], pl.DataFrame]:
        self.asked += 1
        if self.asked < 3:
            raise StoreError("another process holds it", where="market.duckdb")
        return {key: pl.DataFrame(schema=PUBLIC_TRADES.columns) for key in wanted}


def test_what_was_recorded_is_read_again_until_the_store_lets_it_and_a_start_waits_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(series_module, "_AGAIN_S", 0.01)
    seconds, venue_time = [0.0], [None, START]
    beside = AuxiliarySeries(
        {("trades", MARKET): RecordedSeries("trades", {"5m": 1})},
        past=Past(Past3()),
        now=lambda: venue_time[-1] if len(venue_time) == 1 else venue_time.pop(0),
        monotonic=lambda: seconds[0],
    )
    beside.begin()  # the venue does not say yet what time it is
    assert not beside.settled
    wait_for(lambda: beside.settled)
    assert isinstance(beside.known(["trades"], STREAM, START), dict)
    beside.close()
    late = AuxiliarySeries(
        {("trades", MARKET): RecordedSeries("trades", {"5m": 1})}, past=Past(Past3()), monotonic=lambda: seconds[0]
    )
    late.begin()
    assert not late.settled
    seconds[0] = 31.0
    assert late.settled, "it listens, and decides nothing"
    assert late.of(["trades"], STREAM, START) is None


def test_the_spread_and_the_newest_payment_are_measured_as_long_as_something_is_heard() -> None:
    seconds, venue = [0.0], Told()
    funding = VenueFunding(venue, VenueTime(venue), {PERPETUAL: timedelta(days=2)})
    funding.look(PERPETUAL)
    listener = cast("AuxiliaryListener", SimpleNamespace(spreads={MARKET: 12.5}, heard_s=0.0))
    beside = AuxiliarySeries(listener=listener, funding=funding, monotonic=lambda: seconds[0])
    paid = funding.newest_bps(PERPETUAL)
    assert list(beside.measures()) == [("spread_bps", MARKET, 12.5), ("funding_bps", PERPETUAL, paid)]
    seconds[0] = 31.0
    assert next(beside.measures()) == ("spread_bps", MARKET, None)
