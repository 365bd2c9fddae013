"""Reading the settings: the file, the environment over it, and errors that name the key."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableVariable

from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins import owners
from trading_assets.core.plugins.seats import put_in_force, using
from trading_assets.settings.names import listed, nearest
from trading_assets.settings.origin import PREFIX, Key, Origin, origins, repeated, variable_origin
from trading_assets.settings.paths import SETTINGS_FILE_VARIABLE, from_root, settings_file
from trading_assets.settings.plugins import load_plugins
from trading_assets.settings.root import FILE_KEY, Settings
from trading_assets.settings.sections.labels import LabelSettings
from trading_assets.settings.sections.section import Misfit
from trading_assets.settings.survey import below_break_even

_LOG = logging.getLogger(__name__)


def load_settings(file: Path | None = None, /, **overrides: Any) -> Settings:
    """Read the settings of a project; each call reads anew, so that one process may have several.

    Parameters
    ----------
    file
        The settings file; default: the one in force, see :func:`settings_file`.
    **overrides
        Command flags: they win over the environment, and that over the file.

    Raises
    ------
    SettingsError
        Names each offending key, its value, what is allowed, and where the value came from: the flag, the variable, or
        the file and its line.
    """
    file = settings_file() if file is None else file
    if not file.is_file():
        remedy = f"set {SETTINGS_FILE_VARIABLE} or --settings to one"
        raise SettingsError("no such settings file", where=str(file), remedy=remedy)
    _check_environment()
    _check_once(file)
    try:
        plugins = load_plugins(overrides, file)
        with using(owners(plugins)):
            settings = Settings(**(overrides | {FILE_KEY: file}))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"not valid YAML: {' '.join(str(error).split())}", where=str(file)) from None
    except ValidationError as error:
        raise _blamed(error, overrides, file) from None
    except UnreadableVariable as error:  # e.g. TRADING_MARKETS that is no JSON
        raise _unreadable(error) from None
    except (TypeError, ValueError):  # what pydantic-settings raises on YAML without keys
        raise SettingsError("not a mapping of keys", where=str(file), remedy="see trading.yaml") from None
    settings = settings.model_copy(update={"data_dir": from_root(settings.data_dir), "labels": _net(settings)})
    settings = settings.of_project(plugins, file)
    if settings.data_dir.exists() and not settings.data_dir.is_dir():
        origin = origins(("data_dir",), overrides, file)[0]
        raise SettingsError(f"data_dir: {settings.data_dir} is no folder", where=origin.place, remedy=origin.remedy)
    put_in_force(owners(plugins))
    for doubtful in below_break_even(settings):
        _warn_once(f"{doubtful} ({origins(doubtful.key, overrides, file)[0].place})")
    return settings


@cache
def _warn_once(text: str) -> None:
    """A process reads its settings many times."""
    _LOG.warning("%s", text)


def _net(settings: Settings) -> dict[str, LabelSettings]:
    """The label sets with the costs that they are net of."""
    learnt: dict[str, list[str]] = {name: [] for name in settings.labels}
    for model in settings.models.values():
        learnt[model.label] += model.markets
    costs = {name: settings.trading.costs.of_markets(markets).round_trip_bps for name, markets in learnt.items()}
    return {
        name: one.model_copy(update={"cost_bps": costs[name]}) if one.cost_bps is None else one
        for name, one in settings.labels.items()
    }


def _check_once(file: Path) -> None:
    """Refuse a key that stands twice in one section: YAML readers pass over the first one without a word."""
    try:
        twice = repeated(file)
    except (yaml.YAMLError, UnicodeDecodeError):
        return  # told where the file is read
    if twice is not None:
        key, first, second = twice
        raise SettingsError(
            f"the key {'.'.join(key)!r} stands on line {first} already",
            where=f"{file}:{second}",
            remedy="remove one of the two",
        )


def _check_environment() -> None:
    """Refuse a ``TRADING_`` variable that sets nothing: pydantic passes over names that it does not know."""
    for variable in sorted(os.environ):
        section = variable.removeprefix(PREFIX).split("__")[0].lower()
        if variable.startswith(PREFIX) and section not in {*Settings.model_fields, "settings", "keys"}:
            raise SettingsError(
                f"no setting {section!r}",
                where=variable_origin(variable).place,
                remedy=f"unset it, or name one of {', '.join(Settings.model_fields)}",
            )


def _blamed(error: ValidationError, overrides: Mapping[str, Any], file: Path) -> SettingsError:
    """One error for all that is wrong: each after where it came from."""
    told: dict[tuple[Origin, ...], list[str]] = {}
    for item in error.errors():
        key, what = _explain(item)
        told.setdefault(tuple(origins(key, overrides, file)), []).append(what)
    parts = [(" and ".join(origin.place for origin in found), "; ".join(what)) for found, what in told.items()]
    (where, first), *others = parts
    remedies = dict.fromkeys(origin.remedy for found in told for origin in found)
    return SettingsError(
        "; ".join([first, *(f"{place}: {what}" for place, what in others)]), where=where, remedy=", or ".join(remedies)
    )


def _explain(item: Any) -> tuple[Key, str]:
    """The key of one of pydantic's errors, and what is wrong with it."""
    key = tuple(str(part) for part in item["loc"])
    cause = item.get("ctx", {}).get("error")
    name = ".".join(key) or "settings"
    if isinstance(cause, Misfit):
        return (*key, *cause.key), str(cause) if not key else f"{name}: {cause}"
    if item["type"] == "extra_forbidden":
        return key, f"unknown key {name!r}; {_hint(key)}".rstrip("; ")
    if item["type"] == "missing":
        return key[:-1], f"{name} is required"
    given = "" if isinstance(item["input"], dict) else f" (given {item['input']!r})"
    return key, f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"


def _hint(key: Key) -> str:
    """The name that was probably meant; of a name that is right elsewhere, the kinds that have it."""
    name, elsewhere = key[-1], key[-1] in _names()
    if elsewhere and (kinds := _kinds_with(key[0], name)):
        return f"{name!r} is of the kind {' or '.join(kinds)}"
    here = _names_in(key[:-1])
    meant = nearest(name, here) or ("" if here else nearest(name, _names()))
    if meant:
        return meant
    belongs = f"{name!r} belongs elsewhere; " if elsewhere else ""
    return belongs + (f"here stand {listed(here)}" if here else "")


@cache
def _names_in(key: Key) -> tuple[str, ...]:
    """The keys that the section of a key may have, whatever its kind; none where there is no such section."""
    schema = Settings.model_json_schema()

    def sections(part: Any) -> list[Any]:
        if "$ref" in part:
            return sections(schema["$defs"][part["$ref"].rpartition("/")[2]])
        return [one for each in part["anyOf"] for one in sections(each)] if "anyOf" in part else [part]

    found = [schema]
    for name in key:
        below = [
            one.get("properties", {}).get(name) or one.get("items") or one.get("additionalProperties") for one in found
        ]
        found = [one for part in below if isinstance(part, dict) for one in sections(part)]
    return tuple(dict.fromkeys(name for one in found for name in one.get("properties", ())))


@cache
def _kinds_with(top: str, name: str) -> tuple[str, ...]:
    """The kinds of section that may stand anywhere under a top key and have a key of this name."""
    schema = Settings.model_json_schema()
    waiting, seen = [schema["properties"].get(top, {})], set[str]()
    while waiting:
        found = set(re.findall(r"#/\$defs/([^'\"]+)", str(waiting.pop()))) - seen
        seen |= found
        waiting += [schema["$defs"][one] for one in found]
    with_it = (schema["$defs"][one]["properties"] for one in seen if name in schema["$defs"][one].get("properties", {}))
    return tuple(sorted({str(one["kind"]["const"]) for one in with_it if "const" in one.get("kind", {})}))


@cache
def _names() -> tuple[str, ...]:
    """Every key that some section has."""
    schema = Settings.model_json_schema()
    parts = (schema, *schema["$defs"].values())
    return tuple(sorted({name for part in parts for name in part.get("properties", ())}))


def _unreadable(error: UnreadableVariable) -> SettingsError:
    """A variable that should hold JSON and does not."""
    field = re.search(r'field "(\w+)"', str(error))
    variable = f"{PREFIX}{field[1].upper()}" if field else "environment"
    return SettingsError(
        f"no JSON: {error.__cause__ or error}",
        where=variable_origin(variable).place,
        remedy=f"write it as JSON, or unset {variable}",
    )
