"""Found settings as a fragment: YAML to put over a model's section of the settings file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from trading_assets.settings.sections.section import Section
from trading_assets.settings.sections.strategies import StrategySettings


def model_fragment(model: str, spec: StrategySettings, changes: Mapping[str, Any]) -> str:
    """YAML with the keys that are found otherwise than they were, and the windows that judge them.

    A section stands there whole, so that it may take the place of the one in the file: half of one would bring back
    defaults that nobody meant.

    Parameters
    ----------
    model
        Its name.
    spec
        The model as it was found.
    changes
        Setting, as `rule.fast`, -> value.
    """
    own: dict[str, Any] = {name: value for name, value in changes.items() if "." not in name}
    for name in sorted({name.partition(".")[0] for name in changes if "." in name} | {"walk_forward"}):
        own[name] = _whole(getattr(spec, name))
    return yaml.safe_dump({"models": {model: own}}, sort_keys=False, default_flow_style=False)


def _whole(section: Section) -> dict[str, Any]:
    """A section as one would write it: its kind, and what is not the default."""
    told = section.model_dump(mode="python", exclude_defaults=True)
    kind = getattr(section, "kind", None)
    return {"kind": kind, **told} if kind is not None else told
