"""The node as its folder shows it: told by somebody else than the node, who also tells that none runs."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_live.operations.health import Kind, check_node
from trading_live.operations.heartbeat import is_running, read_heartbeat


def read_folder(page: Page, settings: Settings) -> None:
    """What ``trading status --check`` would say; nothing where no node has ever run."""
    beat = read_heartbeat(settings.live_dir)
    if beat is None:
        return
    page.set(m.NODE_RUNNING, is_running(settings.live_dir))
    page.set(m.NODE_BEAT, beat.beat_at.timestamp())
    found = Counter(problem.kind for problem in check_node(settings)[1])
    page.set_all(m.NODE_PROBLEMS, {kind: found[kind] for kind in get_args(Kind)})
