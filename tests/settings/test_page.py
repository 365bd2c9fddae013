"""The reference page of the settings is the one that their declarations give."""

from __future__ import annotations

from trading_assets.settings import PROJECT_ROOT, Settings
from trading_assets.settings.describe import settings_markdown


def test_the_page_of_settings_is_current() -> None:
    page = PROJECT_ROOT / "docs" / "reference" / "settings.md"
    assert page.read_text() == settings_markdown(), "run make docs"


def test_the_page_has_every_section() -> None:
    page = settings_markdown()
    for key in Settings.model_fields:
        assert f"## {key}" in page or f"| `{key}` |" in page, key
    assert "## sources.<name> (kind: ccxt)" in page
    assert "| `walk_forward`" not in page, "a section within a section has a table of its own"
