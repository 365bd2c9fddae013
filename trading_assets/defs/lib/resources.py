"""What assets are given: the settings, the store and the clock."""

from collections.abc import Iterator
from typing import Any, cast

import dagster as dg

from trading_assets.core.clock import Clock, utc_now
from trading_assets.settings import Settings
from trading_assets.store import Store, configured_store


@dg.resource(required_resource_keys={"settings"}, description="The table store at the settings' `store.url`.")
def store_resource(context: dg.InitResourceContext) -> Iterator[Store]:
    """Open the store for one run."""
    settings = cast("Settings", context.resources.settings)
    store = configured_store(settings)
    with store.kept_open():
        yield store
    store.close()


@dg.resource(description="What time it is: the time of this machine.")
def clock_resource(_context: dg.InitResourceContext) -> Clock:
    """The clock that decides which bars are closed, and which month goes on."""
    return utc_now


def resources(settings: Settings) -> dict[str, Any]:
    """What every asset may ask for: the settings that shaped the definitions, their store, and the clock."""
    given = dg.ResourceDefinition.hardcoded_resource(
        settings, "`trading.yaml` < environment `TRADING_...`, read when the code location loads."
    )
    return {"settings": given, "store": store_resource, "clock": clock_resource}
