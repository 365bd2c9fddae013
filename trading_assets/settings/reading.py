"""Reading the settings: the file, the environment over it, and errors that name the key."""

from __future__ import annotations

import os
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableVariable

from trading_assets.errors import SettingsError
from trading_assets.settings.places import SETTINGS_FILE_VARIABLE, from_root, settings_file
from trading_assets.settings.root import Settings


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` (command flags) win over environment and file.

    Raises
    ------
    SettingsError
        Names each offending key, its value and what is allowed.
    """
    file = settings_file()
    if not file.is_file():
        raise SettingsError("no such settings file", where=str(file), remedy=f"set {SETTINGS_FILE_VARIABLE} to one")
    _check_environment()
    try:
        settings = Settings(**overrides)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"not valid YAML: {' '.join(str(error).split())}", where=str(file)) from None
    except SettingsError as error:  # from a validator that parses a market or a timeframe
        raise SettingsError(error.what, where=str(file), remedy=error.remedy) from None
    except ValidationError as error:
        raise SettingsError(_explain(error), where=str(file), remedy="see the comments in trading.yaml") from None
    except UnreadableVariable as error:  # e.g. TRADING_MARKETS that is no JSON
        raise SettingsError(str(error), where="environment", remedy="write such a variable as JSON") from None
    except (TypeError, ValueError):  # what pydantic-settings raises on YAML without keys
        raise SettingsError("not a mapping of keys", where=str(file), remedy="see trading.yaml") from None
    return settings.model_copy(update={"data_dir": from_root(settings.data_dir)})


def _check_environment() -> None:
    """Refuse a ``TRADING_`` variable that sets nothing: pydantic passes over names that it does not know."""
    for variable in sorted(os.environ):
        section = variable.removeprefix("TRADING_").split("__")[0].lower()
        if variable.startswith("TRADING_") and section not in {*Settings.model_fields, "settings", "keys"}:
            raise SettingsError(
                f"no setting {section!r}",
                where=f"environment variable {variable}",
                remedy=f"unset it, or name one of {', '.join(Settings.model_fields)}",
            )


def _explain(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown key {key!r}")
        elif item["type"] == "missing":
            parts.append(f"{key} is required")
        else:
            given = "" if isinstance(item["input"], dict) else f" (given {item['input']!r})"
            parts.append(f"{key}: {item['msg'].removeprefix('Value error, ')}{given}")
    return "; ".join(parts)
