"""`trading portfolio` from the outside: what it shows, compares and refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.portfolio.sleeves import START, drawn, store_sleeves
from tests.stores import fresh_store
from trading_assets.core.errors import SettingsError
from trading_assets.registry.sleeve_weights import read_weights
from trading_assets.settings import SETTINGS_FILE_VARIABLE
from trading_cli.main import app

SMALL = Path(__file__).parents[1] / "defs" / "small.yaml"


def run(*words: str) -> Result:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["portfolio", *words])
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return result


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two approved models, the second one three times as wild."""
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(SMALL))
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    days = (datetime.now(UTC) - START).days
    told = drawn({"syna": 0.01, "noise": 0.03}, days=days)
    store_sleeves(fresh_store(tmp_path), told, balance=100_000.0, statuses=dict.fromkeys(told, "active"))
    return tmp_path


def ask(monkeypatch: pytest.MonkeyPatch, **section: object) -> None:
    monkeypatch.setenv("TRADING_PORTFOLIO", json.dumps({"gates": {"max_drawdown_ratio": 5}, **section}))


def test_it_shows_weights_risk_correlation_and_verdict_and_changes_nothing(project: Path, monkeypatch) -> None:
    ask(monkeypatch)
    shown = run()
    assert shown.exit_code == 0, shown.output
    for words in ("syna", "50.0%", "correlation of daily returns", "equal weights are asked for", "drawdown: passed"):
        assert words in shown.output, words
    assert read_weights(project / "live") is None
    told = json.loads(run("--method", "inverse_volatility", "--json").output)
    assert told["evidence"]["method"] == "inverse_volatility"
    assert told["evidence"]["days"] > 100
    assert {one["model"] for one in told["sleeves"]} == {"syna", "noise"}
    assert sum(one["risk"] for one in told["sleeves"]) == pytest.approx(1)


def test_a_gate_that_fails_is_exit_code_1(project: Path, monkeypatch) -> None:
    ask(monkeypatch, gates={"max_drawdown_ratio": 0.01})
    shown = run()
    assert shown.exit_code == 1
    assert "drawdown: FAILED" in shown.output


def test_what_cannot_be_asked_is_refused_with_what_to_do(project: Path, monkeypatch) -> None:
    with pytest.raises(SettingsError, match="add the section"):
        run()
    ask(monkeypatch)
    with pytest.raises(SettingsError, match="no method 'risk_parit'"):
        run("--method", "risk_parit")
    with pytest.raises(SettingsError, match="set portfolio"):
        run("--method", "equal", "--rebalance")
