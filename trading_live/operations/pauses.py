"""What a person asks of a node while it runs: to hold trading back, and to let it go on. Files in the node's folder.

A request is one file, written as a whole. A running node takes it within a moment, journals what comes of it, and then
removes the file; where no node runs, the next one takes it before anything else. No database, no network.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import NodeError
from trading_assets.strategies.protections import NODE, Scope

FOLDER: Final = "requests"
"""In the node's folder; one file a request, named so that they sort by time."""

_UNREADABLE: Final = ".unreadable"


class Request(BaseModel):
    """One request.

    Attributes
    ----------
    verb
        ``pause`` or ``resume``.
    flatten
        Of a pause: whether what is open is closed, too.
    for_s
        Of a pause: seconds of the market's time after which it ends by itself; None where a person ends it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: Literal["pause", "resume"]
    kind: Literal["node", "model", "market"] = NODE.kind
    name: str = NODE.name
    flatten: bool = False
    for_s: float | None = Field(None, gt=0)
    reason: str = ""
    at: AwareDatetime

    @property
    def scope(self) -> Scope:
        """What it is about."""
        return Scope(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that no node has taken yet, under the name of its file."""

    name: str
    request: Request


def ask(live_dir: Path, request: Request) -> str:
    """Put a request into the node's folder; returns its name.

    Raises
    ------
    NodeError
        If the folder takes no file.
    """
    name = f"{time.time_ns():020d}-{os.getpid()}"
    folder = live_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / f"{name}.json", request.model_dump_json().encode())
    except OSError as error:
        raise NodeError(
            f"the request cannot be written: {error.strerror or error}",
            where=str(folder),
            remedy="make room on the disk and the folder writable; trading kill needs neither",
        ) from None
    return name


def now_at(
    verb: Literal["pause", "resume"],
    scope: Scope,
    *,
    flatten: bool = False,
    for_s: float | None = None,
    reason: str = "",
) -> Request:
    """A request of this moment."""
    return Request(
        verb=verb, kind=scope.kind, name=scope.name, flatten=flatten, for_s=for_s, reason=reason, at=datetime.now(UTC)
    )


def changed_ns(live_dir: Path) -> int:
    """A number that changes whenever a request comes or goes; 0 where there was never one."""
    try:
        return (live_dir / FOLDER).stat().st_mtime_ns
    except OSError:
        return 0


def waiting(live_dir: Path) -> tuple[list[Waiting], list[str]]:
    """What no node has taken yet, the oldest first; and the names of files that say nothing, which are set aside."""
    found, unreadable = [], []
    for file in sorted((live_dir / FOLDER).glob("*.json")):
        try:
            found.append(Waiting(file.stem, Request.model_validate_json(file.read_bytes())))
        except FileNotFoundError:
            continue
        except (OSError, ValidationError):
            unreadable.append(file.name)
            with suppress(OSError):
                file.rename(file.with_name(file.name + _UNREADABLE))
    return found, unreadable


def is_waiting(live_dir: Path, name: str) -> bool:
    """Whether no node has taken a request yet."""
    return (live_dir / FOLDER / f"{name}.json").exists()


def done(live_dir: Path, name: str) -> None:
    """Remove a request whose outcome the journal has; one that stays changes nothing when it is read again."""
    with suppress(OSError):
        (live_dir / FOLDER / f"{name}.json").unlink(missing_ok=True)
