"""Alerts as they arrive: the real apprise, and a server on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.alerts.receiver import TOKEN, Receiver, mailbox, receiving, told_by
from tests.seats import registered_here
from trading_assets.alerts import Alert, AlertState, Level
from trading_assets.alerts.channels import Message, SendError, register
from trading_assets.alerts.desk import NOT_SENT, Desk, send
from trading_assets.alerts.sending import failure_of
from trading_assets.alerts.state_file import STATE_FILE, StateFile
from trading_assets.core.errors import SettingsError
from trading_assets.core.secrets import without_secrets
from trading_assets.settings import AlertSettings, Settings, load_settings, logs

DIED = Alert(Level.CRITICAL, "died: signal 9 (SIGKILL)", "node paper-live", "see data/logs", "node/died")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as one:
        monkeypatch.setenv("CHAT_ALERT_URL", one.url)
        yield one


def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not done():
        assert time.monotonic() < end, "waited for five minutes"
        time.sleep(0.01)


def test_an_alert_arrives_with_what_where_when_and_what_to_do(tmp_path: Path, receiver: Receiver) -> None:
    send(told_by(settings(tmp_path)), DIED)
    (got,) = receiver.got
    assert got["title"] == "CRITICAL: died: signal 9 (SIGKILL) (node paper-live)"
    assert got["type"] == "failure"
    lines = got["message"].splitlines()
    assert lines[:2] == ["died: signal 9 (SIGKILL)", "where: node paper-live"]
    assert lines[2].startswith("when: ")
    assert lines[2].endswith(" UTC")
    assert lines[3:] == ["do: see data/logs", "seen to it: trading alerts ack node/died"]


def test_a_mail_has_a_line_for_each_thing_that_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox() as (address, got):
        monkeypatch.setenv("CHAT_ALERT_URL", address)
        send(told_by(settings(tmp_path)), Alert(Level.CRITICAL, "slow: 5 > 3 & <none> heard", "node", "look", "node/x"))
    (mail,) = got
    assert mail["Subject"] == "CRITICAL: slow: 5 > 3 & <none> heard (node)"
    body = mail.get_body()
    assert body is not None
    lines = body.get_content().splitlines()
    assert lines[:2] == ["slow: 5 > 3 & <none> heard", "where: node"]
    assert lines[3:] == ["do: look", "seen to it: trading alerts ack node/x"]


def test_without_channels_nothing_is_done(tmp_path: Path) -> None:
    send(settings(tmp_path), DIED)
    assert not (tmp_path / STATE_FILE).exists()


def test_what_one_process_told_the_next_does_not_tell_again(tmp_path: Path, receiver: Receiver) -> None:
    for _ in range(3):
        send(told_by(settings(tmp_path)), DIED)
    assert len(receiver.got) == 1
    assert StateFile(tmp_path).read().matters["node/died"].count == 2


def test_a_desk_sends_from_a_thread_of_its_own_and_nobody_waits(tmp_path: Path, receiver: Receiver) -> None:
    chosen = told_by(settings(tmp_path))
    receiver.held.clear()
    with Desk(chosen).open() as desk:
        send(chosen, DIED)  # returns although the server does not answer
        desk.take(Alert(Level.INFO, "started"))
        assert receiver.got == []
        receiver.held.set()
        wait_for(lambda: len(receiver.got) == 2)
    assert receiver.titles == ["CRITICAL: died: signal 9 (SIGKILL) (node paper-live)", "info: started"]


def test_a_server_that_does_not_answer_costs_the_time_limit_and_no_second_send_beside_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    chosen = told_by(settings(tmp_path), timeout_s=0.2, retry_s=0.01)
    receiver.held.clear()
    send(chosen, DIED)
    (waiting,) = [one for one in StateFile(tmp_path).read().outbox if one.key == "node/died"]
    assert waiting.attempts >= 1
    receiver.held.set()
    wait_for(lambda: bool(receiver.got))
    time.sleep(0.05)

    def told() -> bool:
        send(told_by(settings(tmp_path), retry_s=0.01))
        return not StateFile(tmp_path).read().outbox

    wait_for(told)


def test_a_failed_send_is_noted_for_the_journal_and_told_by_the_other_channel(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = {name: {"url_variable": f"{name.upper()}_ALERT_URL"} for name in ("chat", "phone")}
    monkeypatch.setenv("PHONE_ALERT_URL", f"json://127.0.0.1:1/{TOKEN}")  # nobody listens there
    with Desk(told_by(settings(tmp_path), channels=channels)).open() as desk:
        desk.take(DIED)
        wait_for(lambda: len(receiver.got) == 2)
        notes = list(desk.notes())
    assert receiver.titles[1].startswith("CRITICAL: alert channel phone cannot be reached: ")
    event, detail = notes[0]
    assert event == NOT_SENT
    assert detail.startswith("channel phone: A Connection error occurred sending JSON notification to ***")
    assert TOKEN not in detail


def test_a_disk_that_takes_nothing_keeps_no_alert(tmp_path: Path, receiver: Receiver) -> None:
    place = tmp_path / "file"
    place.write_text("no folder")
    chosen = told_by(settings(place / "data"))
    with Desk(chosen).open() as desk:
        desk.take(DIED)
        desk.take(DIED)
        wait_for(lambda: len(receiver.got) == 1)
    assert len(receiver.got) == 1, "it remembers"


def test_a_damaged_state_is_set_aside(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / STATE_FILE).write_text("{half")
    send(told_by(settings(tmp_path)), DIED)
    assert len(receiver.got) == 1
    assert (tmp_path / f"{STATE_FILE}.damaged").read_text() == "{half"


def both_were_tried(state: AlertState) -> bool:
    keys = {key.split("/")[0] for key in state.matters}
    return keys >= {"node", "key"} and not any(one.leased_until for one in state.outbox)


@pytest.mark.parametrize("status", [200, 401, 500, None])
def test_no_part_of_an_address_is_ever_shown(
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    status: int | None,
) -> None:
    chosen = told_by(settings(tmp_path / "data"), attempts=1)
    chosen = chosen.model_copy(update={"logs": chosen.logs.model_copy(update={"level": "DEBUG"})})
    if status is None:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url.replace(str(receiver.port), "1"))
    else:
        receiver.status = status
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    try:
        logs.configure(chosen, "alerts")
        with Desk(chosen).open() as desk:
            desk.take(DIED)
            desk.take(Alert(Level.WARNING, f"somebody pasted {receiver.url} here", key=f"key/{TOKEN}"))
            wait_for(lambda: both_were_tried(StateFile(chosen.data_dir).read()))
        notes = str(list(desk.notes()))
    finally:
        for handler in set(root.handlers) - set(before[0]):
            root.removeHandler(handler)
            handler.close()
        for handler in before[0]:
            root.addHandler(handler)
        root.setLevel(before[1])
    written = {path: path.read_bytes() for path in chosen.data_dir.rglob("*") if path.is_file()}
    assert written
    shown = "".join(capfd.readouterr()) + notes + str(receiver.got) + "".join(map(str, written.values()))
    assert "died" in shown
    for secret in (TOKEN, f"{TOKEN}-secret", receiver.url):
        assert secret not in shown


@pytest.mark.parametrize(
    "address", [f"nonsense {TOKEN}", f"tgram://{TOKEN}", f"discord://{TOKEN}", f"ftp://x/{TOKEN}", f"json://:{TOKEN}@"]
)
def test_an_address_that_is_none_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("CHAT_ALERT_URL", address)
    chosen = told_by(settings(tmp_path)).alerts
    failure = failure_of("chat", Message(Level.INFO, "a", "b"), chosen)
    assert failure is not None
    assert TOKEN not in failure
    monkeypatch.delenv("CHAT_ALERT_URL")
    missing = failure_of("chat", Message(Level.INFO, "a", "b"), chosen)
    assert missing == "the environment variable CHAT_ALERT_URL is not set"


def test_words_that_an_address_has_too_stay_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_ALERT_URL", "mailto://me:hunter@example.com/trading")
    assert without_secrets("trading at example.com by hunter") == ["trading at example.com by ***"]


def test_an_address_in_the_settings_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "trading.yaml"
    file.write_text(
        Path("trading.yaml").read_text() + f"\nalerts: {{channels: {{chat: {{url_variable: 'tgram://{TOKEN}/1'}}}}}}\n"
    )
    with pytest.raises(SettingsError, match=r"alerts\.channels\.chat\.url_variable") as told:
        load_settings(file)
    assert TOKEN not in str(told.value)


def test_a_plug_in_is_a_way_to_send_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_ALERT_URL", TOKEN)
    rung: list[str] = []
    channels = {"chat": {"kind": "bell", "url_variable": "CHAT_ALERT_URL"}}
    with registered_here():

        @register
        class Bell:
            """Rings."""

            kind = "bell"

            def send(self, address: str, message: Message, timeout_s: float) -> None:
                """Ring once, then say too much."""
                rung.append(message.title)
                if len(rung) > 1:
                    raise SendError(f"{address} is tired")

        chosen = told_by(settings(tmp_path), channels=channels)
        send(chosen, DIED)
        assert rung == ["CRITICAL: died: signal 9 (SIGKILL) (node paper-live)"]
        assert failure_of("chat", Message(Level.INFO, "a", "b"), chosen.alerts) == "*** is tired"
    failure = failure_of("chat", Message(Level.INFO, "a", "b"), chosen.alerts)
    assert failure is not None
    assert failure.startswith("alerts.channels.chat: no alert channel of kind 'bell'")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channels": {"a": {"url_variable": "A_ALERT_URL", "quiet": {"begin": "25:00", "end": "7:00"}}}}, "no time"),
        (
            {
                "channels": {
                    "a": {
                        "url_variable": "A_ALERT_URL",
                        "quiet": {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Berlim"},
                    }
                }
            },
            "did you mean 'Europe/Berlin'",
        ),
        ({"channels": {"a": {"url_variable": "TRADING_A_ALERT_URL"}}}, "would be read as a setting"),
        ({"escalation": {"to": "phone"}}, "no alert channel 'phone'"),
        ({"channels": {"My Phone": {"url_variable": "A_ALERT_URL"}}}, "small letters"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AlertSettings.model_validate(wrong)


def test_settings_are_meant_as_yaml_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "trading.yaml"
    quiet = "quiet: {begin: 22:00, end: 07:00}"  # the one is a number in base 60 to YAML, the other a text
    channel = f"alerts: {{levels: {{a: off}}, channels: {{chat: {{url_variable: CHAT_ALERT_URL, {quiet}}}}}}}"
    file.write_text(f"{Path('trading.yaml').read_text()}\n{channel}\n")
    read = load_settings(file).alerts
    assert read.levels == {"a": "off"}
    hours = read.channels["chat"].quiet
    assert hours is not None
    assert (f"{hours.begin:%H:%M}", f"{hours.end:%H:%M}") == ("22:00", "07:00")
