"""Who changed a version's status, when and why: one event for each change, kept with the version itself."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from trading_assets.registry.versions import ModelVersion

_TAG: Final = "event_"
"""Of a version's tags: the number of the event follows."""


def this_user() -> str:
    """Who runs this process: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a status changes.

    Attributes
    ----------
    by
        Who: ``user@host``, or ``dagster run <id>``.
    reason
        In words.
    evidence
        The figures that it rests on, as JSON knows them.
    """

    by: str = field(default_factory=this_user)
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One change of a version's status.

    Attributes
    ----------
    number
        1 for the first of its version.
    ts
        When; UTC.
    old, new
        The statuses; ``old`` is empty where the version was registered.
    cause
        Who and why.
    """

    number: int
    ts: datetime
    old: str
    new: str
    cause: Cause

    def tag(self) -> tuple[str, str]:
        """Key and value of the version's tag that keeps it."""
        told = {"ts": self.ts.isoformat(), "old": self.old, "new": self.new, "by": self.cause.by}
        told |= {"reason": self.cause.reason, "evidence": json.dumps(self.cause.evidence, default=str)}
        return f"{_TAG}{self.number:04d}", json.dumps(told)


def events_of(tags: Mapping[str, str]) -> tuple[ModelEvent, ...]:
    """The events that a version's tags keep, the oldest first."""
    found = []
    for key in sorted(key for key in tags if key.startswith(_TAG)):
        told = json.loads(tags[key])
        cause = Cause(told["by"], told["reason"], json.loads(told["evidence"]))
        number = int(key.removeprefix(_TAG))
        found.append(ModelEvent(number, datetime.fromisoformat(told["ts"]), told["old"], told["new"], cause))
    return tuple(found)


def next_event(known: Sequence[ModelEvent], ts: datetime, old: str, new: str, cause: Cause) -> ModelEvent:
    """The event of a change; in place of the newest one where the status never followed that, e.g. of a killed run."""
    unfinished = bool(known) and known[-1].old == old != known[-1].new
    return ModelEvent(known[-1].number + (not unfinished) if known else 1, ts, old, new, cause)


def line_of_champions(versions: Iterable[ModelVersion]) -> list[int]:
    """The versions that a model went through to its active one, without those that it went back from.

    Versions whose events were not kept stand first, in the order in which their status changed last.
    """
    versions = list(versions)
    unkept = [one for one in versions if one.was_active and not any(event.new == "active" for event in one.events)]
    line = [one.version for one in sorted(unkept, key=lambda one: (one.status == "active", one.changed_at))]
    changes = [(event.ts, one.version) for one in versions for event in one.events if event.new == "active"]
    for _, version in sorted(changes):
        line = [*line[: line.index(version)], version] if version in line else [*line, version]
    return line
