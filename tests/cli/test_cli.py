"""The command: help everywhere, one clear line and exit code 2 for what the user can mend, and the short demo."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from trading_assets.settings import PROJECT_ROOT, origin
from trading_assets.store import TABLES, open_store
from trading_cli import main
from trading_cli.console import console

COMMANDS = [
    command.callback.__name__.replace("_", "-")
    for command in main.app.registered_commands
    if command.callback and not command.hidden
]
SETTINGS = """\
sources: {sample: {kind: sample}}
history: {start: 2025-01-01, end: 2025-03-01}
markets:
  sample:SYNA/USDT: {source: sample, timeframe: 15m}
  sample:SYNA/USDT:USDT: {source: sample, timeframe: 15m}
labels:
  swing: {timeframe: 15m}
  other: {timeframe: 1h}
models:
  one: {markets: ["sample:SYNA/USDT"], label: swing, sides: [long]}
  two: {markets: ["sample:SYNA/USDT:USDT"], label: other}
"""
SHORT = Path(__file__).with_name("short.yaml")


@pytest.fixture
def trading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command in this process on a data folder of its own; returns exit code, stdout, stderr."""
    for name in ("TRADING_SETTINGS", "TRADING_DATA_DIR", "TRADING_LOGS__LEVEL", "TRADING_LOGS__FORMAT"):
        monkeypatch.setenv(name, "")  # remembered, so that what the command sets is undone
        monkeypatch.delenv(name)

    monkeypatch.setattr(origin, "_carried", {})  # flags of this process, which outlive their test

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trading", "--data-dir", str(tmp_path / "data"), *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


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
        (["paper", "--port", "1"], "start trading replay first"),
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


def test_check_says_what_will_run_and_what_nothing_reads(trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "width", 80)
    code, out, _ = trading("check")
    assert code == 0
    for shown in ("sample:NOISE/USDT:USDT", "5 (60 + 15 days)", "216,000", "15m long", "paper on binance (replay)"):
        assert shown in out
    assert out.count("│") == 3 * 5 + 3 * 2 * 5, "a market in one line, a model in two"
    monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", "http://nowhere.invalid:8000")
    monkeypatch.setenv(
        "TRADING_SOURCES", '{"other": {"kind": "ccxt", "exchange": "okx"}, "sample": {"kind": "sample"}}'
    )
    code, out, _ = trading("check")
    assert code == 1
    assert "node.base_url_http: unknown host nowhere.invalid" in out
    assert "sources.other: no market names it" in out
    assert not (tmp_path / "data").exists()
    monkeypatch.setenv("TRADING_LABELS", '{"swing": {"timeframe": "10m"}}')
    code, out, _ = trading("check")
    assert code == 1
    assert "models.syna: replay streams no 10m bars of sample:SYNA/USDT:USDT; it has 1m, 3m" in out.replace("\n", "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("swing: {timeframe: 15m", "swing: {timeframe: 2w", "labels.swing.timeframe: '2w' is not a timeframe"),
        (
            "swing: {timeframe: 15m",
            "swing: {timeframe: 7m",
            "labels.swing.timeframe: timeframe '7m' does not divide the day",
        ),
        (
            "swing: {timeframe: 15m",
            "swing: {timeframe: 5m",
            "5m bars cannot be built from the 15m candles of sample:SYNA/USDT",
        ),
        ("  two:", "  one:", "the key 'models.one' stands on line 10 already"),
        ("label: swing", "label: swign", "model one: no label set 'swign'; did you mean 'swing'?"),
        ("swing: {timeframe", "swing: {kind: metta, timeframe", "no label 'metta'; did you mean 'meta'?"),
        ("swing: {timeframe", "swing: {kind: meta, timeframe", "labels.swing.rule is required"),
        ("swing: {timeframe", "swing: {kind: meta, rule: {kind: emacross}, timeframe", "no rule 'emacross'"),
        (
            "swing: {timeframe",
            "swing: {shortest_trend_bars: 4, timeframe",
            "unknown key 'labels.swing.shortest_trend_bars",
        ),
        (
            "swing: {timeframe",
            "swing: {rule: {kind: ema_cross_rsi}, timeframe",
            "unknown key 'labels.swing.rule'; 'rule' is of the kind meta",
        ),
        ("swing: {timeframe", "swing: {markets: [], timeframe", "'labels.swing.markets'; 'markets' belongs elsewhere"),
        ("swing: {timeframe", "swing: {sampling: {by: tiks}, timeframe", "labels.swing.sampling.by"),
        (
            "swing: {timeframe",
            "swing: {sampling: {by: volume, per_day: 96}, timeframe",
            "per_day 96 is not below the 96 bars of 15m in a day",
        ),
        ("sides: [long]", "sides: [short]", "sample:SYNA/USDT is a spot market, which cannot be sold short"),
    ],
)
def test_settings_that_do_not_fit_are_one_message_with_file_and_line(
    trading, tmp_path: Path, old: str, new: str, said: str
):
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS.replace(old, new, 1))
    code, out, err = trading("--settings", str(file), "check")
    assert (code, err.count("error:")) == (2, 1), out + err
    assert re.search(rf"{re.escape(str(file))}:\d+: ", " ".join(err.split()))
    assert said in " ".join(err.split())


def test_check_warns_of_a_label_set_that_nobody_learns(trading, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS.replace("  swing:", "  idle: {timeframe: 1h}\n  swing:"))
    code, out, _ = trading("--settings", str(file), "check")
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "idle" in text)
    assert code == 1
    assert f"labels.idle: no model learns it ({file}:{line})" in " ".join(out.split())


def test_check_counts_the_folds_that_features_leave_and_warns_where_none_is(
    trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What all features look back on is 22 days on 15m, and 172 on 2h."""
    monkeypatch.setattr(console, "width", 120)
    file = tmp_path / "mine.yaml"
    windows = "walk_forward: {train_days: 30, purge_days: 1, embargo_days: 1, test_days: 10}"
    longer = SETTINGS.replace("2025-03-01", "2025-04-01").replace("timeframe: 1h", "timeframe: 2h")
    for name in ("swing", "other"):
        longer = longer.replace(f"label: {name}", f"label: {name}, {windows}")
    file.write_text(longer)
    code, out, _ = trading("--settings", str(file), "check")
    shown = " ".join(out.split())
    assert code == 1
    assert "4 (30 + 10 days)" in shown
    assert "0 (30 + 10 days)" in shown
    assert "models.two: 90 days of history leave nothing to test: 172 pass before what it reads is there" in shown
    assert "models.one:" not in shown
    file.write_text(longer.replace("label: other", "label: other, features: [rsi_14]"))
    assert "leave nothing to test" not in trading("--settings", str(file), "check")[1]


def test_check_warns_of_a_threshold_below_break_even(trading, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS.replace("label: swing", "label: swing, threshold: 0.1"))
    code, out, _ = trading("--settings", str(file), "check")
    assert code == 1
    assert "models.one.threshold: 0.1 is below break-even" in " ".join(out.split())


def test_check_warns_of_two_models_on_the_same_bars(trading, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    rule = '  three: {kind: rule, rule: {kind: ema_cross_rsi}, markets: ["sample:SYNA/USDT"], label: swing}\n'
    file.write_text(SETTINGS + rule)
    code, out, _ = trading("--settings", str(file), "check")
    said = "models.three: one decides on the 15m bars of sample:SYNA/USDT too"
    assert (code, out.replace("\n", "").count(said)) == (1, 1), out
    file.write_text(SETTINGS + rule.replace("label: swing", "label: other"))
    assert "decides on the" not in trading("--settings", str(file), "check")[1]


def test_check_refuses_features_that_mean_nothing_on_the_models_timeframe(trading, tmp_path: Path):
    for chosen, said in (("momentun", "momentun"), ("h1_rsi_14_x", "h1_rsi_14_x")):
        file = tmp_path / "mine.yaml"
        file.write_text(SETTINGS.replace("sides: [long]", f"sides: [long], features: [{chosen}]", 1))
        code, _, err = trading("--settings", str(file), "check")
        assert (code, err.count("error:")) == (2, 1), err
        assert "models.one.features" in err
        assert said in err


def test_check_refuses_a_data_folder_that_cannot_be_made(trading):
    code, _, err = trading("--data-dir", "/proc/none/data", "check")
    assert code == 2
    assert "error: /proc/none/data: the data folder cannot be made: /proc: " in err


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


@pytest.mark.slow
def test_the_short_demo_goes_from_candles_to_fills_and_can_be_run_again(tmp_path: Path):
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

    store = open_store(f"duckdb:///{tmp_path / 'data' / 'market.duckdb'}")

    def counted() -> dict[str, int]:
        parts = ("candles", "candles_quarantine", "bars_15m", "features", "labels", "predictions", "trades")
        return {name: store.read(TABLES[name]).height for name in (*parts, "model_versions")}

    first = run("demo", "--paper-seconds", "5")
    flags = f"--settings {SHORT.relative_to(PROJECT_ROOT)} --data-dir {tmp_path / 'data'}"
    again = f"alias trading='.venv/bin/trading {flags}'"
    for shown in ("synthetic", "approved", "syna version 1 is active", "signals", "What to open next", again):
        assert shown in first
    tables = counted()
    assert str(tables["candles"]) in run("sql", "SELECT count(*) AS n FROM candles").replace(",", "")
    queries = re.findall(r'^sql "(.+)"$', (PROJECT_ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert len(queries) >= 9
    for query in queries:
        store.query(query)
    second = run("demo", "--paper-seconds", "5")
    assert "syna version 1 is active" in second, "the same data and code give the same bundle, hence the same version"
    assert counted() == tables
    assert run("report").strip().endswith("/syna/1.html")
    assert "syna 1 active" in run("report", "--all")


def test_a_health_check_is_one_line_and_an_exit_code(trading):
    code, out, err = trading("status", "--check")
    assert (code, out, err) == (1, "dead: no node runs\n", "")
