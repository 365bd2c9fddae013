"""`trading prove-features` on modules of a user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trading_cli import main

MODULE = '''
import numpy as np
from trading_assets.features.registry import Registry
from trading_assets.features.windows import rolling_mean, shift

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
    assert "1 of 1 features proven" in out


def test_a_feature_that_sees_the_future_is_refuted_with_bar_and_values(trading, tmp_path):
    code, out, _ = trading("prove-features", _write(tmp_path / "liar_module.py", MODULE + LIAR), "--replayed", "200")
    assert code == 1
    assert "1 of 2 features proven" in out
    assert "refuted" in out
    assert "look-ahead" in out
    assert "tomorrow at 2025-01-" in out


@pytest.mark.parametrize(
    ("text", "message"), [("x = 1", "no features"), ("import nowhere_to_be_found", "cannot load it"), ("x =", "cannot")]
)
def test_a_module_without_features_is_refused_with_the_remedy(trading, tmp_path, text, message):
    code, _, err = trading("prove-features", _write(tmp_path / "empty_module.py", text))
    assert code == 2
    assert message in err
