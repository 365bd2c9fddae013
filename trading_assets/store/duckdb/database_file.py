"""Opening a DuckDB file: created whole or not at all, waited for while another holds it, and errors in plain words."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Final

import duckdb

from trading_assets.core.errors import StoreError
from trading_assets.core.locks import lock_now
from trading_assets.store.duckdb import connection as duckdb_kept
from trading_assets.store.duckdb.read_write_lock import lock_of
from trading_assets.store.duckdb.tables import create
from trading_assets.store.tables import TABLES

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.02
_HELD: Final = ("Could not set lock on file", "with a different configuration", "Unique file handle conflict")
_DAMAGED: Final = ("not a valid DuckDB", "Could not read enough bytes", "Corrupt", "checksum", "deserialize")
_INTERRUPTED: Final = "Query interrupted"
"""What DuckDB makes of a Ctrl-C that comes while a statement runs: a RuntimeError, in the interrupt's stead."""
_HOLDER: Final = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


@contextmanager
def opened(path: Path, *, write: bool, timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the file for the length of the block; its session is in UTC.

    Readers of a file that does not exist get an empty database in memory. Threads of this process queue first (DuckDB
    refuses a second connection with another configuration), then processes: by DuckDB's own lock on the file.

    Raises
    ------
    StoreError
        If others hold the file for longer than ``timeout_s``, it is not a (sound) DuckDB file, or a statement fails.
    KeyboardInterrupt
        If Ctrl-C comes while a statement runs.
    """
    deadline = time.monotonic() + timeout_s
    lock = lock_of(str(path.absolute()))
    with lock.write(timeout_s) if write else lock.read(timeout_s) as entered:
        if not entered:
            raise _busy(path, timeout_s, "other threads of this process")
        try:
            if write and not path.exists():
                _create(path)
            with _session(path, write=write, deadline=deadline, timeout_s=timeout_s) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            raise _explained(path, error) from error
        except RuntimeError as error:
            if str(error) == _INTERRUPTED:
                raise KeyboardInterrupt from error
            raise
        except OSError as error:
            raise StoreError(
                f"cannot be written: {error.strerror or error}", where=str(path), remedy="check the disk and its rights"
            ) from error


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Within the block this process opens the file once for many calls, and steps aside where another one waits."""
    with duckdb_kept.kept_open(path, lambda: _somebody_waits(path)):
        yield


@contextmanager
def _session(path: Path, *, write: bool, deadline: float, timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    file = duckdb_kept.kept(path)
    if file is None or not path.exists():
        connection = _connect(path, write=write, deadline=deadline, timeout_s=timeout_s)
        try:
            yield connection
        finally:
            duckdb_kept.close(connection)
    else:  # a block that keeps the file open will write sooner or later
        connect = partial(_connect, path, write=True, deadline=deadline, timeout_s=timeout_s)
        with file.session(connect) as connection:
            yield connection


def _somebody_waits(path: Path) -> bool:
    try:
        queue = os.open(_queue(path), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        return not lock_now(queue)
    finally:
        os.close(queue)


def _queue(path: Path) -> Path:
    """Locked by the one process that is next."""
    return path.with_name(f".{path.name}.queue")


def _connect(path: Path, *, write: bool, deadline: float, timeout_s: float) -> duckdb.DuckDBPyConnection:
    if not write and not path.exists():
        return duckdb.connect(":memory:")
    with _turn(path, deadline):
        for pause in _pauses(deadline):
            try:
                return duckdb_kept.connect(path, write=write)
            except duckdb.Error as error:
                if not any(sign in str(error) for sign in _HELD):
                    raise
                holder = _holder(str(error))
            time.sleep(pause)
    raise _busy(path, timeout_s, holder)


@contextmanager
def _turn(path: Path, deadline: float) -> Iterator[None]:
    """Wait until no other process waits for the file: else readers that overlap would keep writers out for ever."""
    try:
        queue = os.open(_queue(path), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # a folder that cannot be written: nobody waits to write there
        yield
        return
    try:
        for pause in _pauses(deadline):
            if lock_now(queue):
                break
            time.sleep(pause)
        yield
    finally:
        os.close(queue)


def _pauses(deadline: float) -> Iterator[float]:
    """Growing, jittered pauses until the deadline, and one last try after it."""
    pause = _FIRST_PAUSE_S
    while (left := deadline - time.monotonic()) > 0:
        yield min(pause * random.uniform(0.5, 1.0), left)
        pause = min(pause * 1.3, _LONGEST_PAUSE_S)
    yield 0.0


def _create(path: Path) -> None:
    """Make the file with its tables beside its place, then link it there: nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    newborn = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with closing(duckdb.connect(str(newborn))) as connection:
            connection.begin()
            for table in TABLES.values():
                if not table.on_demand:
                    create(connection, table)
            connection.commit()
        os.link(newborn, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        newborn.unlink(missing_ok=True)


def _holder(message: str) -> str:
    holder = _HOLDER.search(message)
    return f"process {holder['pid']} ({holder['program']})" if holder else "another connection of this process"


def _busy(path: Path, timeout_s: float, holder: str) -> StoreError:
    return StoreError(
        f"held by {holder} for longer than {timeout_s:g} s",
        where=str(path),
        remedy="close that program, or raise store.lock_timeout_s",
    )


def _explained(path: Path, error: duckdb.Error) -> StoreError:
    message = _message(str(error))
    if isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.SerializationException) or any(
        sign.lower() in message.lower() for sign in _DAMAGED
    ):
        return StoreError(
            f"not a sound DuckDB file ({message})",
            where=str(path),
            remedy="restore a copy, or move the file away and materialize again",
        )
    if isinstance(error, duckdb.IOException):
        return StoreError(message, where=str(path), remedy="check the disk and its rights")
    return StoreError(f"the store refused a statement: {message}", where=str(path))


def _message(text: str) -> str:
    """What the engine says with its hints (``Did you mean``), without the statement that it points into."""
    told = takewhile(lambda line: not line.startswith("LINE "), text.strip().splitlines())
    return "; ".join(line.strip() for line in told if line.strip())
