"""Exit plans that several nodes of the tests trade by."""

from trading_assets.settings.sections.exits import ExitSettings, TargetSettings, TrailingSettings

MOVING_PLAN = ExitSettings(
    unit="percent",
    stop=1.0,
    targets=[TargetSettings(at=0.2, share=0.3), TargetSettings(at=0.4, share=0.3), TargetSettings(at=4, share=0.4)],
    break_even_after=1,
    trailing=TrailingSettings(distance=0.5),
    hold_hours=2,
    on_opposite=False,
)
"""Parts, a stop that goes to break-even and then trails: every change of it is a new order at this venue."""
