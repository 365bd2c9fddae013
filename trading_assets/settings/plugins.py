"""Loading the plug-ins that settings name: before the sections are read, which may name what they register."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins import Plugins, check_apart, load
from trading_assets.settings.origin import origins
from trading_assets.settings.root import FILE_KEY, ProjectSettings


class _Named(ProjectSettings):
    """The names alone, from wherever settings come from."""

    model_config = SettingsConfigDict(env_prefix="TRADING_", extra="ignore")

    plugins: list[str] = Field([])


def load_plugins(overrides: Mapping[str, Any], file: Path) -> Plugins:
    """The plug-ins of a project, in the order of its settings.

    Raises
    ------
    SettingsError
        Names the place of the entry, and the file and line of the plug-in that fails.
    pydantic.ValidationError
        ``plugins`` is no list of names.
    """
    given: dict[str, Any] = {key: overrides[key] for key in ("plugins",) if key in overrides}
    named = _Named(**(given | {FILE_KEY: file}))
    found: Plugins = ()
    for place, name in enumerate(named.plugins):
        try:
            plugin = load(name, file.parent)
            if plugin not in found:
                check_apart([*found, plugin])
                found += (plugin,)
        except SettingsError as error:
            origin = origins(("plugins", str(place)), overrides, file)[0]
            told = error.what if error.where == name else f"{error.where}: {error.what}"
            raise SettingsError(
                f"plugins: {name} cannot be loaded: {told}", where=origin.place, remedy=error.remedy
            ) from error
    return found
