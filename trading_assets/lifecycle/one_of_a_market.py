"""Whether a version may trade beside what is deployed: of one market and timeframe, one model decides."""

from __future__ import annotations

from contextlib import suppress

from trading_assets.core.errors import ModelError, TradingError
from trading_assets.models import Bundle, bundle
from trading_assets.registry import DeployedModel, read_manifest
from trading_assets.settings import Settings


def check_alone(settings: Settings, held: Bundle) -> None:
    """Refuse a model on whose bars another deployed one decides: a market has one position, and it would be nobody's.

    Models of other timeframes may share a market: the trade that is open is that of the one that entered first, and
    the journal says whose.

    Raises
    ------
    ModelError
        With the other model, and what to do.
    """
    timeframe, others = held.labels.timeframe, read_manifest(settings.live_dir).models.values()
    for other in others:
        shared = [market for market in held.spec.markets if market in other.markets]
        if other.model == held.model or not shared or _timeframe(settings, other) != timeframe.name:
            continue
        raise ModelError(
            f"it would decide beside {other.model} v{other.version} on the {timeframe} bars of {', '.join(shared)}: "
            "a market has one position, and nobody could say whose it is",
            where=f"model {held.model}",
            remedy=f"put the other away first (trading models archive {other.model} {other.version}), or give one of "
            "them another market or timeframe; beside a model of its own name a version decides in shadow",
        )


def _timeframe(settings: Settings, deployed: DeployedModel) -> str | None:
    """What a deployed model decides on; None where its bundle cannot be read: the node refuses it too."""
    with suppress(TradingError):
        held = bundle.load(deployed.folder(settings.data_dir), plugins=settings.plugged)
        return held.labels.timeframe.name
    return None
