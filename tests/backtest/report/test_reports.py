"""Which report is shown of those that are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_assets.backtest.report.files import Report, most_wanted, report_address, report_file, reports

PAGES = (("syna", 1), ("syna", 2), ("syna", 10), ("noise", 1))
"""In the order in which they were written."""


@pytest.fixture
def kept(tmp_path: Path) -> list[Report]:
    for second, (model, version) in enumerate(PAGES):
        page = report_file(tmp_path, model, version)
        page.parent.mkdir(exist_ok=True)
        page.touch()
        os.utime(page, (second, second))
    (tmp_path / "syna" / "2.html.part").touch()
    return reports(tmp_path)


def test_every_version_has_its_page_and_the_newest_comes_last(kept: list[Report]) -> None:
    assert [(one.model, one.version) for one in kept] == list(PAGES)


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ({("syna", 1): "active", ("syna", 2): "approved", ("noise", 1): "draft"}, ("syna", 1)),
        ({("syna", 1): "archived", ("syna", 2): "approved", ("syna", 10): "approved"}, ("syna", 10)),
        ({("syna", 1): "archived", ("noise", 1): "draft"}, ("noise", 1)),
        ({}, ("noise", 1)),
    ],
)
def test_what_trades_is_wanted_before_what_was_tried(
    kept: list[Report], statuses: dict[tuple[str, int], str], wanted: tuple[str, int]
) -> None:
    shown = most_wanted(kept, statuses)
    assert (shown.model, shown.version) == wanted


def test_an_address_names_a_model_whatever_letters_it_has() -> None:
    assert report_address("a b/c", 3) == "/logs/reports/a%20b%2Fc/3/html"
