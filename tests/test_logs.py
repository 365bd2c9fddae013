"""What the logs show, and what they never show."""

from __future__ import annotations

import json
import logging

import pytest

from trading_assets import logs
from trading_assets.settings import Settings


@pytest.fixture
def _own_handlers() -> object:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield None
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.mark.usefixtures("_own_handlers")
@pytest.mark.parametrize(
    "variable",
    [
        "TRADING_KEYS__OKX__UID",
        "BINANCE_API_KEY",
        "BINANCE_API_SECRET",
        "BYBIT_SECRET",
        "OKX_PASSPHRASE",
        "POSTGRES_PASSWORD",
    ],
)
def test_no_key_or_password_of_the_environment_reaches_a_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv(variable, "s3cr3t-17")
    monkeypatch.setenv("BINANCE_ACCOUNT", "binance-USDT_FUTURES-master")
    logs.configure(settings, "test")
    logging.getLogger("adapter").warning("GET /?key=%s refused", "s3cr3t-17", extra={"url": "wss://x/s3cr3t-17"})
    try:
        raise ValueError("signature of s3cr3t-17")
    except ValueError:
        logging.getLogger("adapter").exception("account binance-USDT_FUTURES-master")
    file = (settings.data_dir / "logs" / "test.log").read_text(encoding="utf-8")
    shown = file + capsys.readouterr().err
    assert "s3cr3t" not in shown
    first, second = (json.loads(line) for line in file.splitlines())
    assert first["event"] == "GET /?key=*** refused"
    assert first["url"] == "wss://x/***"
    assert "signature of ***" in second["exception"]
    assert second["event"] == "account binance-USDT_FUTURES-master", "what is no secret stays readable"
