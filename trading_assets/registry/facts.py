"""What others than the node measure, for its protections to know: one small file a cause in the node's folder.

Written by what runs beside the node, e.g. the comparison of live trades with their backtest; the node reads it within a
second. A value stands until it is told anew or taken back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from trading_assets.core.atomic_files import write_file
from trading_assets.core.locks import locked

FOLDER: Final = "facts"

ScopeKey = tuple[str, str]
"""Kind (``node``, ``model``, ``market``) and name; ``("node", "")``."""


def tell_fact(live_dir: Path, cause: str, scope: ScopeKey, value: float | None) -> None:
    """Say what is measured of a cause and scope now; others of the cause stay.

    Parameters
    ----------
    live_dir
        The node's folder.
    cause
        A key of `trading.protections`, e.g. ``divergence_bps`` or ``coverage_gap_pct``.
    scope
        What it was measured of.
    value
        In the unit of the limit; None where it is not known any more.
    """
    folder = live_dir / FOLDER
    file = folder / f"{cause}.json"
    if value is None and not file.exists():
        return
    with locked(folder / ".lock"):
        values = _read(file) | ({} if value is None else {scope: value})
        if value is None:
            values.pop(scope, None)
        rows = [{"kind": kind, "name": name, "value": one} for (kind, name), one in sorted(values.items())]
        write_file(file, json.dumps(rows).encode())


def read_facts(live_dir: Path) -> dict[str, dict[ScopeKey, float]]:
    """Cause -> scope -> value; a file that cannot be read says nothing."""
    return {file.stem: _read(file) for file in sorted((live_dir / FOLDER).glob("*.json"))}


def _read(file: Path) -> dict[ScopeKey, float]:
    try:
        rows = json.loads(file.read_bytes())
        return {(str(one["kind"]), str(one["name"])): float(one["value"]) for one in rows}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
