"""Write the dashboards' JSON: ``python -m deploy.grafana.dashboards``."""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.dashboards import BOARDS
from deploy.grafana.dashboards.grafana import dashboard_json

FOLDER = Path(__file__).parents[1]


def main() -> None:
    """Write each into its file."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(dashboard_json(board))


if __name__ == "__main__":
    main()
