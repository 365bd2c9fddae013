"""Executions by ``node.mode``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from trading_assets.settings import Settings
from trading_live.execution.at_venue import AtVenue
from trading_live.execution.contract import Execution
from trading_live.execution.sandbox import Sandbox
from trading_live.execution.shadow import Shadow
from trading_live.venues.contract import Venue

EXECUTIONS: Final[Mapping[str, Callable[[Settings, Venue], Execution]]] = MappingProxyType(
    {"paper": Sandbox, "shadow": Shadow, "live": AtVenue}
)


def execution_of(settings: Settings, venue: Venue) -> Execution:
    """Who fills orders by the settings."""
    return EXECUTIONS[settings.node.mode](settings, venue)
