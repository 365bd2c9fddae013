"""What a node's models read beside bars: those in use, challengers, and the settings' models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trading_assets import features
from trading_assets.core.candles import Market
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.inputs import usable_names
from trading_assets.settings import ModelSettings, Settings
from trading_assets.strategies.signals import Stream
from trading_live.node.auxiliary.needs import LIVE, Needs
from trading_live.node.decisions.admission import ModelInUse


def needs_of(settings: Settings, models: Iterable[ModelInUse], streams: Iterable[Stream]) -> Needs:
    """What is read by the models in use, by challengers, and by the settings' models, as far as they are listened to.

    Parameters
    ----------
    settings
        Their models and protections; whether the books of all markets are listened to.
    models
        With their bundles.
    streams
        The bars that are listened to.
    """
    heard = set(streams)
    found: dict[tuple[str, str], dict[str, int]] = {}

    def add(of: Iterable[Stream], read: Mapping[str, int]) -> None:
        for stream in of:
            for name, bars in read.items():
                if stream in heard and name in LIVE:
                    kept = found.setdefault((name, stream.market), {})
                    kept[stream.timeframe] = max(bars, kept.get(stream.timeframe, 0))

    leaving: set[str] = set()
    for model in models:
        add(model.streams, model.beside)
        plan = model.bundle.spec.exit_plan
        leaving |= {stream.market for stream in model.streams} if plan is not None and plan.before_funding else set()
    for name, spec in settings.models.items():
        if isinstance(spec, ModelSettings):
            timeframe = settings.timeframe_of(name)
            names = usable_names(spec.companions, timeframe=timeframe, chosen=spec.features, plugins=settings.plugged)
            read: dict[str, int] = {one: _bars(timeframe, names, one, settings) for one in spec.companions}
            add([Stream(market, timeframe.name) for market in spec.markets], read)
    markets = {stream.market for stream in heard}
    limits = settings.trading.protections
    watched = markets if limits.funding_bps.limit is not None else leaving & markets
    return Needs(
        found,
        frozenset(markets) if _watches_spreads(settings) else frozenset(),
        frozenset(market for market in watched if Market.parse(market).is_perpetual),
    )


def _bars(timeframe: Timeframe, names: Iterable[str], companion: str, settings: Settings) -> int:
    read = [name for name in names if companion in features.required_companions([name], settings.plugged)]
    return features.lookback_bars(timeframe, read, settings.plugged) if read else 1


def _watches_spreads(settings: Settings) -> bool:
    """Whether books are listened to for the protections: as the settings say, else where real orders are sent."""
    node = settings.node
    if settings.trading.protections.spread_bps.limit is None:
        return False
    if node.watch_spreads is None:
        return node.mode == "live" and node.environment != "replay"
    return node.watch_spreads
