"""What a message says."""

from __future__ import annotations

from datetime import datetime

from trading_assets.alerts.alert import Level
from trading_assets.alerts.state import HeldBack, Matter

_WORDS = {Level.INFO: "info", Level.WARNING: "WARNING", Level.CRITICAL: "CRITICAL"}


def title(matter: Matter) -> str:
    """One line: how bad, what, where."""
    place = f" ({matter.where})" if matter.where and matter.where not in matter.what else ""
    return _cut(f"{_WORDS[matter.level]}: {matter.what}{place}")


def body(matter: Matter, now: datetime) -> str:
    """All that is known, and what to do."""
    again = f", {matter.count} times since it was told last" if matter.count else ""
    lines = [matter.what, f"where: {matter.where}" if matter.where else "", f"when: {_time(now)}{again}"]
    lines += [f"do: {matter.remedy}" if matter.remedy else "", _acknowledge(matter)]
    return "\n".join(line for line in lines if line)


def over_title(matter: Matter, said: str) -> str:
    """One line: what has ended."""
    return _cut(f"over: {said}")


def over_body(matter: Matter, said: str, now: datetime) -> str:
    """What has ended, and how long it took."""
    return "\n".join((said, f"was: {matter.what}", f"when: {_time(now)}, after {_length(matter.since, now)}"))


def escalation_title(matter: Matter, now: datetime) -> str:
    """One line: nobody has seen to it."""
    return _cut(f"NOT ACKNOWLEDGED for {_length(matter.since, now)}: {matter.what}")


def handover_body(channel: str, told: str) -> str:
    """What a channel could not be told."""
    return f"{told}\n(for channel {channel}, which cannot be reached)"


def summary_title(held: HeldBack) -> str:
    """One line: how much was held back."""
    return f"{held.count} message{'' if held.count == 1 else 's'} held back since {_time(held.since)}"


def summary_body(held: HeldBack) -> str:
    """The first of them, and how many more there were."""
    more = held.count - len(held.titles)
    return "\n".join((*held.titles, *((f"and {more} more",) if more > 0 else ()), "all of them: trading alerts list"))


def _acknowledge(matter: Matter) -> str:
    if matter.level is not Level.CRITICAL:
        return ""
    key = f"'{matter.key}'" if " " in matter.key else matter.key
    return f"seen to it: trading alerts ack {key}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _length(since: datetime, now: datetime) -> str:
    minutes = max(0, round((now - since).total_seconds() / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cut(text: str, longest: int = 140) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."
