"""What TimescaleDB adds to PostgreSQL's tables: weekly chunks, compression, an aggregate that stays up to date."""

from __future__ import annotations

from trading_assets.store.postgres_session import Session
from trading_assets.store.tables import Table


def is_present(session: Session) -> bool:
    """Whether the database has the extension."""
    return len(session.fetch("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) > 0


def convert(session: Session, table: Table) -> None:
    """Make the table a hypertable where it is long enough for that."""
