"""The reference page of the metrics, from their declarations: ``python -m trading_live.metrics.describe``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from trading_assets.monitoring.exported.catalogue import DATA
from trading_assets.monitoring.exported.page import Metric
from trading_live.metrics.catalogue import NODE

_HEAD: Final = """# Exported metrics

Written from the catalogues of the two exporters by `python -m trading_live.metrics.describe`; do not edit. How they are
scraped, what alerts on them, and how they are shown: [watch the node](../how-to/watch-the-node.md).
"""

_NODE: Final = """## The node

Served on `node.metrics_port`. Amounts are in the currency that a label names, else in the quote currency. Beside these
the page has what every Python process exports (`process_...`, `python_...`).
"""

_DATA: Final = """## Data, runs and models

Printed, written or served by `trading metrics`.
"""


def metrics_markdown() -> str:
    """The page: one table for each exporter."""
    return "\n".join([_HEAD, _NODE, *_table(NODE.metrics), "", _DATA, *_table(DATA.metrics), ""])


def _table(metrics: Sequence[Metric]) -> list[str]:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
        for one in metrics
    ]
    return ["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows]


if __name__ == "__main__":
    sys.stdout.write(metrics_markdown())
