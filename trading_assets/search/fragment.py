"""What was found as settings: a fragment to put over the model's section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trading_assets.settings.fragment import model_fragment

if TYPE_CHECKING:
    from trading_assets.search.finding import Found


def fragment(found: Found) -> str:
    """YAML with the keys that are found otherwise than they are, and the day from which windows judge it."""
    searched = found.cut
    head = (
        f"# Found by `trading search {found.model}`: trial {found.best.number + 1} of {len(found.trials)}, "
        f"measured from {searched.tested:%Y-%m-%d} to {searched.split:%Y-%m-%d}.\n"
        f"# Put these keys in the place of those of models.{found.model}. No trial saw anything from tested_from on:\n"
        "# `trading train` and the gates judge it on those windows alone.\n"
    )
    if not found.changes:
        head += "# No trial was better than the model as it is.\n"
    return head + model_fragment(found.model, found.after, found.changes)
