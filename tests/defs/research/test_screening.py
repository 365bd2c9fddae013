"""A screening as a job: from stored candles to a table, a picture and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.defs.small import SYNA, Location, Undisturbed, copy_of
from trading_assets.registry.searches import searched
from trading_assets.settings.sections.strategies import STRATEGIES
from trading_assets.store import open_store
from trading_assets.store.tables import SCREENED_SETS
from trading_cli.research import screen

RULE: dict[str, Any] = {"kind": "rule", "label": "default", "markets": [SYNA], "rule": {"kind": "momentum"}}


def test_a_screening_leaves_rows_a_picture_and_settings_and_the_command_shows_them(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    base = copy_of(undisturbed, location, tmp_path)
    settings = base.model_copy(update={"models": {"syna": STRATEGIES.read(RULE)}})
    seen: list[tuple[int, int]] = []

    def follow(event: Any) -> None:
        seen.extend([event.trials] if event.trials else [])

    result = location.launch.screen_model(settings, "syna", follow, sets=60, grid=False, top=3)
    assert result.success, result.failures
    found = result.materialized["screening"]
    assert found["trials"] == 60
    assert seen[-1] == (60, 60)
    assert len(found["best_sets"]) == 3
    assert Path(found["picture"]).is_file()
    assert Path(found["returns_file"]).is_file()
    assert f"tested_from: {found['tested_from']}" in Path(found["fragment_file"]).read_text()
    assert open_store(settings.store_url).read(SCREENED_SETS).height == 60
    assert searched(settings, [SYNA]).count == 60
    with screen.console.capture() as printed:
        screen._show(settings, "syna", found)
    assert "60 sets of syna (synthetic), traded by every signal from" in " ".join(printed.get().split())
