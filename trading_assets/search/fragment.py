"""What was found as settings: a fragment to put over the model's section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from trading_assets.settings.sections.section import Section

if TYPE_CHECKING:
    from trading_assets.search.finding import Found


def fragment(found: Found) -> str:
    """YAML with the keys that are found otherwise than they are, and the day from which windows judge it.

    A section stands there whole, so that it may take the place of the one in the file: half of one would bring back
    defaults that nobody meant.
    """
    searched, spec = found.cut, found.after
    own: dict[str, Any] = {name: value for name, value in found.changes.items() if "." not in name}
    for name in sorted({name.partition(".")[0] for name in found.changes if "." in name} | {"walk_forward"}):
        own[name] = _whole(getattr(spec, name))
    head = (
        f"# Found by `trading search {found.model}`: trial {found.best.number + 1} of {len(found.trials)}, "
        f"measured from {searched.tested:%Y-%m-%d} to {searched.split:%Y-%m-%d}.\n"
        f"# Put these keys in the place of those of models.{found.model}. No trial saw anything from tested_from on:\n"
        "# `trading train` and the gates judge it on those windows alone.\n"
    )
    if not found.changes:
        head += "# No trial was better than the model as it is.\n"
    return head + yaml.safe_dump({"models": {found.model: own}}, sort_keys=False, default_flow_style=False)


def _whole(section: Section) -> dict[str, Any]:
    """A section as one would write it: its kind, and what is not the default."""
    told = section.model_dump(mode="python", exclude_defaults=True)
    kind = getattr(section, "kind", None)
    return {"kind": kind, **told} if kind is not None else told
