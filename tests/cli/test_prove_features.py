"""`trading prove-features` on modules of a user."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.settings import load_settings
from trading_assets.store import configured_store
from trading_assets.store.tables import BARS
from trading_cli import main

M15 = Timeframe.parse("15m")

MODULE = '''
import numpy as np
from trading_assets.features.framework.registry import Registry
from trading_assets.features.framework.windows import rolling_mean, shift

registry = Registry()


@registry.feature("move_{bars}", inputs=["close"], each=[{"bars": 3}], lookback=4, unit="fraction", source="own")
def move(frame, bars):
    """Relative change."""
    return frame.close / shift(frame.close, bars) - 1
'''
LIAR = '''

@registry.feature("tomorrow", inputs=["close"], lookback=1, unit="fraction", source="own")
def tomorrow(frame):
    """The next close."""
    return np.append(frame.close[1:], frame.close[-1])
'''


@pytest.fixture
def trading(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trading", *arguments])
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            main.run()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_honest_features_are_proven(trading, tmp_path):
    code, out, _ = trading("prove-features", _write(tmp_path / "honest_module.py", MODULE), "--replayed", "200")
    assert code == 0
    for timeframe in ("1m", "15m", "1h", "1d"):
        assert f"made-up {timeframe}: 1 of 1 features proven" in out


@pytest.mark.parametrize("timeframes", [("1d",), ("4h", "1d")])
def test_windows_in_time_are_proven_where_they_have_enough_bars(trading, tmp_path, timeframes):
    text = MODULE.replace("import numpy as np\n", "import numpy as np\nfrom trading_assets.features import DAY\n")
    own = _write(
        tmp_path / "of_a_day.py", text.replace('"bars": 3', '"bars": DAY').replace("lookback=4", "lookback=DAY")
    )
    code, out, err = trading("prove-features", own, "--replayed", "200", *(f"--timeframe={one}" for one in timeframes))
    if timeframes == ("1d",):
        assert code == 2
        assert "none of its features is defined on 1d; choose a finer --timeframe" in " ".join(err.split())
    else:
        assert code == 1  # a change over a day looks back on a bar more than a day has
        assert "made-up 4h: 0 of 1 features proven" in out
        assert "look-back: declare all bars" in out


def test_a_timeframe_that_is_none_or_not_stored_is_refused(trading, tmp_path, monkeypatch):
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    own = _write(tmp_path / "honest_again.py", MODULE)
    code, _, err = trading("prove-features", own, "--timeframe", "7m")
    assert (code, "'7m' does not divide the day" in " ".join(err.split())) == (2, True)
    code, _, err = trading(
        "prove-features", own, "--timeframe", "45m", "--market", "sample:X/USDT", "--replayed", "100"
    )
    assert (code, "no bars of 45m are stored" in " ".join(err.split())) == (2, True)


def test_the_examples_of_the_how_to_are_proven(trading, tmp_path):
    how_to = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-feature.md").read_text()
    example, _ = re.findall(r"```python\n(.*?)```", how_to, re.DOTALL)
    own = _write(tmp_path / "my_features.py", example)
    code, out, _ = trading("prove-features", own, "--replayed", "200")
    assert code == 0
    assert "made-up 15m: 3 of 3 features proven" in out


def test_a_feature_that_sees_the_future_is_refuted_with_bar_and_values(trading, tmp_path):
    code, out, _ = trading("prove-features", _write(tmp_path / "liar_module.py", MODULE + LIAR), "--replayed", "200")
    assert code == 1
    assert "1 of 2 features proven" in out
    assert "refuted" in out
    assert "look-ahead" in out
    assert "tomorrow at 2025-01-" in out
    assert "look-ahead: read no bar after the present one" in out


def test_features_are_proven_on_stored_bars_too_and_too_few_of_them_prove_nothing(trading, tmp_path, monkeypatch):
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    bars = made_up_bars(300, M15).with_columns(candles=pl.lit(15, pl.Int32))
    configured_store(load_settings()).upsert(BARS["15m"], bars)
    own = _write(tmp_path / "honest_on_stored.py", MODULE)
    code, out, _ = trading("prove-features", own, "--market", bars["market"][0], "--replayed", "200")
    assert code == 0
    assert f"{bars['market'][0]} 15m: 1 of 1 features proven" in out
    code, _, err = trading("prove-features", own, "--market", bars["market"][0])
    assert code == 2
    assert "300 bars are too few to prove look-backs of 4; give at least 1,008 bars" in " ".join(err.split())


def test_a_feature_that_fails_is_refuted_with_the_line_and_the_others_are_judged(trading, tmp_path):
    failing = MODULE + LIAR.replace("np.append(frame.close[1:], frame.close[-1])", "frame.closed")
    code, out, _ = trading("prove-features", _write(tmp_path / "failing_module.py", failing), "--replayed", "200")
    assert code == 1
    assert "1 of 2 features proven" in out
    told = " ".join(out.replace("│", " ").split())  # the cell of a table, broken where the terminal is narrow
    assert f"'Bars' object has no attribute 'closed' (line {failing.count(chr(10))})" in told


def test_a_file_may_import_what_lies_beside_it_and_be_called_as_a_module_in_use(trading, tmp_path):
    _write(tmp_path / "beside_it.py", MODULE)
    import statistics

    own = _write(tmp_path / "statistics.py", "from beside_it import registry")
    code, out, _ = trading("prove-features", own, "--replayed", "100")
    assert code == 0
    assert "1 of 1 features proven" in out
    assert sys.modules["statistics"] is statistics


def test_a_module_is_looked_for_where_the_command_was_called(trading, tmp_path, monkeypatch):
    _write(tmp_path / "module_from_here.py", MODULE)
    monkeypatch.chdir(tmp_path)
    assert trading("prove-features", "module_from_here", "--replayed", "100")[0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no features"),
        ("import nowhere_to_be_found", "cannot load it: ModuleNotFoundError"),
        ("x =", "cannot load it: SyntaxError"),
        ("1 / 0", "cannot load it: ZeroDivisionError"),
        (MODULE + LIAR.replace("tomorrow", "move_3"), "the feature 'move_3' is there already"),
        (
            MODULE + "two = Registry()\ntwo.add(registry.declarations[0])",
            "the feature 'move_3' is there already; give each",
        ),
    ],
)
def test_a_module_that_gives_no_features_is_refused_with_the_remedy(trading, tmp_path, text, message):
    code, _, err = trading("prove-features", _write(tmp_path / "empty_module.py", text))
    assert code == 2
    assert message in err
