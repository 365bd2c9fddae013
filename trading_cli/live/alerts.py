"""`trading alerts`: try channels, see what is open, acknowledge it, look from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trading_assets.core.errors import SettingsError
from trading_assets.settings import Settings, load_settings, logs
from trading_assets.settings.names import instead
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console

if TYPE_CHECKING:
    from trading_assets.alerts.state import Matter

_EXAMPLE = """

Example:

    CHAT_ALERT_URL=tgram://TOKEN/CHAT trading alerts test chat
"""

app = typer.Typer(
    help="Messages to people (settings section `alerts`): try channels, see what is open, acknowledge it." + _EXAMPLE,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Argument(help="A channel of the settings. Default: all.")] = None,
) -> None:
    """Send a test message now, past all limits. Exit code 0 if it was taken, 1 if not.

    Example: CHAT_ALERT_URL=tgram://TOKEN/CHAT trading alerts test chat
    """
    settings = _settings()
    from trading_assets.alerts import Delivery, Level
    from trading_assets.alerts.sending import send_all
    from trading_assets.core.clock import utc_now

    channels, now = settings.alerts.channels, utc_now()
    if channel is not None and channel not in channels:
        raise SettingsError(f"no alert channel {channel!r}", where="alerts.channels", remedy=instead(channel, channels))
    messages = [
        Delivery(
            number=number,
            channel=name,
            key="alerts/test",
            kind="alert",
            level=Level.INFO,
            title="test: an alert of the trading node",
            body=f"It came through, from {settings.data_dir}. Nothing is wrong.",
            made_at=now,
            due_at=now,
        )
        for number, name in enumerate(channels if channel is None else [channel])
    ]
    outcomes = send_all(messages, settings.alerts)
    for one in messages:
        failure = outcomes[one.number]
        told = f"{one.channel}: {failure or 'sent'}"
        console.print(told, markup=False, style="red" if failure else None, soft_wrap=True)
    if any(outcomes.values()):
        raise typer.Exit(1)


@app.command("list")
def show(
    every: Annotated[bool, typer.Option("--all", help="What is over or acknowledged, too.")] = False,
) -> None:
    """Show what is open, and what waits to be sent.

    Example: trading alerts list --all
    """
    settings = _settings(needs_channels=False)
    from trading_assets.alerts.state_file import StateFile

    state = StateFile(settings.data_dir).read()
    found = sorted(state.matters.values(), key=lambda one: (-one.level.rank, one.told_at))
    shown = [one for one in found if every or one.is_open]
    table = Table("level", "since (UTC)", "what", "key", "")
    for one in shown:
        table.add_row(one.level.value, f"{one.since:%Y-%m-%d %H:%M}", _plain(one.what), _plain(one.key), _standing(one))
    console.print(table if shown else "nothing is open")
    for channel in settings.alerts.channels:
        waiting = [one for one in state.outbox if one.channel == channel]
        held = state.held.get(channel)
        told = [f"{len(waiting)} messages wait to be sent"] if waiting else []
        told += [f"{held.count} held back since {held.since:%Y-%m-%d %H:%M} UTC"] if held else []
        if told:
            console.print(f"{channel}: {', '.join(told)}", markup=False)


@app.command()
def ack(
    key: Annotated[str, typer.Argument(help="The key of what is open, as the message and `list` have it; or `all`.")],
) -> None:
    """Say that somebody sees to it: nobody else is told any more.

    Example: trading alerts ack node/died
    """
    settings = _settings(needs_channels=False)
    from trading_assets.alerts import acknowledge
    from trading_assets.alerts.state_file import StateFile
    from trading_assets.core.clock import utc_now

    file = StateFile(settings.data_dir)
    matters = file.read().matters
    waiting = [name for name, one in matters.items() if one.is_open]
    chosen = waiting if key == "all" else [key]
    if key != "all" and key not in waiting:
        closed = key in matters
        what = f"{key!r} is over, or was acknowledged" if closed else f"no alert {key!r}"
        raise SettingsError(what, where=str(file.path), remedy="" if closed else instead(key, waiting))
    file.change(lambda state: (None, acknowledge(state, chosen, utc_now())))
    console.print("\n".join(f"acknowledged: {name}" for name in chosen) or "nothing is open", markup=False)


@app.command()
def watch(
    forever: Annotated[
        bool, typer.Option("--forever", help="Every `alerts.look_s` seconds, until interrupted.")
    ] = False,
) -> None:
    """Look at the node from outside and send what is due. Exit code 0 if all is well, 1 if somebody has to look.

    For cron (once), or systemd (--forever).

    Example: trading alerts watch
    """
    settings = _settings()
    logs.configure(settings, "alerts")
    from trading_assets.alerts.watch import watch_once
    from trading_live.operations import alerts
    from trading_live.operations.interrupts import ends_quietly

    _ = alerts  # a source
    with ends_quietly():
        found = watch_once(settings)
        while forever:
            time.sleep(settings.alerts.look_s)
            found = watch_once(settings)
    for one in found:
        console.print(f"{one.level.value}: {one.what}", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    console.print("all is well")


def _settings(*, needs_channels: bool = True) -> Settings:
    with only_asked():
        settings = load_settings()
    if needs_channels and not settings.alerts.channels:
        raise SettingsError(
            "no alert channel is set", where="alerts.channels", remedy="name one, see docs/how-to/alerts.md"
        )
    return settings


def _standing(matter: Matter) -> str:
    if matter.over_at is not None:
        return f"over {matter.over_at:%Y-%m-%d %H:%M}"
    if matter.acknowledged_at is not None:
        return f"acknowledged {matter.acknowledged_at:%Y-%m-%d %H:%M}"
    return f"{matter.count} times more" if matter.count else ""


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
