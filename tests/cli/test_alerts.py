"""`trading alerts`: what it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.alerts.receiver import TOKEN, Receiver, receiving
from trading_assets.alerts import Alert, Level
from trading_assets.alerts.desk import send
from trading_assets.core.errors import SettingsError
from trading_assets.settings import PROJECT_ROOT, SETTINGS_FILE_VARIABLE, Settings, load_settings
from trading_cli.main import app


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as one:
        monkeypatch.setenv("CHAT_ALERT_URL", one.url)
        yield one


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    told = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
    channels = {name: {"url_variable": f"{name.upper()}_ALERT_URL"} for name in ("chat", "phone")}
    file = tmp_path / "trading.yaml"
    file.write_text(yaml.safe_dump(told | {"alerts": {"channels": channels}, "data_dir": str(tmp_path / "data")}))
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
    return load_settings()


def trading(*words: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *words])


def test_a_test_message_arrives_or_says_why_not(settings: Settings, receiver: Receiver) -> None:
    good, bad = trading("test", "chat"), trading("test")
    assert (good.exit_code, good.output) == (0, "chat: sent\n")
    assert bad.exit_code == 1
    assert "phone: the environment variable PHONE_ALERT_URL is not set" in bad.output
    assert receiver.titles == ["test: an alert of the trading node"] * 2
    receiver.status = 401
    refused = trading("test", "chat")
    assert refused.exit_code == 1
    assert "error=401" in refused.output
    assert TOKEN not in refused.output
    unknown = trading("test", "fone")
    assert isinstance(unknown.exception, SettingsError)
    assert "did you mean 'phone'" in str(unknown.exception)


def test_what_is_open_is_listed_until_somebody_acknowledges_it(settings: Settings, receiver: Receiver) -> None:
    assert trading("list").output == "nothing is open\n"
    send(settings, Alert(Level.CRITICAL, "died", key="node/died"), Alert(Level.WARNING, "[odd]", key="x/[y]"))
    shown = trading("list").output
    assert "node/died" in shown
    assert "[odd]" in shown
    assert "phone: " in shown, "what could not be sent waits"
    wrong = trading("ack", "node/dyed")
    assert "did you mean 'node/died'" in str(wrong.exception)
    assert trading("ack", "node/died").output == "acknowledged: node/died\n"
    assert "is over, or was acknowledged" in str(trading("ack", "node/died").exception)
    assert trading("ack", "all").exit_code == 0
    assert trading("list").output.startswith("nothing is open")
    assert "acknowledged" in trading("list", "--all").output


def test_without_channels_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    assert "no alert channel is set" in str(trading("watch").exception)


def test_a_watch_tells_what_is_wrong_and_ends_with_one(settings: Settings, receiver: Receiver) -> None:
    assert trading("watch").output.endswith("all is well\n")
    settings.live_dir.mkdir(parents=True)
    (settings.live_dir / "node.json").write_text('{"half": ')
    watched = trading("watch")
    assert watched.exit_code == 1
    assert "critical: the node's heartbeat cannot be read" in watched.output
    assert any("heartbeat cannot be read" in title for title in receiver.titles)


@pytest.mark.parametrize("command", ["test", "list", "ack", "watch"])
def test_help_has_an_example(command: str) -> None:
    assert "Example: " in trading(command, "--help").output
