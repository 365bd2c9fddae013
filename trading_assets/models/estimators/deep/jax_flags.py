"""How JAX starts: with one thread for linear algebra, as folds are trained side by side and sums keep their order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_FLAGS: Final = "--xla_cpu_multi_thread_eigen=false"

_starting = Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Import JAX within it; where this process has imported it before, it stays as it was started."""
    with _starting:
        if "jax" in sys.modules:
            yield
            return
        before = os.environ.get("XLA_FLAGS")
        os.environ["XLA_FLAGS"] = f"{before or ''} {_FLAGS}".strip()
        try:
            import jax

            jax.devices("cpu")  # the flags are read when its backend starts
            yield
        finally:
            os.environ.pop("XLA_FLAGS")
            if before is not None:
                os.environ["XLA_FLAGS"] = before
