"""What features read beside the bars of their own market."""

from __future__ import annotations

from pydantic import Field

from trading_assets.settings.sections.section import Section


class FeatureSettings(Section):
    """Companions of the features; what is not stored is null in the features, never zero."""

    leader: str | None = Field(
        None,
        description="The market that the others are compared with (beta, relative strength, its lagged returns): one "
        "of `markets`, which a backfill computes first. "
        "A node listens to it where its models name it under `companions` and its venue has it.",
    )
