"""What one pass over bars that close together asks of Polars.

Each query of a frame is run by another thread, for which the node's has to wait: on a busy machine that takes longer
than the query, and three hundred of them took longer than everything else in a pass over forty markets.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.node.test_parts import closed_bars
from trading_assets.core.sides import Side
from trading_assets.features.framework import computation
from trading_assets.models.decision import Question, bars_needed, decide, decide_together
from trading_assets.settings import LabelSettings, Settings
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.bars.history import BarHistory, bar_rows
from trading_live.node.decisions.admission import ModelInUse
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.garbage import Garbage, kept_objects

STREAM = Stream(MARKET, "15m")


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each query, of a lazy frame or of one in memory."""
    made: list[str] = []

    def counted(collect: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            made.append("query")
            return collect(*args, **kwargs)

        return counting

    for way in ("collect", "_collect_eager"):
        monkeypatch.setattr(pl.LazyFrame, way, counted(getattr(pl.LazyFrame, way)))
    pl.DataFrame({"a": [1]}).select("a")
    assert made.pop() == "query"
    made.clear()
    return made


@pytest.mark.parametrize("barriers", ["fixed", "atr"])
def test_a_pass_over_many_markets_makes_as_many_queries_as_one_over_two(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame, queries: list[str], barriers: str
) -> None:
    bundle = make_bundle(settings.bundles_dir, labels=LabelSettings(barriers=barriers, horizon_bars=4))
    bundle.warm()
    model, bars = ModelInUse(put_live(settings, bundle), bundle), closed_bars(decision_bars)

    def asked(markets: int) -> int:
        shelf = SimpleNamespace(of=lambda _: model, leader_of=lambda _: None)
        streams = [Stream(f"sample:M{number}/USDT", "15m") for number in range(markets)]
        signals = LiveSignals(
            dict.fromkeys(streams, bars_needed(bundle)), cast("DeployedModels", shelf), lambda *_: None, cost_bps=0.0
        )
        for stream in streams:
            signals.histories[stream].merge(replace(bar, market=stream.market) for bar in bars[:-1])
        before = len(queries)
        said = signals.on_bars([replace(bars[-1], market=stream.market) for stream in streams])
        assert [one and one.market for one in said] == [stream.market for stream in streams]
        return len(queries) - before

    assert asked(12) == asked(2) < 12


def test_a_decision_makes_no_frame_of_its_features_before_somebody_asks_for_it(
    make_bundle: MakeBundle, tmp_path: Path, decision_bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(tmp_path)
    with monkeypatch.context() as patch:
        patch.delattr(computation, "framed")
        said = [decide(bundle, decision_bars), *decide_together([Question(bundle, decision_bars, {})] * 2)]
    assert {one.probabilities[Side.LONG] for one in said} == {bundle.predict(said[0].features)[0]}


def test_a_bar_is_added_to_a_history_without_a_query(decision_bars: pl.DataFrame, queries: list[str]) -> None:
    history = BarHistory(STREAM, rows=30)
    rows: Sequence[tuple[Any, ...]] = decision_bars.select(history.frame.columns).rows()
    bars = [ClosedBar(market, "15m", *values) for market, *values in rows[:50]]
    history.merge(bars[:20])
    wanted = bar_rows(bars)
    queries.clear()
    for number in range(20, 50):
        history.append(wanted[number : number + 1])
    assert queries == []
    assert history.frame.equals(wanted[20:])
    assert {column.n_chunks() for column in history.frame} == {1}


def test_what_is_loaded_before_the_engine_runs_is_not_searched_for_garbage() -> None:
    before = gc.get_freeze_count()
    with kept_objects():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0


def test_no_search_for_garbage_begins_in_a_decision_but_what_cycles_hold_is_freed_by_the_next_looks() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self

    searches: list[str] = []

    def noted(phase: str, _: dict[str, int]) -> None:
        searches.append(phase)

    with kept_objects():
        gc.callbacks.append(noted)
        try:
            made = [weakref.ref(Cycle()) for _ in range(5_000)]
            assert searches == []
            assert all(one() is not None for one in made)
            Garbage().look()
            assert not any(one() is not None for one in made)
        finally:
            gc.callbacks.remove(noted)
    assert gc.isenabled()
    Garbage().look()  # of a process that left it to Python
