"""The dashboards as code: ``python -m deploy.grafana.dashboards`` writes their JSON into ``deploy/grafana``."""

from deploy.grafana.dashboards.board import Board
from deploy.grafana.dashboards.data import DATA
from deploy.grafana.dashboards.models import MODELS
from deploy.grafana.dashboards.node import NODE
from deploy.grafana.dashboards.trading import TRADING

BOARDS: tuple[Board, ...] = (TRADING, NODE, DATA, MODELS)
"""All of them."""

__all__ = ["BOARDS", "Board"]
