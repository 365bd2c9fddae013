"""What the set-up makes ready, so that no later process does it, and several at once the same."""

from __future__ import annotations

import re

from trading_assets.settings import PROJECT_ROOT

EAGER = re.compile(r"@nb\.njit\(\s*(?!cache|inline)")
"""A loop that is compiled when its module is imported: it names its types."""


def test_the_set_up_compiles_every_loop_that_an_import_would() -> None:
    named = re.search(r"for loops in (.+); do", (PROJECT_ROOT / ".ci" / "setup").read_text())
    assert named is not None
    made = [name.replace(".", "/") for name in named[1].split()]
    files = [file for file in (PROJECT_ROOT / "trading_assets").rglob("*.py") if EAGER.search(file.read_text())]
    places = [str(file.relative_to(PROJECT_ROOT).with_suffix("")) for file in files]
    assert len(places) >= 4
    assert [place for place in places if not any(place == one or place.startswith(f"{one}/") for one in made)] == []
