"""One at a time at an exchange, whatever process asks: its limit counts for all of them together."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trading_assets.core.locks import lock_now

_PAUSE_S: Final = 0.2

_log = logging.getLogger(__name__)


@contextmanager
def exchange_lock(exchange: str, folder: Path) -> Iterator[None]:
    """Hold the exchange for the length of the block; wait while another process or thread holds it.

    The lock ends with the process that holds it, however that ends.

    Parameters
    ----------
    exchange
        Whose limit is shared, e.g. the name of a source.
    folder
        Where the lock files lie; processes that share it take turns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', exchange)}.lock"
    with path.open("w") as file:
        told = False
        while not lock_now(file):
            if not told:
                _log.info("%s: another fetch holds the exchange; this one waits for its turn", exchange)
                told = True
            time.sleep(_PAUSE_S)
        yield
