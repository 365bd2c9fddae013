"""The plug-ins that a bundle was made with: without them, or with others of these names, it is another model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import BaseModel

from trading_assets.core.errors import BundleError
from trading_assets.core.plugins import Plugin, plugin_of
from trading_assets.core.plugins.seats import SEATS, Owners, in_force
from trading_assets.features.framework.registry import REGISTRY


class MadeWith(BaseModel):
    """What ``settings.json`` says of them, read before the sections that they bring."""

    plugins: dict[str, str] = {}


def made_with(features: Collection[str], settings: Iterable[BaseModel], owners: Owners | None) -> dict[str, str]:
    """Name -> digest of the plug-ins that bring some of the features, or a section of the settings.

    Parameters
    ----------
    features
        The model's.
    settings
        What it was specified with: a section that a plug-in brings, at whatever depth, counts.
    owners
        The project's plug-ins; None for those of the settings read last.
    """
    found = {*REGISTRY.seen_by(owners).owners(features)}
    found |= {
        seat.owner_of(kind) for kind in {type(one) for part in settings for one in _parts(part)} for seat in SEATS
    }
    return {one.name: one.digest for one in _plugins(owners) if one.owner in found}


def check_plugins(wanted: MadeWith, owners: Owners | None, where: str) -> None:
    """Refuse a bundle of plug-ins that the project lacks, or has otherwise.

    Raises
    ------
    BundleError
        Names them.
    """
    there = {one.name: one for one in _plugins(owners)}
    for name, digest in wanted.plugins.items():
        if name not in there:
            raise BundleError(
                f"it was made with the plug-in {name}, which the settings do not name",
                where=where,
                remedy=f"add {name} to `plugins`, with its file beside the settings file",
            )
        if there[name].digest != digest:
            raise BundleError(
                f"it was made with other code of the plug-in {name} than this process has read",
                where=f"{where}: {there[name].file}",
                remedy="materialize features, walk_forward and candidate with this code, or bring back the file; "
                "a process reads a plug-in when it starts",
            )


def _plugins(owners: Owners | None) -> list[Plugin]:
    found = [plugin_of(owner) for owner in (in_force() if owners is None else owners)]
    return [one for one in found if one is not None]


def _parts(value: Any) -> Iterable[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from _parts(getattr(value, name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _parts(one)
