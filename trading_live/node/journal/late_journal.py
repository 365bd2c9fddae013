"""A journal that cannot be written when its node starts, while something is open that the node has to mind."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal, Journal
from trading_assets.journal.file import lacks_room, node_name, reading
from trading_assets.journal.writer import Row
from trading_live.recovery.from_journal import recover

_LOG: Final = logging.getLogger(__name__)


def open_journal(path: Path, node: str) -> BufferedJournal:
    """Open a node's journal; on a full disk, one that waits for room, if what it says is open needs a node.

    Parameters
    ----------
    path
        The file.
    node
        The node's name, for a new file.

    Raises
    ------
    NodeError
        If it cannot be read; or cannot be written, and nothing is open.
    """
    try:
        return BufferedJournal(Journal(path, node))
    except NodeError as error:
        if not lacks_room(error) or not recover(path).open_markets:
            raise
        _LOG.error("something is open, and is minded without a journal: %s", error)
    with reading(path) as connection:
        assert connection is not None  # something is open
        return BufferedJournal(LateJournal(path, node_name(connection)))


class LateJournal:
    """Opens its file with the first write that finds room.

    Parameters
    ----------
    path, node
        Of the journal that is there.
    """

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self.node = node
        self._opened: Journal | None = None

    def write(self, rows: Sequence[Row]) -> list[int]:
        """As :meth:`Journal.write`."""
        return self._journal().write(rows)

    def stay(self) -> list[int]:
        """As :meth:`Journal.stay`."""
        return self._journal().stay()

    def forget(self, kind: str, before: datetime) -> int:
        """As :meth:`Journal.forget`."""
        return self._journal().forget(kind, before)

    def new_session(self) -> int:
        """As :meth:`Journal.new_session`."""
        return self._journal().new_session()

    def close(self) -> None:
        """As :meth:`Journal.close`."""
        if self._opened is not None:
            self._opened.close()

    def _journal(self) -> Journal:
        if self._opened is None:
            self._opened = Journal(self.path, self.node)
        return self._opened
