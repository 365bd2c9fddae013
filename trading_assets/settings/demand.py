"""What the models of the settings ask of a market (timeframes, features, label sets, sides): that alone is computed."""

from __future__ import annotations

from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.root import Settings
from trading_assets.settings.sections.labels import LabelSettings
from trading_assets.settings.sections.strategies import ModelSettings, StrategySettings


def timeframes_of(settings: Settings, market: str) -> list[Timeframe]:
    """The timeframes that features and labels of a market are computed on, the finest first.

    Those of the models that trade it; of a market that no model trades, all of the label sets that its candles build.
    """
    return sorted({labels.timeframe for labels in label_sets_of(settings, market).values()})


def label_sets_of(settings: Settings, market: str) -> dict[str, LabelSettings]:
    """The label sets that are computed for a market, by name."""
    models = _models_of(settings, market)
    wanted = {model.label for model in models} or set(settings.labels)
    finest = settings.markets[market].timeframe
    return {
        name: labels
        for name, labels in settings.labels.items()
        if name in wanted and labels.timeframe.is_built_from(finest)
    }


def sides_of(settings: Settings, market: str, label_set: str) -> list[Side]:
    """The sides that a market is labelled on in a set: those of the models that learn it; else long."""
    sides = {side for model in _models_of(settings, market) if model.label == label_set for side in model.sides}
    return sorted(sides or {Side.LONG}, reverse=True)


def feature_timeframes_of(settings: Settings, market: str) -> list[Timeframe]:
    """Those of them that features are computed on: where rules alone trade, nobody reads any."""
    deciding = _models_of(settings, market)
    trained = {settings.labels[one.label].timeframe for one in deciding if isinstance(one, ModelSettings)}
    return sorted(trained) if deciding else timeframes_of(settings, market)


def features_of(settings: Settings, market: str, timeframe: Timeframe) -> list[str] | None:
    """What is chosen among the features of a market on a timeframe; None for all.

    The choices of all models on it together; all where one of them takes all, or no model trades the market.
    """
    models = [
        one
        for one in _models_of(settings, market)
        if isinstance(one, ModelSettings) and settings.labels[one.label].timeframe == timeframe
    ]
    if not models or any(not model.features for model in models):
        return None
    return sorted({name for model in models for name in model.features})


def asked_timeframes(settings: Settings) -> list[Timeframe]:
    """The timeframes that any market's features and labels are computed on, the finest first."""
    return sorted({timeframe for market in settings.markets for timeframe in timeframes_of(settings, market)})


def bars_of(settings: Settings, market: str) -> list[Timeframe]:
    """The timeframes that a market's bars are built for: its own, and those of the markets whose features read them."""
    own = set(timeframes_of(settings, market))
    if market == settings.features.leader:
        candles = settings.markets[market].timeframe
        own |= {timeframe for timeframe in asked_timeframes(settings) if timeframe.is_built_from(candles)}
    for follower in settings.markets:
        if second_exchange_of(settings, follower) == market:
            own |= set(timeframes_of(settings, follower))
    return sorted(own)


def second_exchange_of(settings: Settings, market: str) -> str | None:
    """The same coin on another exchange, where a model of the market reads it."""
    read = any(
        isinstance(one, ModelSettings) and "second_exchange" in one.companions for one in _models_of(settings, market)
    )
    return settings.markets[market].second_exchange if read else None


def read_beside(settings: Settings) -> list[str]:
    """The markets whose bars features of others read, the leader first: theirs must be there before."""
    seconds = (second_exchange_of(settings, market) for market in settings.markets)
    return list(dict.fromkeys(one for one in (settings.features.leader, *seconds) if one is not None))


def _models_of(settings: Settings, market: str) -> list[StrategySettings]:
    """The models that trade a market; once more for each label set that a search tries of one."""
    return [
        model.model_copy(update={"label": label})
        for name, model in settings.models.items()
        if market in model.markets
        for label in dict.fromkeys((model.label, *settings.search.labels_of(name)))
    ]
