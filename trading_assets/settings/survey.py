"""What settings name and what they leave without a user: read, never fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trading_assets.settings.root import Settings


def addresses(settings: Settings) -> list[tuple[str, str]]:
    """Every network address of the settings, as pairs of key and URL; files are none."""
    found = _texts(settings.model_dump(mode="json"), "")
    return [(key, text) for key, text in found if "://" in text and not text.startswith(("duckdb:", "sqlite:"))]


def unused(settings: Settings) -> list[str]:
    """A line for each source, market, label set, plug-in or sentiment provider that nothing comes of."""
    markets, models = settings.markets, settings.models.values()
    sources = {market.source for market in markets.values()} | {market.funding for market in markets.values()}
    read = {market for model in models for market in model.markets} | {settings.features.leader}
    read |= {market.second_exchange for market in markets.values()}
    lines = [f"sources.{name}: no market names it" for name in settings.sources if name not in sources]
    lines += [f"markets.{name}: no model reads it" for name in markets if models and name not in read]
    learnt = {model.label for model in models}
    lines += [f"labels.{name}: no model learns it" for name in settings.labels if models and name not in learnt]
    lines += [
        f"plugins.{one.name}: it registers nothing: no @feature and no @register is in it"
        for one in settings.loaded_plugins
        if not one.gives
    ]
    if settings.sentiment and not any("sentiment" in model.companions for model in models):
        lines.append("sentiment: no model names the companion")
    return lines


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{key}.{place}")
