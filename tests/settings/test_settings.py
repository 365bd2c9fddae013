"""Settings: file < environment < flags, and what they may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import yaml
from typer.testing import CliRunner

from tests.seats import registered_here
from tests.settings.conftest import line_of
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import TIMEFRAMES
from trading_assets.settings import (
    PROJECT_ROOT,
    SETTINGS_FILE_VARIABLE,
    EstimatorSettings,
    GateOverrides,
    GateSettings,
    LogisticSettings,
    LSTMSettings,
    ModelSettings,
    add_estimator_settings,
    estimator_kinds,
    from_root,
    load_settings,
)
from trading_assets.settings.sections.kinds import only_asked
from trading_assets.sql import load_models
from trading_assets.store.tables import BARS
from trading_cli.main import app


@pytest.fixture
def own_seats():
    with registered_here():
        yield


def test_the_environment_wins_over_the_file_and_a_flag_over_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert load_settings().gates.min_sharpe == 1.2
    monkeypatch.setenv("TRADING_GATES__MIN_SHARPE", "2.5")
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "environment"))
    settings = load_settings(data_dir=tmp_path / "flag")
    assert settings.gates.min_sharpe == 2.5
    assert settings.gates.min_trades == 30, "the rest of the section stays"
    assert settings.data_dir == tmp_path / "flag"


def test_one_process_has_the_settings_of_two_projects(tmp_path: Path, written):
    in_force, other = written({"gates.min_sharpe": 3.0}), tmp_path / "other.yaml"
    other.write_text(in_force.read_text().replace("min_sharpe: 3.0", "min_sharpe: 4.0"))
    first, second = load_settings(), load_settings(other, data_dir=tmp_path / "data")
    assert (first.gates.min_sharpe, second.gates.min_sharpe) == (3.0, 4.0)
    assert load_settings() == first, "what another project says is not remembered"
    other.write_text(in_force.read_text().replace("min_sharpe: 3.0", "min_sharpe: high"))
    with pytest.raises(SettingsError, match=rf"^{re.escape(str(other))}:\d+: gates.min_sharpe: .*'high'"):
        load_settings(other)


def test_data_can_be_loaded_without_a_model(written):
    written({"models": {}})
    assert load_settings().models == {}


@pytest.mark.parametrize("cron", ["5 * * * *", "*/15 0-6 1,15 * 1-5", "30 2 * * 7", "0 */4 * * *"])
def test_usual_cron_expressions_are_taken(monkeypatch: pytest.MonkeyPatch, cron: str):
    monkeypatch.setenv("TRADING_SCHEDULES__CANDLES", cron)
    assert load_settings().schedules.candles == cron


def test_relative_paths_start_at_the_project_and_unset_variables_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CANDLES_DIR", "/candles")
    assert from_root("$CANDLES_DIR/a.parquet") == Path("/candles/a.parquet")
    assert from_root("data/b") == PROJECT_ROOT / "data/b"
    monkeypatch.delenv("CANDLES_DIR")
    with pytest.raises(SettingsError, match="CANDLES_DIR is not set"):
        from_root("$CANDLES_DIR/a.parquet")


@pytest.mark.parametrize(
    "recipe", sorted((PROJECT_ROOT / "docs" / "recipes").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_recipe_is_valid(recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(recipe))
    assert load_settings().models


@pytest.mark.usefixtures("own_seats")
def test_an_estimator_that_is_not_installed_is_one_message_with_its_line(written):
    class Deep(EstimatorSettings):
        requires: ClassVar[dict[str, str]] = {"no_such_module": "no-such-package"}
        kind: Literal["deep"] = "deep"

    add_estimator_settings(Deep)
    file = written({"models.syna.estimator": {"kind": "deep"}})
    line = line_of(file, "kind: deep")
    needs = "the estimator deep needs no-such-package, which is not installed: install it"
    with pytest.raises(SettingsError, match=rf"{file}:{line}: models.syna.estimator: {needs}"):
        load_settings()


def test_a_node_reads_settings_of_an_estimator_that_only_training_needs_more_for(
    written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    written({"models.syna.estimator": {"kind": "lstm"}})
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(
        "trading_assets.settings.sections.kinds.find_spec", lambda name: None if name == "jax" else object()
    )
    with pytest.raises(SettingsError, match=r"needs jax, .*uv sync --inexact --extra deep"):
        load_settings()
    with only_asked():
        assert load_settings().models["syna"].estimator == LSTMSettings()
    with pytest.raises(SettingsError, match="needs jax"):
        load_settings()
    assert CliRunner().invoke(app, ["status"]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, ["models"]).exception, SettingsError)


def test_a_variable_sets_one_parameter_of_the_estimator_that_the_file_names(written, monkeypatch: pytest.MonkeyPatch):
    written({"models.syna.estimator": {"kind": "logistic", "l2": 2.0}})
    monkeypatch.setenv("TRADING_MODELS__SYNA__ESTIMATOR__L2", "0.5")
    assert load_settings().models["syna"].estimator == LogisticSettings(l2=0.5)
    monkeypatch.setenv("TRADING_MODELS__SYNA__ESTIMATOR__L2", "-1")
    with pytest.raises(SettingsError, match=r"__ESTIMATOR__L2: models\.syna\.estimator\.l2: .*than 0"):
        load_settings()


@pytest.mark.usefixtures("own_seats")
def test_a_kind_of_estimator_is_added_once_and_by_a_usable_name():
    class Mine(EstimatorSettings):
        kind: Literal["mine"] = "mine"

    class Other(EstimatorSettings):
        kind: Literal["logistic"] = "logistic"

    class Nameless(EstimatorSettings):
        pass

    add_estimator_settings(Mine)
    add_estimator_settings(Mine)
    assert "mine" in estimator_kinds()
    with pytest.raises(SettingsError, match="the estimator 'logistic' is there already"):
        add_estimator_settings(Other)
    with pytest.raises(SettingsError, match="the kind of an estimator cannot be"):
        add_estimator_settings(Nameless)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"labels": {"take_profit_pct": 2.0}}, "labels: `take_profit_pct` is now `labels.<name>.take_profit_pct`"),
        ({"backtest.taker_fee_bps": 4}, "backtest: `taker_fee_bps` is now `trading.costs.taker_fee_bps`"),
        ({"backtest.position_share": 0.2}, "backtest: `position_share` is now `trading.sizing.position_share`"),
        ({"node.risk": {"max_daily_loss": 1}}, "node: `risk` is now `trading.risk`"),
    ],
)
def test_a_key_of_an_earlier_version_names_the_new_one(written, old: dict, new: str):
    file = written(old)
    line = line_of(file, f"{new.split('`')[1]}:")
    with pytest.raises(SettingsError, match=re.escape(f"{file}:{line}: {new}")):
        load_settings()


def test_a_variable_of_an_earlier_version_names_the_new_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRADING_NODE__RISK__MAX_DAILY_LOSS", "100")
    with pytest.raises(
        SettingsError, match=r"variable TRADING_NODE__RISK__MAX_DAILY_LOSS: node: `risk` is now `trading.risk`"
    ):
        load_settings()


def test_a_model_learns_the_only_label_set_unless_it_names_one(written):
    file = written({})
    base = yaml.safe_load(file.read_text())
    base["labels"] = {"scalp": {"timeframe": "60m"}}
    for model in base["models"].values():
        del model["label"]
    file.write_text(yaml.safe_dump(base))
    settings = load_settings()
    assert settings.models["syna"].label == "scalp"
    assert settings.timeframe_of("syna").name == "1h"
    del base["labels"]
    file.write_text(yaml.safe_dump(base))
    assert load_settings().models["syna"].label == "default"
    assert load_settings().timeframe_of("syna").name == "15m"


def test_a_models_own_gates_win_over_the_section(written):
    written({"models.syna.gates": {"min_sharpe": 2.0, "min_trades": 5}})
    settings = load_settings()
    assert settings.gates_of("syna") == settings.gates.model_copy(update={"min_sharpe": 2.0, "min_trades": 5})
    assert settings.gates_of("synb") == settings.gates
    assert set(GateOverrides.model_fields) == set(GateSettings.model_fields), "every gate can be a model's own"


def test_sides_are_written_as_words_and_read_as_sides(written):
    written({"models.syna.sides": ["short", "long"]})
    model = load_settings().models["syna"]
    assert model.sides == [Side.LONG, Side.SHORT], "in one order, however they are written"
    assert ModelSettings.model_validate_json(model.model_dump_json()) == model


def test_bars_of_every_timeframe_that_a_model_may_name_are_built() -> None:
    assert list(BARS) == [timeframe.name for timeframe in TIMEFRAMES]
    assert {"1m", "3m", "10m", "30m", "2h", "6h", "8h", "12h", "1d"} <= set(BARS)
    assert len(BARS) == 36, "the divisors of 1,440"
    models = load_models(timeframes=TIMEFRAMES)
    assert {table.name for table in BARS.values()} <= set(models)
