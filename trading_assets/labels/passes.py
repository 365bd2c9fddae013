"""Long arrays in passes that fit the processor's cache, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

PASS_ROWS: Final = 16_384
"""What a pass touches stays in the cache."""

MAX_THREADS: Final = 4
"""NumPy releases the interpreter's lock; memory bandwidth is what runs out next."""


def in_passes(work: Callable[[slice], None], rows: int) -> None:
    """Call ``work`` with slices that together cover ``rows``, on several threads; its first error is raised."""
    slices = [slice(first, min(first + PASS_ROWS, rows)) for first in range(0, rows, PASS_ROWS)]
    with ThreadPoolExecutor(min(os.process_cpu_count() or 1, MAX_THREADS)) as pool:
        for done in [pool.submit(work, part) for part in slices]:
            done.result()
