"""Which request for history the engine did not survive: the next process does not send it again."""

from __future__ import annotations

import faulthandler
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

from trading_assets.strategies.signals import Stream
from trading_live.node.bars.requests import BarRequest

_LOG: Final = structlog.get_logger(__name__)

REQUESTS_FILE: Final = "history.json"
ABORT_FILE: Final = "abort.txt"
KEPT: Final = timedelta(days=1)
"""After so long a start asks again: by then the venue may have mended its history."""


@dataclass(frozen=True, slots=True)
class Fatal:
    """A request that a process died of.

    Attributes
    ----------
    asked
        Its range of bars, in words.
    at
        When it was found out.
    """

    asked: str
    at: datetime


class FatalRequests:
    """Keeps the request that is under way in a file, and takes it for the reason when the process was aborted.

    The adapter builds bars in Rust: an impossible one in an answer aborts the process, and nothing in Python can
    catch that. A process that was killed, or lost its power, leaves no trace of an abort and blames no request.

    Parameters
    ----------
    folder
        Of the node; one process at a time.
    now
        This machine's time.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._file = folder / REQUESTS_FILE
        self._abort = folder / ABORT_FILE
        self._watching: TextIO | None = None
        known = self._read()
        self._fatal = {stream: fatal for stream, fatal in _fatal(known).items() if now() - fatal.at < KEPT}
        under_way = known.get("under_way")
        if under_way and self._was_aborted():
            self._fatal[Stream(under_way["market"], under_way["timeframe"])] = Fatal(str(under_way["asked"]), now())
        if known:
            self._write(None)

    def watch(self) -> None:
        """From now on an abort of this process leaves a trace."""
        with suppress(OSError):
            self._watching = self._abort.open("w")
            faulthandler.enable(self._watching, all_threads=False)

    def end(self) -> None:
        """The process ends in order."""
        self.answered()
        if self._watching is not None:
            faulthandler.disable()
            self._watching.close()
            self._watching = None
            self._abort.unlink(missing_ok=True)

    def refusal(self, stream: Stream) -> str | None:
        """Why a stream's history is not asked for; None where it may be."""
        fatal = self._fatal.get(stream)
        if fatal is None:
            return None
        return (
            f"an impossible bar in the venue's history of {stream.timeframe} ({fatal.asked}) ended the process at "
            f"{fatal.at:%Y-%m-%d %H:%M}; it is asked for again by a start after {fatal.at + KEPT:%Y-%m-%d %H:%M}, "
            f"or when {self._file} is deleted"
        )

    def sent(self, stream: Stream, request: BarRequest, before: datetime | None) -> None:
        """A request is under way; ``before`` is where a page of the warm-up ends."""
        asked = "the newest bars" if before is None else f"the bars before {before:%Y-%m-%d %H:%M}"
        if request.since is not None and request.until is not None:
            asked = f"the bars from {request.since:%Y-%m-%d %H:%M} to {request.until:%Y-%m-%d %H:%M}"
        self._write({"market": stream.market, "timeframe": stream.timeframe, "asked": asked})

    def answered(self) -> None:
        """No request is under way."""
        self._write(None)

    def _was_aborted(self) -> bool:
        try:
            return self._abort.stat().st_size > 0
        except OSError:
            return False

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text())
            _fatal(known)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _LOG.warning("requests of the process before cannot be read", file=str(self._file), error=str(error))
            return {}
        return dict(known)

    def _write(self, under_way: dict[str, str] | None) -> None:
        """Replace the file; not forced to disk, as what is written must only outlive the process."""
        fatal = [[*stream, one.asked, one.at.isoformat()] for stream, one in self._fatal.items()]
        beside = self._file.with_suffix(".new")
        with suppress(OSError):  # a full disk keeps nobody from trading
            if under_way or fatal:
                beside.write_text(json.dumps({"under_way": under_way, "fatal": fatal}))
                beside.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)


def _fatal(known: dict[str, Any]) -> dict[Stream, Fatal]:
    """What processes before died of."""
    return {
        Stream(market, timeframe): Fatal(asked, datetime.fromisoformat(at))
        for market, timeframe, asked, at in known.get("fatal", [])
    }
