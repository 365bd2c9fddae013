"""What tests of the command share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trading_assets.settings import origin
from trading_cli import main


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
