"""Each fault alone: the table in the docs is what happens."""

from __future__ import annotations

from pathlib import Path

from tests.faults.table import as_markdown, run_all

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "faults.md"


def test_no_fault_loses_a_candle_and_the_docs_say_what_each_one_costs() -> None:
    lines = run_all()
    assert {line.name: line.lost for line in lines if line.lost} == {}
    assert not any("OPEN BARS" in line.outcome for line in lines)
    assert as_markdown(lines) in PAGE.read_text(encoding="utf-8"), "run python -m tests.faults.table and paste it"
