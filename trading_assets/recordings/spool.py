"""The recorder's spool: append-only segments that outlive a killed process.

A segment is a file of records, each with its length and checksum. The one that is written ends in ``.part``; it is
synced after every write and renamed when it is full, so that a file ending in ``.segment`` never changes again. After a
kill, what a ``.part`` file holds is whole up to its last sync: a torn record at its end is recognised and left out.
"""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO, Final

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.core.locks import lock_now
from trading_assets.settings import Settings
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES, RECORDING_GAPS, STREAMED_CANDLES, Table

KINDS: Final[tuple[Table, ...]] = (BOOK_SNAPSHOTS, PUBLIC_TRADES, RECORDING_GAPS, STREAMED_CANDLES)
"""The tables that recordings end in; a record says which by its position here. Add at the end only."""

CANDLES_FOLDER: Final = "-candles"
"""How the name of a folder ends in which nothing but streamed candles waits."""

SEALED: Final = ".segment"
OPEN: Final = ".part"
RECORDER_LOCK: Final = "recorder.lock"

_HEADER: Final = struct.Struct("<4sBQI")
_MAGIC: Final = b"TREC"
_LOCK_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment holds.

    Attributes
    ----------
    frames
        Table's name -> rows, in the order of writing; only tables that have some.
    torn_bytes
        Bytes at the end that are no whole record: what was being written when the process or the machine died.
    """

    frames: dict[str, pl.DataFrame]
    torn_bytes: int


@dataclass(slots=True)
class Spool:
    """The writer; one per folder.

    Parameters
    ----------
    folder
        Where the segments are; made where it does not exist.
    segment_s
        Age at which a segment is sealed, so that it can be loaded.

    Raises
    ------
    NodeError
        If another recorder writes there, or the disk refuses.
    """

    folder: Path
    segment_s: float = 60.0
    _lock: IO[str] = field(init=False)
    _part: FileIO | None = field(init=False, default=None)
    _path: Path = field(init=False, default=Path())
    _opened: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self.folder / RECORDER_LOCK, wait_s=_LOCK_WAIT_S)
            if lock is None:
                raise NodeError(
                    "a recorder writes here already",
                    where=str(self.folder),
                    remedy="stop it with Ctrl-C, or let it record these markets too",
                )
            self._lock = lock
            seal_leftovers(self.folder)

    def write(self, frames: Mapping[str, pl.DataFrame]) -> int:
        """Append rows; they are on disk when this returns. Seals the segment when it is old enough.

        Parameters
        ----------
        frames
            Table's name -> rows with exactly the table's columns; empty frames write nothing.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        NodeError
            If the disk refuses; the rows can be written again.
        """
        records = [_record(number, frames[table.name]) for number, table in enumerate(KINDS) if table.name in frames]
        content = b"".join(records)
        with _explained(self.folder):
            if content:
                self._append(content)
            if self._part is not None and time.monotonic() - self._opened >= self.segment_s:
                self.seal()
        return len(content)

    def seal(self) -> None:
        """Close the segment that is written, if there is one: it can be loaded from now on."""
        if self._part is not None:
            self._part.close()
            self._part = None
            _seal(self._path)

    def close(self) -> None:
        """Seal, and let another recorder write here."""
        with _explained(self.folder):
            self.seal()
        self._lock.close()

    def _begin(self) -> FileIO:
        self._path = self.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}{OPEN}"
        self._part = self._path.open("xb", buffering=0)
        self._opened = time.monotonic()
        _sync_folder(self.folder)
        return self._part

    def _append(self, content: bytes) -> None:
        """Write and sync; what the disk took only in part is cut off again: nothing behind it could be read."""
        part = self._part or self._begin()
        whole, rest = part.tell(), memoryview(content)
        try:
            while rest:
                rest = rest[part.write(rest) :]
            os.fsync(part.fileno())
        except OSError:
            with suppress(OSError):
                part.truncate(whole)
            with suppress(OSError):
                self.seal()
            raise


def spool_folder(settings: Settings) -> Path:
    """Where all recordings wait to be loaded: a folder per venue and environment."""
    return settings.data_dir / "recordings"


def read_segment(path: Path) -> Segment:
    """Read a segment, sealed or not, up to the first record that is not whole."""
    content = memoryview(path.read_bytes())
    found: dict[str, list[pl.DataFrame]] = {}
    at = 0
    while at + _HEADER.size <= len(content):
        magic, kind, length, checksum = _HEADER.unpack_from(content, at)
        payload = content[at + _HEADER.size : at + _HEADER.size + length]
        if magic != _MAGIC or kind >= len(KINDS) or len(payload) < length or zlib.crc32(payload) != checksum:
            break
        found.setdefault(KINDS[kind].name, []).append(pl.read_ipc_stream(io.BytesIO(payload)))
        at += _HEADER.size + length
    return Segment({name: pl.concat(frames) for name, frames in found.items()}, len(content) - at)


def pending(root: Path) -> list[Path]:
    """What waits to be loaded: sealed segments, and what a recorder that was killed left behind; oldest first."""
    found = [path for folder in folders(root) for path in folder.glob(f"*{SEALED}")]
    for folder in folders(root):
        left = list(folder.glob(f"*{OPEN}"))
        if left and (lock := take_lock(folder / RECORDER_LOCK)) is not None:
            lock.close()
            found += left
    return sorted(found, key=lambda path: path.name)


def folders(root: Path) -> list[Path]:
    """The folders of venues and environments below the spool's folder."""
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def seal_leftovers(folder: Path) -> None:
    """Seal what a killed recorder left behind; only for who holds the folder's recorder lock."""
    for part in folder.glob(f"*{OPEN}"):
        _seal(part)


def take_lock(path: Path, *, wait_s: float = 0.0) -> IO[str] | None:
    """Lock a file, which the system frees when the process ends; None where another holds it for longer."""
    deadline = time.monotonic() + wait_s
    handle = path.open("a")
    while not lock_now(handle):
        if time.monotonic() >= deadline:
            handle.close()
            return None
        time.sleep(0.02)
    return handle


def _record(kind: int, frame: pl.DataFrame) -> bytes:
    if frame.is_empty():
        return b""
    buffer = io.BytesIO()
    frame.select(list(KINDS[kind].columns)).write_ipc_stream(buffer, compression="zstd")
    payload = buffer.getbuffer()
    return _HEADER.pack(_MAGIC, kind, len(payload), zlib.crc32(payload)) + payload


def _seal(part: Path) -> None:
    part.rename(part.with_suffix(SEALED))
    _sync_folder(part.parent)


def _sync_folder(path: Path) -> None:
    """Make the names in a folder outlive a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NodeError(
            f"the recording cannot be written: {error.strerror or error}",
            where=str(folder),
            remedy="check the disk and its rights; what was written before is kept",
        ) from error
