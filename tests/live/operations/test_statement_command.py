"""`trading statement` shows venue and journal side by side, and its exit code says whether they agree."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.live.rehearsed import STILL, Desk, desk, opened, order_id
from trading_assets.journal import Journal
from trading_cli.main import app
from trading_live.reconciliation.statement import Statement


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def ask(one: Desk) -> tuple[int, str]:
        for name, value in {
            "TRADING_DATA_DIR": str(tmp_path),
            "TRADING_NODE__MODE": "live",
            "TRADING_NODE__BASE_URL_HTTP": one.server.url_http,
        }.items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["statement"])
        return result.exit_code, " ".join((result.output + str(result.exception or "")).split())

    return ask


def test_venue_and_journal_stand_side_by_side(tmp_path: Path, said) -> None:
    (tmp_path / "live").mkdir()
    with desk(tmp_path / "live", STILL, STILL) as one:
        code, text = said(one)
        assert "no balance of the account yet" in text
        with closing(Journal(one.path, "node")) as journal:
            journal.record_all(Statement(one.account, one.path).news()[0])
        opened(one)
        code, text = said(one)
        assert (code, "agree to the cent" in text) == (0, True), text
        assert "fee" in text
        one.market(order_id("1", "x", 9), -1.0, reduce=True)  # ours by its id, and in no journal
        code, text = said(one)
        assert (code, "journal and venue differ" in text) == (1, True), text
