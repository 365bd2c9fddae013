"""Where an alert goes, and when: levels, patterns of keys, quiet hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from trading_assets.alerts.alert import Alert, Level
from trading_assets.settings import AlertSettings, QuietHours


def level_of(alert: Alert, settings: AlertSettings) -> Level | None:
    """The level by the settings, else the alert's own; None where it is switched off."""
    for pattern, level in settings.levels.items():
        if fnmatchcase(alert.key, pattern):
            return None if level == "off" else Level(level)
    return alert.level


def channels_of(key: str, level: Level, settings: AlertSettings) -> tuple[str, ...]:
    """The channels that an alert of a key goes to.

    A critical one that no channel's patterns want goes to those that take critical ones, whatever their patterns.
    """
    able = [name for name, one in settings.channels.items() if level.rank >= Level(one.min_level).rank]
    wanted = tuple(name for name in able if fits(key, settings.channels[name].keys))
    return wanted or (tuple(able) if level is Level.CRITICAL else ())


def fits(key: str, patterns: Sequence[str]) -> bool:
    """Whether a key fits one of the patterns, and none of those that leave out.

    >>> fits("node/died", ["*", "!drift/*"]), fits("drift/btc", ["!drift/*"])
    (True, False)
    """
    wanted = [one for one in patterns if not one.startswith("!")] or ["*"]
    left_out = [one[1:] for one in patterns if one.startswith("!")]
    return any(fnmatchcase(key, one) for one in wanted) and not any(fnmatchcase(key, one) for one in left_out)


def is_quiet(quiet: QuietHours | None, now: datetime) -> bool:
    """Whether a moment lies in quiet hours, by the clock of their time zone."""
    if quiet is None:
        return False
    local = now.astimezone(quiet.zone).time()
    if quiet.begin < quiet.end:
        return quiet.begin <= local < quiet.end
    return local >= quiet.begin or local < quiet.end
