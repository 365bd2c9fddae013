"""What settings name and what they leave without a user: read, never fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trading_assets.core.candles import Market
from trading_assets.settings.origin import Key
from trading_assets.settings.root import Settings
from trading_assets.settings.sections.strategies import ModelSettings


class Unused(NamedTuple):
    """A key of the settings that nothing comes of, and why."""

    key: Key
    why: str

    def __str__(self) -> str:
        return f"{'.'.join(self.key)}: {self.why}"


def addresses(settings: Settings) -> list[tuple[str, str]]:
    """Every network address of the settings, as pairs of key and URL; files are none."""
    found = _texts(settings.model_dump(mode="json"), "")
    return [(key, text) for key, text in found if "://" in text and not text.startswith(("duckdb:", "sqlite:"))]


def unused(settings: Settings) -> list[Unused]:
    """Each source, market, label set, exit plan, venue's fees, plug-in or sentiment provider that nothing comes of."""
    markets, models = settings.markets, settings.models.values()
    sources = {market.source for market in markets.values()} | {market.funding for market in markets.values()}
    read = {market for model in models for market in model.markets} | {settings.features.leader}
    read |= {market.second_exchange for market in markets.values()}
    learnt = {model.label for model in models}
    found = [Unused(("sources", name), "no market names it") for name in settings.sources if name not in sources]
    if models:
        found += [Unused(("markets", name), "no model reads it") for name in markets if name not in read]
        found += [Unused(("labels", name), "no model learns it") for name in settings.labels if name not in learnt]
        plans = {model.exit for model in models} | {settings.labels[name].exit for name in learnt}
        found += [Unused(("exits", name), "no model has it") for name in settings.exits if name not in plans]
    exchanges = {Market.parse(market).exchange for market in markets}
    fees = settings.trading.costs.fees
    found += [
        Unused(("trading", "costs", "fees", name), f"no market is of it; there are {', '.join(sorted(exchanges))}")
        for name in fees
        if exchanges and name not in exchanges
    ]
    found += [
        Unused(
            ("plugins", str(settings.plugins.index(one.name))),
            f"{one.name} registers nothing: no @feature and no @register is in it",
        )
        for one in settings.loaded_plugins
        if not one.gives
    ]
    trained = [one for one in models if isinstance(one, ModelSettings)]
    if settings.sentiment and not any("sentiment" in one.companions for one in trained):
        found.append(Unused(("sentiment",), "no model names the companion"))
    return found


def below_break_even(settings: Settings) -> list[Unused]:
    """Each `threshold` below the probability at which a trade of its model earns its costs and no more.

    Where barriers are scaled, their distances are not known beforehand: then the probability at no costs counts. What
    an exit plan earns is measured on a training window, and says what its models need.
    """
    found = []
    for name, model in settings.models.items():
        labels, costs = settings.labels[model.label], settings.trading.costs.of_markets(model.markets).round_trip_bps
        if labels.barriers == "plan":
            continue
        if labels.barriers == "fixed":
            target, stop, cost = labels.take_profit_pct, labels.stop_loss_pct, costs / 100
            said = (
                f"a target of {target:g} % and a stop of {stop:g} % ask for {{even:.3f}} after costs of {costs:g} bps"
            )
        else:
            target, stop, cost = labels.take_profit_multiple, labels.stop_loss_multiple, 0.0
            said = f"{target:g} and {stop:g} times the scale ask for {{even:.3f}} before costs"
        even = (stop + cost) / (target + stop)
        if model.threshold is None or model.threshold >= even:
            continue
        then = (
            "it decides nothing, the expected return asks for more; raise it, or leave it out"
            if model.min_edge_bps >= 0
            else f"trades that are expected to lose are let through (min_edge_bps {model.min_edge_bps:g}); raise either"
        )
        why = f"{model.threshold:g} is below break-even: {said.format(even=even)}; {then}"
        found.append(Unused(("models", name, "threshold"), why))
    return found


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{key}.{place}")
