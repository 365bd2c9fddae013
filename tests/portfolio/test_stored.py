"""The portfolio of what is stored: who has capital, what reaches the node, and what gates keep from it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.portfolio.sleeves import DAY, START, drawn, store_sleeves
from tests.stores import fresh_store
from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.portfolio import stored
from trading_assets.portfolio.gates import evaluate
from trading_assets.portfolio.stored import judge_portfolio, publish, sleeve_versions
from trading_assets.portfolio.walk_forward import walk
from trading_assets.registry.sleeve_weights import WEIGHTS, SleeveWeights, read_weights, write_weights
from trading_assets.settings import History, Settings
from trading_assets.store.tables import EQUITY, PORTFOLIO_EQUITY, PORTFOLIO_WEIGHTS

NOW = START + 200 * DAY + timedelta(hours=9)
ACTIVE = {"a": "active", "b": "approved"}


@pytest.fixture
def store(tmp_path):
    return fresh_store(tmp_path)


def settings(tmp_path, models="abc", **portfolio) -> Settings:
    return Settings(
        data_dir=tmp_path,
        sources={"sample": {"kind": "sample"}},
        markets={"sample:BTC/USDT": {"source": "sample"}},
        models={name: {"markets": ["sample:BTC/USDT"]} for name in models},
        portfolio={"gates": {"max_drawdown_ratio": 5}, **portfolio},
    )


def put(store, chosen: Settings, returns, statuses) -> None:
    store_sleeves(store, returns, balance=chosen.simulation.starting_balance, statuses=statuses)


def test_capital_is_for_approved_and_active_versions_alone(store, tmp_path):
    chosen = settings(tmp_path)
    told = drawn({"a": 0.01, "b": 0.02, "c": 0.015})
    put(store, chosen, told, ACTIVE | {"c": "challenger"})
    found = judge_portfolio(chosen, store, NOW)
    assert found.versions == {"a": 1, "b": 1}
    assert found.chosen.of == {"a": 0.5, "b": 0.5}
    assert publish(chosen, store, found)
    assert read_weights(chosen.live_dir).weights == {"a": 0.5, "b": 0.5}
    put(store, chosen, told, ACTIVE | {"c": "approved"})  # once it is, it has its share
    assert judge_portfolio(chosen, store, NOW + DAY).chosen.of == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_a_sleeves_record_is_that_of_its_active_version(store, tmp_path):
    told = drawn({"a": 0.01})
    for version, status in ((1, "archived"), (2, "active"), (3, "approved"), (4, "challenger"), (5, "draft")):
        store_sleeves(store, told, balance=1000.0, statuses={"a": status}, versions={"a": version})
    assert sleeve_versions(store, ["a", "b"]) == {"a": 2}


def test_moving_weight_costs_what_the_venue_of_the_sleeves_takes(store, tmp_path, monkeypatch):
    dear = {"sample": {"spot": {"maker_bps": 20, "taker_bps": 50}}}
    usual = settings(tmp_path)
    costs = usual.trading.costs.model_validate({"fees": dear})
    chosen = usual.model_copy(update={"trading": usual.trading.model_copy(update={"costs": costs})})
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    asked = []
    monkeypatch.setattr(stored, "walk", lambda *of, **how: asked.append(how["cost_share"]) or walk(*of, **how))
    judge_portfolio(chosen, store, NOW)
    assert asked == pytest.approx([51e-4 * 0.1] * len(asked))


def test_no_model_that_the_settings_do_not_name_is_a_sleeve(store, tmp_path):
    chosen = settings(tmp_path, models="a")
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    assert judge_portfolio(chosen, store, NOW).versions == {"a": 1}


def test_a_weight_on_what_is_not_approved_keeps_all_weights_from_the_node(store, tmp_path):
    chosen = settings(tmp_path)
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    found = judge_portfolio(chosen, store, NOW)
    gates = {one.name: one for one in evaluate(found.chosen, found.used, found.returns, {"a"}, chosen.portfolio.gates)}
    assert not gates["approved_only"].passed
    assert gates["approved_only"].text == "not approved: b 50.0%"
    assert [one.name for one in gates.values() if not one.passed] == ["approved_only"]


def test_weights_that_fail_a_gate_leave_those_of_before_in_force(store, tmp_path):
    before = SleeveWeights(decided_at=datetime(2024, 5, 1, tzinfo=UTC), method="equal", weights={"a": 0.1, "b": 0.2})
    write_weights(tmp_path / "live", before)
    chosen = settings(tmp_path, gates={"max_drawdown_ratio": 0.01})
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    found = judge_portfolio(chosen, store, NOW)
    assert [one.name for one in found.gates if not one.passed] == ["drawdown"]
    assert not publish(chosen, store, found)
    assert read_weights(chosen.live_dir) == before
    assert store.read(PORTFOLIO_WEIGHTS, where={"source": "in_force"}).is_empty()


def test_what_is_published_is_stored_with_its_reasons_and_twice_is_once(store, tmp_path):
    chosen = settings(tmp_path, method={"kind": "inverse_volatility"}, min_better=0.0)
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    found = judge_portfolio(chosen, store, NOW)
    assert found.verdict.earns
    assert publish(chosen, store, found)
    assert publish(chosen, store, judge_portfolio(chosen, store, NOW))
    rows = store.read(PORTFOLIO_WEIGHTS, where={"source": "in_force"})
    assert rows["ts"].unique().to_list() == [datetime(2024, 7, 19, tzinfo=UTC)]
    assert rows["weight"].sum() == pytest.approx(1)
    assert rows["reason"].to_list() == ["inverse_volatility on 90 days"] * 2
    walked = store.read(PORTFOLIO_WEIGHTS, where={"source": "walk_forward"})
    assert walked.filter(pl.col("ts") == START)["weight"].to_list() == [0.5, 0.5]
    curves = store.read(PORTFOLIO_EQUITY)
    assert curves.group_by("kind", "model").len().height == 4
    assert curves.filter(kind="sleeve", model="a")["equity"].to_list() == pytest.approx(
        store.read(EQUITY, where={"model": "a"})["equity"].to_list()
    )


def test_within_the_band_the_node_keeps_its_weights_and_a_new_sleeve_is_beyond_it(store, tmp_path):
    chosen = settings(tmp_path, drift_band=0.1)
    before = SleeveWeights(decided_at=START, method="equal", weights={"a": 0.42, "b": 0.5})
    write_weights(chosen.live_dir, before)
    told = drawn({"a": 0.01, "b": 0.02, "c": 0.01})
    put(store, chosen, told, ACTIVE)
    found = judge_portfolio(chosen, store, NOW)
    assert found.chosen.of == {"a": 0.42, "b": 0.5}
    assert publish(chosen, store, found)
    assert read_weights(chosen.live_dir) == before
    put(store, chosen, told, {"c": "active"})
    assert {*judge_portfolio(chosen, store, NOW).chosen.of} == {"a", "b", "c"}


def test_without_the_section_or_without_sleeves_it_says_what_to_do(store, tmp_path):
    without = settings(tmp_path).model_copy(update={"portfolio": None})
    with pytest.raises(SettingsError, match="add the section"):
        judge_portfolio(without, store, NOW)
    with pytest.raises(ModelError, match="no model has an approved version with a backtest"):
        judge_portfolio(settings(tmp_path), store, NOW)
    chosen = settings(tmp_path)
    put(store, chosen, drawn({"a": 0.01}), {"a": "active", "b": "active"})
    assert "b has no backtest: no weight" in judge_portfolio(chosen, store, NOW).notes


def test_weights_that_share_out_more_than_there_is_are_refused(tmp_path):
    (tmp_path / WEIGHTS).write_text(
        '{"decided_at": "2024-01-01T00:00:00Z", "method": "equal", "weights": {"a": 0.6, "b": 0.5}}'
    )
    with pytest.raises(ModelError, match=r"weights make 1\.1000 of the account"):
        read_weights(tmp_path)
    assert read_weights(tmp_path / "nowhere") is None


def test_the_turnover_of_a_restless_method_is_refused(store, tmp_path):
    rng = np.random.default_rng(2)
    loud = np.where(np.arange(400) // 20 % 2, 0.001, 0.05)
    told = {"a": rng.normal(0, 1, 400) * loud, "b": rng.normal(0, 1, 400) * loud[::-1].copy()}
    chosen = settings(
        tmp_path,
        method={"kind": "inverse_volatility"},
        lookback_days=10,
        min_history_days=10,
        min_better=0.0,
        rebalance="daily",
        drift_band=0.0,
    )
    put(store, chosen, told, ACTIVE)
    found = judge_portfolio(chosen, store, START + 400 * DAY)
    assert "turnover" in [one.name for one in found.gates if not one.passed], [one.text for one in found.gates]


def test_after_the_end_of_a_history_weights_are_those_of_its_end(store, tmp_path):
    ended = {"start": START.date(), "end": (START + 200 * DAY).date()}
    chosen = settings(tmp_path).model_copy(update={"history": History(**ended)})
    put(store, chosen, drawn({"a": 0.01, "b": 0.02}), ACTIVE)
    found = judge_portfolio(chosen, store, NOW + 400 * DAY)
    assert (found.target.as_of, found.target.days) == (START + 200 * DAY, 90)
