"""The short demo, from candles to fills."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trading_assets.settings import PROJECT_ROOT
from trading_assets.store import TABLES, open_store
from trading_cli.console import console
from trading_cli.main import app

SHORT = Path(__file__).with_name("short.yaml")


@pytest.mark.slow
def test_the_short_demo_goes_from_candles_to_fills_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(console, "width", 200)
    environment = {
        **os.environ,
        "TRADING_SETTINGS": str(SHORT),
        "TRADING_DATA_DIR": str(tmp_path / "data"),
        "COLUMNS": "200",
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "trading_cli", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def said(*arguments: str) -> str:
        """Of a command in this process, which has imported all that a process of its own would import anew."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("TRADING_SETTINGS", "TRADING_DATA_DIR"):
                patch.setenv(name, environment[name])
            result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    store = open_store(f"duckdb:///{tmp_path / 'data' / 'market.duckdb'}")

    def counted() -> dict[str, int]:
        parts = ("candles", "candles_quarantine", "bars_15m", "features", "labels", "predictions", "trades")
        return {name: store.read(TABLES[name]).height for name in (*parts, "model_versions")}

    first = run("demo", "--paper-seconds", "5")
    flags = f"--settings {SHORT.relative_to(PROJECT_ROOT)} --data-dir {tmp_path / 'data'}"
    again = f"alias trading='.venv/bin/trading {flags}'"
    for shown in (
        "synthetic",
        "approved",
        "syna version 1 is active",
        "signals",
        "One trade of the node",
        "local exchange",
        "journal and venue agree to the cent",
        "What to open next",
        again,
    ):
        assert shown in first
    tables = counted()
    assert str(tables["candles"]) in said("sql", "SELECT count(*) AS n FROM candles").replace(",", "")
    queries = re.findall(r'^sql "(.+)"$', (PROJECT_ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert len(queries) >= 9
    for query in queries:
        store.query(query)
    second = run("demo", "--paper-seconds", "5")
    assert "syna version 1 is active" in second, "the same data and code give the same bundle, hence the same version"
    assert counted() == tables
    assert said("report").strip().endswith("/syna/1.html")
    assert "syna 1 active" in said("report", "--all")
    chart = Path(said("report", "--chart").strip().splitlines()[-1])
    assert chart.name == "1-chart.html"
    assert "SYNTHETIC DATA" in chart.read_text()
