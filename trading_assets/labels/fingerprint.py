"""Which code makes the labels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from trading_assets.core.syntax import meaning

_FOLDER: Final = Path(__file__).parent
_MODULES: Final = (
    *("label_sets", "sampling", "barriers", "exits", "kernels", "barrier_distances", "plan_exits", "plan_units"),
    *("../exits/arrays", "../exits/kernel"),
    *("kinds/contract", "kinds/triple_barrier", "kinds/meta", "kinds/forward_return", "kinds/trend_scanning"),
)
"""Read, not imported: the compiled loops load numba."""


def fingerprint(folder: Path = _FOLDER) -> str:
    """sha256 over the code that makes labels; comments, docstrings and formatting don't count."""
    digest = hashlib.sha256()
    for name in _MODULES:
        digest.update(meaning((folder / f"{name}.py").read_text("utf-8")).encode())
    return digest.hexdigest()
