"""What the logs show, and what they never show."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from trading_assets.core.errors import StoreError
from trading_assets.settings import Settings, logs


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


SECRET = "s3cr3t-17/ü"
VARIABLES = {
    **dict.fromkeys(
        (
            "TRADING_KEYS__OKX__UID",
            "BINANCE_API_KEY",
            "BINANCE_API_SECRET",
            "BINANCE_FUTURES_TESTNET_API_SECRET",
            "BYBIT_API_KEY",
            "BYBIT_TESTNET_API_SECRET",
            "OKX_API_SECRET",
            "OKX_API_PASSPHRASE",
            "KRAKEN_SPOT_API_KEY",
            "KRAKEN_FUTURES_API_SECRET",
            "POLYGON_API_KEY",
            "MASSIVE_API_KEY",
            "BYBIT_SECRET",
            "OKX_PASSPHRASE",
            "POSTGRES_PASSWORD",
            "PGPASSWORD",
        ),
        SECRET,
    ),
    "TRADING_STORE__URL": f"postgresql://me:{quote(SECRET, safe='')}@db.example/trading",
    "DAGSTER_POSTGRES_URL": f"postgresql://db.example/dagster?user=me&password={quote(SECRET, safe='')}",
}


@pytest.fixture(params=VARIABLES)
def hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable with the secret."""
    monkeypatch.setenv(request.param, VARIABLES[request.param])
    return VARIABLES[request.param]


@pytest.mark.usefixtures("_own_handlers")
def test_no_key_or_password_of_the_environment_reaches_a_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hidden: str
) -> None:
    monkeypatch.setenv("BINANCE_ACCOUNT", "binance-USDT_FUTURES-master")
    logs.configure(settings, "test")
    logging.getLogger("adapter").warning("GET /?key=%s refused", SECRET, extra={"url": f"wss://x/{hidden}"})
    try:
        raise ValueError(f"signature of {SECRET}")
    except ValueError:
        logging.getLogger("adapter").exception("account binance-USDT_FUTURES-master")
    file = (settings.data_dir / "logs" / "test.log").read_text(encoding="utf-8")
    shown = file + capsys.readouterr().err
    assert "s3cr3t" not in shown
    first, second = (json.loads(line) for line in file.splitlines())
    assert first["event"] == "GET /?key=*** refused"
    assert first["url"] == f"wss://x/{hidden}".replace(quote(SECRET, safe=""), "***").replace(SECRET, "***")
    assert "signature of ***" in second["exception"]
    assert second["event"] == "account binance-USDT_FUTURES-master", "what is no secret stays readable"


def test_no_key_or_password_of_the_environment_reaches_an_error(hidden: str) -> None:
    error = StoreError(f"cannot open {hidden}", where=hidden, remedy=f"check {SECRET}")
    assert "s3cr3t" not in f"{error} {error!r} {error.what} {error.where} {error.remedy} {error.args}"
    assert str(error).endswith("; check ***")


@pytest.mark.parametrize(("flags", "code", "said"), [([], 2, "no such file"), (["--debug"], 1, "FileNotFoundError")])
def test_an_error_that_nobody_expected_shows_no_secret_either(
    tmp_path: Path, flags: list[str], code: int, said: str
) -> None:
    program = "import trading_cli.main as m\nm.app = lambda: open(m.sys.argv[-1])\nm.run()"
    environment = {**os.environ, "TRADING_STORE__URL": VARIABLES["TRADING_STORE__URL"]}
    command = [sys.executable, "-c", program, *flags, str(tmp_path / SECRET)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "s3cr3t" not in ended.stderr


def test_what_is_too_short_to_be_a_secret_garbles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKX_API_KEY", "a")
    monkeypatch.setenv("BYBIT_API_KEY", "")
    assert str(StoreError("a plain text")) == "a plain text"


@pytest.mark.usefixtures("_own_handlers")
def test_a_log_file_on_a_full_disk_prints_no_traceback(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)
    logs.configure(settings, "node")

    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                raise OSError(28, "No space left on device")
            except OSError:
                self.handleError(record)

    logging.getLogger().addHandler(Full())
    logging.getLogger("a").error("said all the same")
    shown = capsys.readouterr().err
    assert "said all the same" in shown
    assert "Traceback" not in shown


@pytest.mark.usefixtures("_own_handlers")
@pytest.mark.parametrize(
    ("level", "form", "shown"), [("INFO", "human", False), ("DEBUG", "human", True), ("INFO", "json", True)]
)
def test_as_text_the_terminal_shows_no_line_of_trades_but_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str, form: str, shown: bool
) -> None:
    logs.configure(Settings.model_validate({"data_dir": tmp_path, "logs": {"level": level, "format": form}}), "node")
    trades = logging.getLogger(logs.TRADES)
    trades.info("order accepted")
    trades.warning("order lost")
    told = capsys.readouterr().err
    assert ("order accepted" in told, "order lost" in told) == (shown, True)
    assert "order accepted" in (tmp_path / "logs" / "node.log").read_text()
