"""What of a node's events somebody is told, and how bad it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from trading_assets.alerts.alert import Alert, Level

Place = Literal["", "market", "hold"]
"""What of a detail is a part of the key: nothing; what stands before its first colon and space; scope and cause."""

_HOLD: Final = re.compile(r"(?P<scope>.+?)(?: halted| reducing)?: (?P<cause>\w+)")
"""``market binance:BTC/USDT halted: daily_loss 0.05 reached the limit 0.05``, ``node: daily_loss ended (auto)``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an event is.

    Attributes
    ----------
    level
        How bad it is.
    key
        Of what matter it tells, behind ``node/``.
    place
        What of its detail is a part of the key.
    over
        Whether it ends that matter.
    remedy
        What to do.
    """

    level: Level
    key: str
    place: Place = ""
    over: bool = False
    remedy: str = ""


JOURNAL_KEY: Final = "node/journal"
"""Of a journal that cannot be written."""

_I, _W, _C = Level.INFO, Level.WARNING, Level.CRITICAL

RULES: Final[dict[str, Rule]] = {
    "started": Rule(_I, "started"),
    "stopped": Rule(_I, "stopped"),
    "failed": Rule(_C, "failed", remedy="see data/logs and trading status; mend the cause, then start it again"),
    "connect failed": Rule(_W, "venue", remedy="the node tries again; see whether the venue is up"),
    "venue asked again": Rule(_W, "venue"),
    "halted": Rule(_C, "halted", remedy="see trading status"),
    "protection halted": Rule(_C, "protection", "hold", remedy="see trading status; trading resume ends it"),
    "protection reducing": Rule(_W, "protection", "hold", remedy="see trading status; trading resume ends it"),
    "protection running": Rule(_I, "protection", "hold", over=True),
    "kill": Rule(_C, "kill", remedy="look at what happened, then trading kill --reset"),
    "kill withdrawn": Rule(_I, "kill", over=True),
    "flat": Rule(_I, "flat"),
    "pause": Rule(_I, "pause", "market"),
    "resume": Rule(_I, "resume", "market"),
    "feed silent": Rule(_C, "feed-silent", "market", remedy="no entries there; see whether the venue trades it"),
    "feed heard again": Rule(_I, "feed-silent", "market", over=True),
    "feed quarantined": Rule(_W, "feed-quarantined", "market", remedy="no entries there; trading status says why"),
    "feed trusted again": Rule(_I, "feed-quarantined", "market", over=True),
    "bars missing": Rule(_I, "bars-missing", "market"),
    "bars recovered": Rule(_I, "bars-missing", "market", over=True),
    "market missing": Rule(_W, "market-missing", "market"),
    "market left alone": Rule(
        _W, "left-alone", "market", remedy="see what the account holds there; node.adopt takes it over"
    ),
    "instrument changed": Rule(_W, "instrument", "market"),
    "order refused": Rule(_W, "order-refused", "market"),
    "manage only": Rule(_W, "manage-only", remedy="approve and deploy a model"),
    "new session": Rule(_W, "session"),
    "written late": Rule(_W, "written-late"),
    "journal completed": Rule(_W, "journal-completed"),
    "journal restored": Rule(_C, "journal", remedy="its file was deleted: see who did that"),
    "deployments unreadable": Rule(_W, "deployments"),
    "manifest refused": Rule(_W, "manifest"),
    "model deployed": Rule(_I, "model-deployed", "market"),
    "model withdrawn": Rule(_W, "model-withdrawn", "market"),
    "model refused": Rule(_W, "model-refused", "market", remedy="trading models says which versions there are"),
    "challenger set aside": Rule(_I, "challenger", "market"),
    "account differs": Rule(_C, "account", "market", remedy="compare trading status with the venue's page"),
    "account not compared": Rule(_C, "account", remedy="nothing is entered until the venue answers"),
    "account agrees": Rule(_I, "account", "market", over=True),
    "found at the venue": Rule(_W, "found", "market"),
    "fill in doubt": Rule(_W, "fill-in-doubt", "market", remedy="compare trading status with the venue's page"),
    "cancel after": Rule(_W, "cancel-after"),
    "untested": Rule(_W, "untested"),
    "history is short": Rule(_W, "history", "market"),
    "history refused": Rule(_W, "history", "market"),
    "no portfolio weights": Rule(_W, "weights"),
    "portfolio weights refused": Rule(_W, "weights"),
    "challengers fall behind": Rule(_W, "challengers"),
    "account changed": Rule(_I, "account-modes", "market"),
    "metrics not served": Rule(_W, "metrics"),
    "request unreadable": Rule(_W, "request"),
}
"""By the event's name; what is not here stays in the journal alone."""


def alert_of(event: str, detail: str, node: str) -> Alert | None:
    """The alert that a node event is; None where nobody is told.

    >>> alert_of("feed silent", "binance:BTC/USDT: no bar for 150 s", "paper-live").key
    'node/feed-silent/binance:BTC/USDT'
    """
    rule = RULES.get(event)
    if rule is None:
        return None
    place, separator, _ = detail.partition(": ")
    f"/{place.strip()}" if rule.place and (separator or rule.place == "market") and place.strip() else ""
    level = rule.level
    if event == "stopped" and detail:  # it says why only where that is a failure
        level = Level.CRITICAL
    what = f"{event}: {detail}" if detail else event
    return Alert(level, what, f"node {node}", rule.remedy, f"node/{rule.key}{_place(rule, detail)}", over=rule.over)


def protection_key(scope: str, cause: str) -> str:
    """The key of what holds a scope back for a cause."""
    return f"node/protection/{scope.replace(' ', '/')}/{cause}"


def _place(rule: Rule, detail: str) -> str:
    if rule.place == "hold":
        found = _HOLD.match(detail)
        return "" if found is None else protection_key(found["scope"], found["cause"]).removeprefix("node/protection")
    place, separator, _ = detail.partition(": ")
    return f"/{place}" if rule.place and separator else ""
