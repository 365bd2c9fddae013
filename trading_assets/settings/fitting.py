"""How the parts of the settings must fit together: what names what, and what can be delivered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.names import instead
from trading_assets.settings.sections import space
from trading_assets.settings.sections.data import MarketSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.labels import LabelSettings
from trading_assets.settings.sections.portfolio import RiskBudgetingSettings
from trading_assets.settings.sections.section import Misfit
from trading_assets.settings.sections.strategies import ModelSettings, StrategySettings

if TYPE_CHECKING:
    from trading_assets.settings.root import Settings


def check_model(settings: Settings, name: str, model: StrategySettings) -> None:
    """A model must name what is there, and trade what can be traded."""
    check_name("model", name, "models")
    for wanted in model.markets:
        if wanted not in settings.markets:
            what = f"model {name}: no market {wanted!r}; {instead(wanted, settings.markets)}"
            raise Misfit(what, "models", name, "markets")
    _check_label(settings, name, model)
    _check_candles(settings, name, model)
    _check_sides(settings, name, model)
    if isinstance(model, ModelSettings):
        _check_companions(settings, name, model)


def with_learnt_plan(settings: Settings, name: str, labels: LabelSettings) -> LabelSettings:
    """A label set with the exit plan whose outcome it is, and the horizon that follows from it."""
    key = ("labels", name, "exit")
    if labels.barriers != "plan":
        if labels.exit_plan is not None:
            raise Misfit(f"label set {name}: write the plan under `exits`", *key[:2], "exit_plan")
        return labels
    if labels.exit not in settings.exits:
        raise Misfit(f"label set {name}: no exit plan {labels.exit!r}; {instead(labels.exit, settings.exits)}", *key)
    plan = settings.exits[labels.exit]
    if not plan.targets:
        what = f"label set {name}: exit plan {labels.exit!r} has no target, and whether the first one comes before the"
        raise Misfit(f"{what} stop is what is learnt; give it one", "exits", labels.exit, "targets")
    _check_hold(labels.exit, plan, labels.timeframe)
    bars = plan.hold // labels.timeframe.length
    if "horizon_bars" in labels.model_fields_set and labels.horizon_bars != bars:
        what = f"label set {name}: {labels.horizon_bars} bars of {labels.timeframe} are not the {plan.hold_hours:g}"
        why = f"hours that exit plan {labels.exit!r} holds; leave it out, it is {bars}"
        raise Misfit(f"{what} {why}", *key[:2], "horizon_bars")
    return labels.model_copy(update={"exit_plan": plan, "horizon_bars": bars})


def _check_hold(name: str, plan: ExitSettings, bar: Timeframe) -> None:
    if plan.hold % bar.length:
        what = f"exit plan {name!r} is held for {plan.hold_hours:g} hours"
        raise Misfit(f"{what}, which are not whole bars of {bar}", "exits", name, "hold_hours")


def with_exit_plan(settings: Settings, name: str, model: StrategySettings) -> StrategySettings:
    """A model with the exit plan that it names, so that whatever is made with the model is made with the plan."""
    key, labels = ("models", name, "exit"), settings.labels[model.label]
    if labels.barriers == "plan":
        if model.exit not in ("", labels.exit):
            what = f"model {name}: it would trade by {model.exit!r} what it learnt of {labels.exit!r}"
            raise Misfit(f"{what}, the plan of label set {model.label!r}; leave `exit` out", *key)
        return model.model_copy(update={"exit": labels.exit, "exit_plan": labels.exit_plan})
    if not model.exit:
        if model.exit_plan is not None:
            raise Misfit(
                f"model {name}: write the plan under `exits`, and its name as `exit` here", *key[:2], "exit_plan"
            )
        return model
    if model.exit not in settings.exits:
        raise Misfit(f"model {name}: no exit plan {model.exit!r}; {instead(model.exit, settings.exits)}", *key)
    plan = settings.exits[model.exit]
    _check_hold(model.exit, plan, labels.timeframe)
    return model.model_copy(update={"exit_plan": plan})


def check_search(settings: Settings, name: str) -> None:
    """What is to be tried must be something that the model may have."""
    if name not in settings.models:
        raise Misfit(f"search.space: no model {name!r}; {instead(name, settings.models)}", "search", "space", name)
    try:
        space.check(settings.models[name], settings.search.of(name))
    except Misfit as misfit:
        raise Misfit(f"search of {name}: {misfit}", "search", "space", name, *misfit.key) from None
    for label in settings.search.labels_of(name):
        key = ("search", "space", name, "label")
        if label not in settings.labels:
            raise Misfit(f"search of {name}: no label set {label!r}; {instead(label, settings.labels)}", *key)
        if settings.labels[label].exit != settings.labels[settings.models[name].label].exit:
            what = f"search of {name}: label set {label!r} learns another exit plan's outcome than its own"
            raise Misfit(f"{what}, {settings.models[name].label!r}; search among sets of one plan", *key)
        _check_candles(settings, name, settings.models[name].model_copy(update={"label": label}))


def check_budgets(settings: Settings) -> None:
    """A budget of risk is of a model that there is."""
    method = None if settings.portfolio is None else settings.portfolio.method
    for name in method.budgets if isinstance(method, RiskBudgetingSettings) else ():
        if name not in settings.models:
            what = f"portfolio.method.budgets: no model {name!r}; {instead(name, settings.models)}"
            raise Misfit(what, "portfolio", "method", "budgets", name)


def check_market(settings: Settings, name: str, market: MarketSettings) -> None:
    """A market must be written as one, and its sources must be there."""
    try:
        Market.parse(name)
    except SettingsError as error:
        raise Misfit(f"{error.what}; {error.remedy}", "markets", name) from None
    for key, source in (("source", market.source), ("funding", market.funding)):
        if source not in settings.sources and (key == "source" or source not in (None, "none")):
            raise Misfit(
                f"market {name}: no source {source!r}; {instead(source or '', settings.sources)}", "markets", name, key
            )
    _check_second_exchange(settings, name, market)


def _check_second_exchange(settings: Settings, name: str, market: MarketSettings) -> None:
    second, key = market.second_exchange, ("markets", name, "second_exchange")
    if second is None:
        return
    if second not in settings.markets or second == name:
        others = sorted(set(settings.markets) - {name})
        raise Misfit(f"market {name}: no second_exchange {second!r}; other markets: {others}", *key)
    if settings.markets[second].timeframe != market.timeframe:
        raise Misfit(
            f"market {name} has {market.timeframe} candles, its second_exchange {second} "
            f"{settings.markets[second].timeframe}: only equal ones can be compared",
            *key,
        )


def _check_candles(settings: Settings, name: str, model: StrategySettings) -> None:
    timeframes = sorted({settings.markets[market].timeframe for market in model.markets})
    key = ("models", name, "markets")
    if len(timeframes) > 1:
        raise Misfit(f"model {name}: its markets have candles of {', '.join(timeframes)}; give it one timeframe", *key)
    wanted = settings.labels[model.label].timeframe
    if not wanted.is_built_from(timeframes[0]):
        raise Misfit(
            f"model {name}: {wanted} bars cannot be built from the {timeframes[0]} candles of {model.markets[0]}; "
            f"give the label set {model.label!r} a multiple of {timeframes[0]}",
            *("labels", model.label, "timeframe"),
        )


def _check_label(settings: Settings, name: str, model: StrategySettings) -> None:
    if model.label in settings.labels:
        return
    if "label" not in model.model_fields_set:
        what = f"model {name}: which label set does it learn? write `label:` and one of {', '.join(settings.labels)}"
        raise Misfit(what, "models", name)
    what = f"model {name}: no label set {model.label!r}; {instead(model.label, settings.labels)}"
    raise Misfit(what, "models", name, "label")


def _check_sides(settings: Settings, name: str, model: StrategySettings) -> None:
    spot = [market for market in model.markets if not Market.parse(market).is_derivative]
    if Side.SHORT in model.sides and spot:
        raise Misfit(
            f"model {name}: {spot[0]} is a spot market, which cannot be sold short; "
            "take `short` out of its sides, or trade a perpetual",
            *("models", name, "sides"),
        )


def _check_companions(settings: Settings, name: str, model: ModelSettings) -> None:
    """A companion that nothing in the settings can deliver would be missing in all rows."""
    key = ("models", name, "companions")
    leader = settings.features.leader
    if "leader" in model.companions and (leader is None or model.markets == [leader]):
        why = "features.leader is not set" if leader is None else f"its only market {leader} does not lead itself"
        raise Misfit(f"model {name} has the companion leader: {why}", *key)
    if "leader" in model.companions and leader is not None:
        timeframe, candles = settings.labels[model.label].timeframe, settings.markets[leader].timeframe
        if not timeframe.is_built_from(candles):
            what = f"its {timeframe} bars cannot be built from the {candles} candles of {leader}"
            raise Misfit(f"model {name} has the companion leader: {what}", *key)
    if "second_exchange" in model.companions:
        _check_second_bars(settings, name, model)
    if "sentiment" in model.companions and not settings.sentiment:
        raise Misfit(f"model {name} has the companion sentiment: no provider under sentiment", *key)
    if "funding" in model.companions:
        for market in model.markets:
            if not settings.has_funding(market):
                raise Misfit(f"model {name} has the companion funding: {market} has no source of funding rates", *key)


def _check_second_bars(settings: Settings, name: str, model: ModelSettings) -> None:
    what, key = f"model {name} has the companion second_exchange", ("models", name, "companions")
    for market in model.markets:
        if settings.markets[market].second_exchange is None:
            raise Misfit(f"{what}: {market} names no `second_exchange`", *key)


def companions(model: StrategySettings) -> list[str]:
    """What a model reads beside the bars of its markets."""
    return list(model.companions) if isinstance(model, ModelSettings) else []


def check_name(what: str, name: str, section: str) -> None:
    """Names become folders."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) is None:
        raise Misfit(f"{what} {name!r}: write a name of letters, digits, - _ and . (it names folders)", section, name)
