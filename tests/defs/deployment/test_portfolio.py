"""The portfolio in Dagster: what a run leaves, what gates keep back, and when it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from tests.defs.small import Location
from tests.portfolio.sleeves import drawn, store_sleeves
from trading_assets.defs.deployment.portfolio import rebalancing
from trading_assets.portfolio.gates import GATES
from trading_assets.registry.sleeve_weights import read_weights
from trading_assets.settings import Settings
from trading_assets.store import Store, open_store
from trading_assets.store.migration import migrate
from trading_assets.store.tables import PORTFOLIO_EQUITY, PORTFOLIO_WEIGHTS


def prepared(location: Location, folder: Path, **portfolio: object) -> tuple[Settings, Store]:
    settings = location.settings(folder, portfolio=portfolio)
    store = open_store(settings.store_url)
    migrate(store)
    names = list(settings.models)[:2]
    balance = settings.simulation.starting_balance
    store_sleeves(store, drawn(dict.fromkeys(names, 0.01)), balance=balance, statuses=dict.fromkeys(names, "active"))
    return settings, store


@pytest.fixture
def small(location: Location, tmp_path: Path) -> tuple[Settings, Store]:
    return prepared(location, tmp_path)


def test_a_run_shows_weights_and_picture_and_gives_them_to_the_node(location: Location, small) -> None:
    settings, store = small
    done = location.run(settings, "rebalance")
    assert done.success
    (made,) = done.get_asset_materialization_events()
    told = made.materialization.metadata
    assert told["picture"].value.startswith("![accounts")
    assert "equal weights are asked for" in told["verdict"].value
    assert told["in_force"].value is True
    checks = {one.check_name: one for one in done.get_asset_check_evaluations()}
    assert checks.keys() == GATES.keys()
    assert all(one.passed for one in checks.values()), {name: one.description for name, one in checks.items()}
    weights = read_weights(settings.live_dir)
    assert weights is not None
    assert sum(weights.weights.values()) == pytest.approx(1)
    assert store.read(PORTFOLIO_WEIGHTS, where={"source": "in_force"}).height == len(weights.weights)
    assert store.read(PORTFOLIO_EQUITY).height > 0


def test_a_gate_that_fails_keeps_the_weights_from_the_node(location: Location, tmp_path: Path) -> None:
    settings, _ = prepared(location, tmp_path, gates={"max_drawdown_ratio": 0.01})
    done = location.run(settings, "rebalance")
    assert done.success, "nothing went wrong: the weights of before stay"
    checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
    assert [name for name, passed in checks.items() if not passed] == ["drawdown"]
    assert read_weights(settings.live_dir) is None


def test_the_schedule_goes_by_the_settings_and_skips_where_nothing_is_approved(location: Location, tmp_path) -> None:
    settings, store = prepared(location, tmp_path, rebalance="monthly")
    found = location.of(settings)
    assert found.resolve_schedule_def("rebalancing").cron_schedule == "40 4 1 * *"
    at = datetime(2025, 6, 1, 4, 40, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    assert rebalancing(context, settings, store).run_key == "rebalance@2025-06-01"
    none = settings.model_copy(update={"models": {}})
    assert isinstance(rebalancing(context, none, store), dg.SkipReason)


def test_without_the_section_there_is_no_asset_job_or_schedule(location: Location) -> None:
    keys = {key.to_user_string() for key in location.defs.resolve_asset_graph().get_all_asset_keys()}
    assert "portfolio" not in keys
    with pytest.raises(dg.DagsterInvariantViolationError):
        location.defs.resolve_job_def("rebalance")
