"""One clear message for each mistake: what is wrong, where it stands, and what gave it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.settings.conftest import line_of
from trading_assets.core.errors import SettingsError
from trading_assets.settings import (
    PROJECT_ROOT,
    SETTINGS_FILE_VARIABLE,
    load_settings,
)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gates.min_sharp": 1}, "unknown key 'gates.min_sharp'; did you mean 'min_sharpe'?"),
        (
            {"trading": {"costs": {"fees": {"binance": {"perpetual": {}}}}}},
            r"binance\.perpetual'; here stand spot, deriv",
        ),
        ({"exits": {"ladder": {"time_stop": 48}}}, "unknown key 'exits.ladder.time_stop'; did you mean 'stop'"),
        ({"exits": {"ladder": {"targets": [{"price": 1}]}}}, "targets.0.price'; .*here stand at, share"),
        ({"models.syna.exits": "ladder"}, "unknown key 'models.syna.exits'; did you mean 'exit'"),
        ({"trading": {"sizing": {"kind": "kelly", "volatility": 20}}}, "did you mean 'annual_volatility'"),
        ({"gates.min_expectancy": 1}, "unknown key 'gates.min_expectancy'; here stand metrics, min_sharpe"),
        ({"screening": {}}, "unknown key 'screening'; here stand data_dir, plugins, .* more"),
        ({"models.syna.exit": "ladder"}, "model syna: no exit plan 'ladder'; none is defined yet"),
        (
            {"trading": {"risk": {"min_position_notional": 50_000}}},
            "50000 is above max_position_notional 20000: nothing",
        ),
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
