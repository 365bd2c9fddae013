"""How many cores this process may keep busy."""

from __future__ import annotations

import os


def cores() -> int:
    """The cores that this process may run on, at least 1; the environment's ``PYTHON_CPU_COUNT`` overrides it."""
    return os.process_cpu_count() or 1
