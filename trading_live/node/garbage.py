"""When Python looks for garbage: between decisions, never in the middle of one.

By itself it looks whenever so many objects were made, and nothing makes more of them than a decision and the orders on
it: these would be what waits. What is in no cycle, nearly all of it, is freed at once in any case.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

EVERYTHING_EVERY: Final = 300
"""Every so many times all is looked through that was made since the engine began, otherwise what is new."""

_USUALLY: Final = (2_000, 10, 10)
"""Python's own."""


@contextmanager
def kept_objects() -> Iterator[None]:
    """Leave what is loaded by now out of every search, and search for nothing else but when :meth:`Garbage.look` does.

    Half a million objects of models, settings and libraries take a tenth of a second and more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_USUALLY)  # less at a time than the command looks through
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class Garbage:
    """Frees what cycles hold; call :meth:`look` once a second, where nothing waits for it."""

    def __init__(self) -> None:
        self._looks = 0

    def look(self) -> None:
        """Look through what is new, a millisecond's work; now and then through everything since the engine began."""
        if gc.isenabled():  # nobody took it over
            return
        self._looks += 1
        gc.collect(2 if self._looks % EVERYTHING_EVERY == 0 else 1)
