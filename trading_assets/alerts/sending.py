"""Sends what was decided, each channel in a thread of its own, within a time limit."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from trading_assets.alerts.channels import Message, Prepares, SendError, channel_of
from trading_assets.alerts.channels.by_apprise import without_address
from trading_assets.alerts.state import Delivery
from trading_assets.core.errors import SettingsError
from trading_assets.settings import AlertSettings

Outcomes = Mapping[int, str | None]
"""Number of a delivery -> why it was not sent; None where it was."""

_stuck: Final[dict[str, threading.Thread]] = {}
"""Channel -> the send that did not end in time: no second one is begun beside it."""


def send_all(deliveries: Sequence[Delivery], settings: AlertSettings) -> Outcomes:
    """Send messages, at most one to each channel, and wait no longer than ``alerts.timeout_s`` for all of them."""
    ended: SimpleQueue[tuple[int, str | None]] = SimpleQueue()
    outcomes: dict[int, str | None] = {}
    waiting: dict[int, tuple[str, threading.Thread]] = {}
    for one in deliveries:
        before = _stuck.get(one.channel)
        if before is not None and before.is_alive():
            outcomes[one.number] = "the send before has not ended"
            continue
        work = _work(one, settings, ended)
        run = copy_context().run  # the plug-ins in force are the context's
        thread = threading.Thread(target=run, args=(work,), name=f"alert-{one.channel}", daemon=True)
        waiting[one.number] = one.channel, thread
        thread.start()
    deadline = monotonic() + settings.timeout_s
    while waiting:
        try:
            number, failure = ended.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            break
        outcomes[number] = failure
        del waiting[number]
    for number, (channel, thread) in waiting.items():
        _stuck[channel] = thread
        outcomes[number] = f"no answer within {settings.timeout_s:g} s"
    return outcomes


def prepare(settings: AlertSettings) -> None:
    """Load what the channels need, so that the first alert does not have to; what fails is told by a send."""
    for name, channel in settings.channels.items():
        address = os.environ.get(channel.url_variable, "").strip()
        with suppress(Exception):
            way = channel_of(channel.kind, f"alerts.channels.{name}")
            if address and isinstance(way, Prepares):
                way.prepare(address)


def _work(
    delivery: Delivery, settings: AlertSettings, ended: SimpleQueue[tuple[int, str | None]]
) -> Callable[[], None]:
    def run() -> None:
        message = Message(delivery.level, delivery.title, delivery.body)
        ended.put((delivery.number, failure_of(delivery.channel, message, settings)))

    return run


def failure_of(channel: str, message: Message, settings: AlertSettings) -> str | None:
    """Send one message now, and say why that failed; None where it did not. No part of the address is in the answer."""
    chosen = settings.channels[channel]
    address = os.environ.get(chosen.url_variable, "").strip()
    if not address:
        return f"the environment variable {chosen.url_variable} is not set"
    try:
        channel_of(chosen.kind, f"alerts.channels.{channel}").send(address, message, settings.timeout_s)
    except SendError as error:
        return without_address(str(error), address)
    except SettingsError as error:
        return str(error)
    except Exception as error:  # a plug-in's, or a library's
        return without_address(f"{type(error).__name__}: {error}", address)
    return None
