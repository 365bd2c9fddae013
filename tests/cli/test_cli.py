"""The command: help everywhere, one clear line and exit code 2 for what the user can mend."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from trading_assets.settings import PROJECT_ROOT
from trading_assets.store import TABLES, open_store
from trading_cli import main
from trading_cli.console import console

COMMANDS = [
    command.callback.__name__.replace("_", "-")
    for command in main.app.registered_commands
    if command.callback and not command.hidden
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(trading, command: str):
    code, out, _ = trading(*filter(None, [command]), "--help")
    assert code == 0
    assert "Usage" in out
    assert len(out.splitlines()) > 5


def test_every_command_stands_in_the_readme_or_in_a_how_to():
    pages = [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    for command in COMMANDS:
        assert re.search(rf"trading (--settings \S+ )?{command}\b|make {command}\b", text), command


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["backfill", "--market", "sample:XXX/USDT"], "no market 'sample:XXX/USDT' in the settings; did you mean"),
        (["backfill", "--from", "2025-03", "--to", "2025-02"], "the range is empty: 2025-03 is after 2025-02"),
        (["backfill", "--from", "March"], "'March' is not a month or a day; write YYYY-MM"),
        (["backfill", "--from", "2025-02-30"], "'2025-02-30' is not a month or a day"),
        (["backfill", "--from", "2025-03-09", "--to", "2025-03-08"], "the range is empty: 2025-03-09 is after"),
        (["gaps", "--again"], "--again says what --repair asks for; add --repair"),
        (["gaps", "--market", "okx:BTC/USDT"], "no market 'okx:BTC/USDT' in the settings"),
        (["gaps", "--repair", "--from", "2031-01"], "no month '2031-01' in the settings"),
        (["backfill", "--from", "2031-01"], "no month '2031-01' in the settings; known: 2025-01"),
        (["report"], "no report; run `trading demo`"),
        (["report", "syna"], "no report of model 'syna'"),
        (["replay"], "no candles to replay; run trading backfill"),
        (["replay", "--from", "tomorrow"], "'tomorrow' is not a time; write e.g. 2025-05-28"),
        (["replay", "--market", "okx:BTC/USDT"], "no market 'okx:BTC/USDT'"),
        (["replay", "--statement", "nowhere/statement.csv"], "no folder nowhere"),
        (["paper", "--port", "1"], "start trading replay first"),
        (["sql", ""], "the query is empty; write one SELECT"),
        (["sql", "SELECT * FROM nothing"], "nothing"),
        (["--settings", "none.yaml", "models"], "none.yaml: no such settings file"),
        (["--log-level", "loud", "models"], "logs.level: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_with_the_remedy_and_exit_code_2(trading, arguments: list[str], named: str):
    code, _, err = trading(*arguments)
    assert code == 2
    assert named in err.replace("\n", "")
    assert "Traceback" not in err
    assert err.count("error:") == 1


@pytest.mark.parametrize(
    "command", [["status"], ["models"], ["backfill"], ["kill"], ["sql", "SELECT 1"], ["paper"], ["ui"]]
)
def test_a_data_folder_that_is_a_file_is_named(trading, tmp_path: Path, command: list[str]):
    (tmp_path / "data").write_text("not a folder")
    code, out, err = trading(*command)
    assert (code, err.count("error:")) == (2, 1), out + err
    assert str(tmp_path / "data") in err.replace("\n", "")
    assert "Traceback" not in err


def test_what_nobody_foresaw_is_one_line_too(trading, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(main, "app", lambda: 1 / 0)
    code, _, err = trading("models")
    assert code == 2
    assert "unexpected ZeroDivisionError: division by zero" in err
    assert "--debug" in err


def test_models_fit_a_terminal_of_eighty_columns(trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "width", 80)
    store, day = open_store(f"duckdb:///{tmp_path / 'data' / 'market.duckdb'}"), datetime(2025, 5, 27, tzinfo=UTC)
    version = {"model": "syna", "version": 12, "status": "approved", "train_end": day, "created_at": day}
    figures = {"sharpe": -12.984, "win_rate": 0.5523, "trades": 12039.0, "dsr": 0.005255}
    measured = [{"model": "syna", "version": 12, "metric": name, "value": value} for name, value in figures.items()]
    for table, rows in (("model_versions", [version]), ("backtest_metrics", measured)):
        columns = TABLES[table].columns
        store.upsert(TABLES[table], pl.DataFrame([dict.fromkeys(columns) | row for row in rows], schema=columns))
    out = trading("models")[1]
    (row,) = [line for line in out.splitlines() if "│" in line]
    assert re.findall(r"[^│ ]+", row) == ["syna", "12", "approved", "-12.98", "55%", "12039", "0.005", "2025-05-27"]
    assert out.splitlines()[-1] == "synthetic candles: syna"


def test_the_version_is_the_packages(trading):
    assert re.fullmatch(r"trading-assets \d+\.\d+\.\d+\n", trading("--version")[1])


def test_debug_shows_the_traceback(trading, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "argv", ["trading", "--debug", "--data-dir", str(tmp_path), "report"])
    with pytest.raises(main.TradingError):
        main.run()


def test_a_corrupted_store_and_a_port_in_use_are_named(trading, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "market.duckdb").write_bytes(b"not a database" * 1000)
    code, _, err = trading("sql", "SELECT 1")
    assert code == 2
    assert "market.duckdb" in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = trading("ui", "--port", str(port))
    assert (code, f"cannot listen on 127.0.0.1:{port}" in err) == (2, True)


def test_an_unknown_command_is_refused(trading):
    code, _, err = trading("fly")
    assert code == 2
    assert "No such command" in err


def test_the_registry_and_the_status_can_be_asked_before_anything_ran(trading):
    assert "No model is registered yet" in trading("models")[1]
    code, out, _ = trading("status")
    assert code == 0
    assert "not running" in out


def test_commands_that_only_read_load_no_asset_graph(tmp_path: Path):
    commands = [["gaps"], ["check"], ["status"], ["quarantine", "list"], ["sql", "SELECT 1"], ["report"]]
    program = (
        "import sys\n"
        "from trading_cli import main\n"
        f"for command in {commands!r}:\n"
        f"    sys.argv = ['trading', '--data-dir', {str(tmp_path / 'data')!r}, *command]\n"
        "    try:\n"
        "        main.run()\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print('loaded', *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "trading_cli.market_data.gaps" in loaded
    assert loaded.isdisjoint({"dagster", "mlflow", "lightgbm", "sklearn", "nautilus_trader", "pandas", "matplotlib"})


def test_the_kill_switch_stays_on_until_it_is_reset(trading):
    assert "is on" in trading("kill", "--reason", "a drill")[1]
    assert "a drill" in trading("status")[1]
    for command in ("paper", "demo"):
        code, out, err = trading(command)
        assert code == 2
        assert "trading kill --reset" in err
        assert "1/5" not in out, "before any work"
    assert "is off" in trading("kill", "--reset")[1]
    assert "kill switch  off" in trading("status")[1]


def test_a_health_check_is_one_line_and_an_exit_code(trading):
    code, out, err = trading("status", "--check")
    assert (code, out, err) == (1, "dead: no node runs\n", "")


def test_paper_and_real_orders_have_a_command_each(trading, monkeypatch: pytest.MonkeyPatch):
    code, _, err = trading("live")
    assert code == 2
    assert "node.mode is paper: no order would be sent; set node.mode: live" in err.replace("\n", "")
    monkeypatch.setenv("TRADING_NODE__MODE", "live")
    monkeypatch.setenv("TRADING_NODE__ENVIRONMENT", "live")
    code, _, err = trading("paper")
    assert code == 2
    assert "start it with trading live" in err.replace("\n", "")
    code, _, err = trading("live", "--i-accept-real-orders", "other")
    assert code == 2
    assert "accepted for the account 'other', and the settings trade 'main'" in err.replace("\n", "")


def test_a_command_that_only_reads_loads_nothing_heavy(tmp_path: Path):
    heavy = {"dagster", "mlflow", "numba", "lightgbm", "sklearn", "scipy", "pandas", "arch", "matplotlib", "plotly"}
    heavy |= {"nautilus_trader", "ccxt", "pandera", "skfolio", "aiohttp", "sqlglot"}
    for arguments in (["--help"], ["status"], ["models"]):
        code = (
            f"import sys; sys.argv = ['trading', '--data-dir', {str(tmp_path / 'data')!r}, *{arguments}]\n"
            "from trading_cli import main\n"
            "try:\n    main.run()\nexcept SystemExit:\n    pass\n"
            f"print('loaded', sorted({heavy} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "loaded []", (arguments, done.stdout, done.stderr)
