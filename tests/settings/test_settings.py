"""Settings: file < environment < flags, and one clear message for each mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import yaml
from typer.testing import CliRunner

from tests.seats import registered_here
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


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a settings file that changes some keys of the base and make it the one in force."""

    def write(changes: dict) -> Path:
        base = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
        for key, value in changes.items():
            section = base
            *parents, last = key.split(".")
            for parent in parents:
                section = section.setdefault(parent, {})
            section[last] = value
        file = tmp_path / "settings.yaml"
        file.write_text(yaml.safe_dump(base))
        monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
        return file

    return write


def test_the_environment_wins_over_the_file_and_a_flag_over_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert load_settings().gates.min_sharpe == 1.2
    monkeypatch.setenv("TRADING_GATES__MIN_SHARPE", "2.5")
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "environment"))
    settings = load_settings(data_dir=tmp_path / "flag")
    assert settings.gates.min_sharpe == 2.5
    assert settings.gates.min_trades == 30, "the rest of the section stays"
    assert settings.data_dir == tmp_path / "flag"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gates.min_sharp": 1}, "unknown key 'gates.min_sharp'; did you mean 'min_sharpe'?"),
        ({"store.lock_timeout_s": "soon"}, "store.lock_timeout_s: .*'soon'"),
        ({"labels.swing.horizon_bars": 0}, "labels.swing.horizon_bars: .*greater than or equal to 1"),
        ({"labels.swing.cost_bps": float("inf")}, "labels.swing.cost_bps: .*finite number"),
        ({"gates.min_sharpe": float("nan")}, "gates.min_sharpe: .*finite number"),
        ({"history.end": "2024-01-01"}, "end 2024-01-01 is not after start 2025-01-01"),
        (
            {"models.syna.markets": ["sample:XXX/USDT"]},
            "model syna: no market 'sample:XXX/USDT'; did you mean 'sam",
        ),
        ({"markets": {"BTCUSDT": {"source": "sample"}}}, "'BTCUSDT' is not a market"),
        ({"markets": {"okx:BTC/USDT": {"source": "okx"}}}, "no source 'okx'; known: sample"),
        ({"markets": {"okx:BTC/USDT": {"source": "sample", "timeframe": "15x"}}}, "'15x' is not a timeframe"),
        ({"sources.sample.kind": "telepathy"}, "no source 'telepathy'; known: ccxt, files, polygon, sample"),
        ({"sources": {}}, "no source 'sample'"),
        (
            {"models.syna.lightgbm": {"num_leaves": 3}},
            "models.syna: `lightgbm` is now `estimator: {kind: lightgbm",
        ),
        (
            {"models.syna.estimator": {"kind": "lightgbn"}},
            "models.syna.estimator: no estimator 'lightgbn'; did you",
        ),
        ({"models.syna.estimator": {"num_leaves": 3}}, "models.syna.estimator: kind is required: one of .*lightgbm"),
        ({"models.syna.estimator": "lightgbm"}, "models.syna.estimator: write a section with a kind"),
        ({"models.syna.estimator": {"kind": "logistic", "num_leaves": 3}}, "unknown key 'models.syna.estimator.num_le"),
        ({"models.syna.estimator": {"kind": "lightgbm", "max_bin": 1}}, "models.syna.estimator.max_bin: .* equal to 2"),
        ({"markets": {}}, "markets: .*at least 1 item"),
        ({"models.syna.companions": ["leader"]}, "model syna has the companion leader: features.leader is not set"),
        (
            {"models.syna.companions": ["leader"], "features": {"leader": "sample:SYNA/USDT:USDT"}},
            "model syna has the companion leader: its only market sample:SYNA/USDT:USDT does not lead itself",
        ),
        (
            {"models.syna.companions": ["leader"], "features": {"leader": "sample:NEW/USDT:USDT"}}
            | {"markets.sample:NEW/USDT:USDT": {"source": "sample", "timeframe": "1h"}},
            "model syna has the companion leader: its 15m bars cannot be built from the 1h candles of sample:NEW",
        ),
        ({"models.syna.companions": ["sentiment"]}, "model syna has the companion sentiment: no provider under"),
        (
            {"models.syna.companions": ["funding"], "markets.sample:SYNA/USDT:USDT.funding": "none"},
            "model syna has the companion funding: sample:SYNA/USDT:USDT has no source of funding rates",
        ),
        ({"schedules.candles": "hourly"}, "schedules.candles: not five cron fields .*'hourly'"),
        ({"schedules.retrain": "30 24 * * *"}, "schedules.retrain: not five cron fields .*'30 24"),
        ({"models.a/b": {"markets": ["sample:SYNA/USDT:USDT"]}}, "model 'a/b': write a name of letters"),
        ({"markets.sample:SYNA/USDT:USDT.timeframe": "1h"}, "model syna: 15m bars cannot be built from the 1h"),
        ({"labels.swing.timeframe": "7m"}, "labels.swing.timeframe: timeframe '7m' does not divide the day"),
        ({"labels.swing.timeframe": "25h"}, "labels.swing.timeframe: timeframe '25h' does not divide the day"),
        ({"labels.swing.timeframe": "7d"}, "labels.swing.timeframe: timeframe '7d' does not divide the day"),
        (
            {"labels.swing.timeframe": "10m", "markets.sample:SYNA/USDT:USDT.timeframe": "4m"},
            "model syna: 10m bars cannot be built from the 4m",
        ),
        ({"labels.swing.timeframe": "15x"}, "labels.swing.timeframe: '15x' is not a timeframe; write a number"),
        ({"labels.swing.timeframe": 15}, "labels.swing.timeframe: '15' is not a timeframe; write a number"),
        ({"labels": {}}, "labels: .*at least 1 item"),
        ({"labels.a b": {}}, "label set 'a b': write a name of letters"),
        (
            {"labels.scalp": {"timeframe": "5m"}, "models.new.markets": ["sample:SYNA/USDT:USDT"]},
            "model new: which label",
        ),
        ({"models.syna.label": "swign"}, "model syna: no label set 'swign'; did you mean 'swing'?"),
        ({"models.syna.sides": ["up"]}, "models.syna.sides.0: 'up' is no side: write long or short"),
        ({"models.syna.sides": []}, "models.syna.sides: .*at least 1 item"),
        ({"models.syna.sides": ["long", "long"]}, "models.syna.sides: a side is there twice"),
        (
            {"markets.sample:SPOT/USDT": {"source": "sample"}, "models.syna.sides": ["long", "short"]}
            | {"models.syna.markets": ["sample:SPOT/USDT"]},
            "model syna: sample:SPOT/USDT is a spot market, which cannot be sold short",
        ),
        ({"models.syna.kind": "oracle"}, "models.syna: no model 'oracle'; .*known: model, rule"),
        (
            {"models.syna": {"kind": "rule", "rule": {"kind": "ema_cross_rsi"}, "markets": ["sample:SYNA/USDT:USDT"]}}
            | {"models.syna.companions": ["leader"]},
            "models.syna: a rule has no companions, which are of models that are trained",
        ),
        (
            {"models.syna.rule": {"kind": "ema_cross_rsi"}},
            "models.syna: a model that is trained has no rule; write `kind: rule`",
        ),
        (
            {"models.syna": {"kind": "rule", "markets": ["sample:SYNA/USDT:USDT"]}},
            "models.syna.rule is required",
        ),
        (
            {"models.syna": {"kind": "rule", "markets": ["sample:SYNA/USDT:USDT"]}}
            | {"models.syna.rule": {"kind": "ema_cross_rsi", "fast": 30}},
            "models.syna.rule: fast 30 must be fewer bars than slow 26",
        ),
        (
            {"markets.sample:SPOT/USDT": {"source": "sample"}}
            | {"models.syna": {"kind": "rule", "markets": ["sample:SPOT/USDT"], "sides": ["short"]}}
            | {"models.syna.rule": {"kind": "ema_cross_rsi"}},
            "model syna: sample:SPOT/USDT is a spot market, which cannot be sold short",
        ),
        (
            {"models.syna.gates": {"min_sharp": 1}},
            "unknown key 'models.syna.gates.min_sharp'; did you mean 'min_sharpe'",
        ),
        (
            {
                "markets.sample:SYNA/USDT:USDT.timeframe": "5m",
                "models.pair": {"markets": ["sample:SYNA/USDT:USDT", "sample:SYNB/USDT:USDT"]},
            },
            "model pair: its markets have candles of 1m, 5m; give it one",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(written, changes: dict, named: str):
    file = written(changes)
    with pytest.raises(SettingsError, match=named) as caught:
        load_settings()
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("logs: {level: INFO}\nlogs: {level: DEBUG}", "logs", (-1, 0)),
        ("logs:\n  level: INFO\n  format: json\n  level: DEBUG", "logs.level", (-2, 0)),
        ('replay: {port: 1, "port": 2}', "replay.port", (0, 0)),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(written, text: str, key: str, lines: tuple[int, int]):
    file = written({})
    base = yaml.safe_load(file.read_text())
    base.pop(key.split(".")[0], None)
    file.write_text(yaml.safe_dump(base) + text + "\n")
    last = len(file.read_text().splitlines())
    first, second = (last + line for line in lines)
    with pytest.raises(SettingsError, match=rf"{file}:{second}: the key '{key}' stands on line {first} already"):
        load_settings()


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


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("changes", "variables", "flags", "message"),
    [
        ({}, {"GATES__MIN_SHARPE": "much"}, {}, "environment variable {0}: gates.min_sharpe: .*'much'.*unset {0}$"),
        ({}, {"gates__min_sharpe": "much"}, {}, "environment variable {0}: gates.min_sharpe: "),
        ({"gates.min_sharpe": "little"}, {"GATES__MIN_SHARPE": "much"}, {}, "environment variable {0}: .*'much'"),
        ({"gates.max_pbo": 7}, {"GATES__MIN_SHARPE": "2"}, {}, "{file}:<max_pbo>: gates.max_pbo: .*see the comments"),
        ({}, {"GATES": '{"max_pbo": 7}'}, {}, "environment variable {0}: gates.max_pbo: "),
        ({"gates.max_pbo": 7}, {"GATES": '{"min_sharpe": 2}'}, {}, "{file}:<max_pbo>: gates.max_pbo: "),
        ({}, {"GATES__MIN_SHARP": "2"}, {}, "environment variable {0}: unknown key 'gates.min_sharp'"),
        ({}, {}, {"node": {"venue": "nyse"}}, "flag --venue: node.venue: .*'nyse'.*; give --venue another value$"),
        ({}, {"NODE__VENUE": "lse"}, {"node": {"venue": "nyse"}}, "^flag --venue: [^;]*'nyse'.; give --venue"),
        ({}, {"MODELS__NEW__THRESHOLD": "0.6"}, {}, "environment variable {0}: models.new.markets is required"),
        ({}, {"MODELS__SYNA__MARKETS": '["x:A/B"]'}, {}, "environment variable {0}: model syna: no market 'x:A/B'"),
        (
            {},
            {"HISTORY__END": "2024-01-01"},
            {},
            "variable {0} and {file}:<history>: history: end 2024-01-01 is not after",
        ),
        ({}, {"MARKETS": '{"BTC": {"source": "sample"}}'}, {}, "variable {0}: 'BTC' is not a market"),
        (
            {"sources.okx": {"kind": "ccxt", "exchange": "okx", "page_limit": 0}},
            {},
            {},
            "{file}:<page_limit>: sources.okx.page_limit",
        ),
        (
            {"sources.okx": {"kind": "ccxt", "exchange": "okx"}},
            {"SOURCES__OKX__PAGE_LIMIT": "0"},
            {},
            "variable {0}: sou",
        ),
        (
            {"gates.max_pbo": 7},
            {"LOGS__LEVEL": "LOUD"},
            {},
            "{file}:<max_pbo>: gates.max_pbo.*; environment variable {0}: lo",
        ),
    ],
)
def test_a_wrong_value_is_blamed_on_what_gave_it(
    written, monkeypatch: pytest.MonkeyPatch, changes: dict, variables: dict, flags: dict, message: str
):
    file = written(changes)
    for name, value in variables.items():
        monkeypatch.setenv(f"TRADING_{name}", value)
    message = message.format(*(f"TRADING_{name}" for name in variables), file=file)
    expected = re.sub(r"<(\w+)>", lambda key: str(line_of(file, f"{key[1]}:")), message)
    with pytest.raises(SettingsError, match=expected):
        load_settings(**flags)


def test_a_merged_section_is_blamed_on_the_line_that_it_merges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    base = (PROJECT_ROOT / "trading.yaml").read_text()
    file = tmp_path / "merged.yaml"
    file.write_text(base.replace("holdout_days: 3 ", "holdout_days: -3 "))
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
    line = line_of(file, "holdout_days: -3")
    with pytest.raises(
        SettingsError, match=rf"merged.yaml:{line}: models.syna.holdout_days: .*models.synb.holdout_days"
    ):
        load_settings()


def test_a_missing_and_a_broken_settings_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "none.yaml"
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
    with pytest.raises(SettingsError, match=r"none.yaml: no such settings file"):
        load_settings()
    file.write_text("markets: [")
    with pytest.raises(SettingsError, match=r"none.yaml: not valid YAML"):
        load_settings()


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"just text", b"data_dir: \xe9\xff\n"])
def test_a_file_that_holds_no_settings_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes):
    file = tmp_path / "odd.yaml"
    file.write_bytes(content)
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
    with pytest.raises(SettingsError, match=r"odd.yaml: not "):
        load_settings()


def test_a_variable_that_sets_nothing_is_refused_but_keys_are_none_of_the_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRADING_KEYS__OKX__SECRET", "hidden")
    load_settings()
    monkeypatch.setenv("TRADING_STOREE__URL", "duckdb:///elsewhere")
    monkeypatch.setenv("TRADING_MARKETS", "no JSON")
    with pytest.raises(SettingsError, match=r"variable TRADING_STOREE__URL: no setting 'storee'; .*store"):
        load_settings()
    monkeypatch.delenv("TRADING_STOREE__URL")
    with pytest.raises(SettingsError, match=r"variable TRADING_MARKETS: no JSON: .*; write it as JSON"):
        load_settings()


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
