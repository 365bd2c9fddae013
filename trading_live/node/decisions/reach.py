"""How many bars the node holds of each market and timeframe: what those look back on who read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.labels import lookback_bars as label_lookback
from trading_assets.models.inputs import usable_names
from trading_assets.quality.steps import SIDE_BARS
from trading_assets.settings import ModelSettings, RuleStrategySettings, Settings
from trading_assets.strategies.risk.past import bars_needed as risk_bars_needed
from trading_assets.strategies.rules import rule_of
from trading_assets.strategies.signals import Stream
from trading_live.node.decisions.deployed_models import DeployedModels

LEAST: Final = 2 * SIDE_BARS + 1
"""So many bars tell a lasting step of the price level from a spike, whatever else reads them."""


def bars_to_hold(
    streams: Iterable[Stream],
    settings: Settings,
    models: DeployedModels,
    challengers: Mapping[Stream, int] = MappingProxyType({}),
) -> dict[Stream, int]:
    """Stream -> how many of its bars are held: what models in use, challengers and the settings' models look back on.

    Sizes and limits that read the past have theirs too.

    A later version of a model that looks back further has what it lacks loaded when it comes into use. A leader's bars
    reach as far back as those of the markets that follow it.
    """
    needed = dict(challengers)
    for model in models.models:
        _add(needed, model.streams, model.look_back, models.leader if model.follows else None)
    for name, one in settings.models.items():
        timeframe = settings.timeframe_of(name)
        own = [Stream(market, timeframe.name) for market in one.markets]
        follows = isinstance(one, ModelSettings) and "leader" in one.companions
        _add(needed, own, _expected(settings, name), models.leader if follows else None)
    trading, heard = settings.trading, list(streams)
    lengths = {stream: Timeframe.parse(stream.timeframe) for stream in heard}
    for stream in heard:
        coarsest = max(lengths.values(), key=lambda one: one.length)
        past = risk_bars_needed(trading.sizing, trading.risk, lengths[stream], coarsest)
        needed[stream] = max(needed.get(stream, 0), past + 1)  # a return takes the close before
    return {stream: max(needed.get(stream, 0), LEAST) for stream in heard}


def _expected(settings: Settings, name: str) -> int:
    """What a rule of the settings looks back on, or a model will, whose estimator reads a row at a time."""
    model, labels = settings.models[name], settings.labels_of(name)
    if isinstance(model, RuleStrategySettings):
        return max(rule_of(model.rule).lookback_bars, label_lookback(labels))
    assert isinstance(model, ModelSettings)
    plugins, timeframe = settings.plugged, labels.timeframe
    names = usable_names(model.companions, timeframe=timeframe, chosen=model.features, plugins=plugins)
    return max(lookback_bars(timeframe, names, plugins), label_lookback(labels))


def _add(needed: dict[Stream, int], streams: Iterable[Stream], bars: int, leader: str | None) -> None:
    for stream in streams:
        needed[stream] = max(needed.get(stream, 0), bars)
        if leader is not None:
            led = Stream(leader, stream.timeframe)
            needed[led] = max(needed.get(led, 0), bars + late_bars(stream))


def late_bars(stream: Stream) -> int:
    """How many bars before the first one a leader's newest may be."""
    return Timeframe.parse(stream.timeframe).bars(COMPANIONS["leader"].max_age)
