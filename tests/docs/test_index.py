"""Every page of the docs is found from their first page."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_first_page_leads_to_every_page_and_to_nothing_else() -> None:
    named = {(DOCS / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text())}
    pages = {page for folder in ("concepts", "how-to", "reference") for page in (DOCS / folder).glob("*.md")}

    assert {page for page in pages if page.resolve() not in named} == set()
    assert {link for link in named if not link.exists()} == set()
