"""The check of the settings: what will run, what nothing reads, what cannot work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trading_cli.console import console

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


def test_check_says_what_will_run_and_what_nothing_reads(trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "width", 80)
    code, out, _ = trading("check")
    assert code == 0
    for shown in ("sample:NOISE/USDT:USDT", "5 (60 + 15 days)", "216,000", "15m long", "paper on binance (replay)"):
        assert shown in out
    assert out.count("│") == 3 * 5 + 3 * 2 * 5 + 3 * 6, "a market in one line, a model in two, its size in one"
    assert "sizes     equity_share, of 100,000.00 (node.starting_balance)" in out
    assert "111.94 (0.11%)" in out, "a tenth of it, at a stop of 1 % and 12 bps"
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
