"""The reference page of the settings is the one that their declarations give."""

from __future__ import annotations

import re

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


DOCS = PROJECT_ROOT / "docs"
PAGES = [PROJECT_ROOT / "README.md", *DOCS.glob("how-to/*.md"), *DOCS.glob("concepts/*.md")]
FILES = (".yaml", ".json", ".db")


def _keys() -> set[str]:
    """Every key and section of the reference page; ``<name>`` in them is one's own."""
    section, keys = "", set[str]()
    for line in settings_markdown().splitlines():
        if heading := re.match(r"## ([\w.<>]+)", line):
            section = heading[1]
            keys |= {section} if not section.endswith(">") else set()
        elif key := re.match(r"\| `(\w+)` \|", line):
            keys.add(f"{section}.{key[1]}".lstrip("."))
    return keys


def test_the_guides_name_settings_that_there_are() -> None:
    keys = [key.split(".") for key in _keys()]
    sections = {key[0] for key in keys}

    def is_there(named: list[str]) -> bool:
        alike = (key for key in keys if len(key) == len(named))
        return any(all(a in ("<name>", b) for a, b in zip(key, named, strict=True)) for key in alike)

    wrong = []
    for page in PAGES:
        if page.stem == "the-way-of-a-candle":
            continue  # names modules
        for number, line in enumerate(page.read_text().splitlines(), 1):
            keyed = re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)+)(?::[^`]*)?`", line)
            meant = [one for one in keyed if one.split(".")[0] in sections and not one.endswith(FILES)]
            wrong += [f"{page.name}:{number}: {one}" for one in meant if not is_there(one.split("."))]
    assert not wrong
