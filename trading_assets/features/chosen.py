"""Whether the settings choose features that there are."""

from __future__ import annotations

from trading_assets.core.errors import SettingsError
from trading_assets.features import feature_names
from trading_assets.settings import ModelSettings, Settings
from trading_assets.settings.origin import origins


def check_chosen(settings: Settings) -> None:
    """Refuse a model's name, family or pattern that means no feature on its timeframe, with the plug-ins there are.

    Raises
    ------
    SettingsError
        The place is its line in the settings file.
    """
    for name, model in settings.models.items():
        if not isinstance(model, ModelSettings):
            continue  # a rule reads bars
        try:
            feature_names(settings.timeframe_of(name), model.features or None, settings.plugged)
        except SettingsError as error:
            place = origins(("models", name, "features"), {}, settings.file)[0].place
            raise SettingsError(f"models.{name}.features: {error.what}", where=place, remedy=error.remedy) from None
