"""The one entry for Dagster: the rooms under ``defs/`` as one code location, made for the settings of a project.

Nothing is read when this module is imported, so one process may hold the code locations of several projects.
"""

from typing import Final

import dagster as dg

from trading_assets.defs.deployment.definitions import deployment
from trading_assets.defs.lib.resources import resources
from trading_assets.defs.live.definitions import live
from trading_assets.defs.market_data.definitions import market_data
from trading_assets.defs.monitoring.definitions import monitoring
from trading_assets.defs.orchestration.definitions import orchestration
from trading_assets.defs.research.definitions import research
from trading_assets.defs.sql_models.definitions import sql_models
from trading_assets.features.chosen import check_chosen
from trading_assets.settings import Settings, load_settings

ROOMS: Final = (market_data, sql_models, research, deployment, live, monitoring, orchestration)
"""Each makes its part of a code location from the settings."""


def build_definitions(settings: Settings) -> dg.Definitions:
    """The whole code location of a project; runs stay in one process.

    Raises
    ------
    SettingsError
        A model learns from features that there are not.
    """
    check_chosen(settings)
    given = dg.Definitions(resources=resources(settings), executor=dg.in_process_executor)
    return dg.Definitions.merge(*(room(settings) for room in ROOMS), given)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of the settings in force, as ``dagster`` and ``dg`` load it."""
    return build_definitions(load_settings())
