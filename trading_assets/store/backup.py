"""A backup: a folder of Parquet files and a manifest that says what each must contain."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import StoreError
from trading_assets.store.contract import Store
from trading_assets.store.migration import LAYOUT
from trading_assets.store.tables import TABLES, Table
from trading_assets.store.transfer import Portion, StoreAsPlace, canonical

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_OTHER: Final = "use another backup"


def back_up(
    store: Store, folder: Path, tables: Iterable[Table], follow: Callable[[Portion], None] | None = None
) -> int:
    """Write the tables to a new folder; it appears under its name when it is complete. Returns the number of rows.

    Each portion is what the store held at one moment; what runs meanwhile may change the next one.

    Raises
    ------
    StoreError
        If the folder exists, or cannot be written.
    """
    if folder.exists():
        raise StoreError("there is something already", where=str(folder), remedy="name a folder that does not exist")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    entries: list[dict[str, Any]] = []
    place = StoreAsPlace(store)
    try:
        with store.kept_open():
            for table in tables:
                (partial / table.name).mkdir(parents=True)
                for number, portion in enumerate(place.portions(table), 1):
                    frame = place.load(portion)
                    file = f"{table.name}/{number:05}.parquet"
                    frame.write_parquet(partial / file)
                    entries.append(_entry(portion, file, frame))
                    if follow is not None:
                        follow(portion)
        manifest = {"format": _FORMAT, "layout": LAYOUT, "made": datetime.now(UTC).isoformat(), "files": entries}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _make_durable(partial)
        partial.rename(folder)
    except OSError as error:
        raise StoreError(
            f"cannot be written: {error.strerror or error}", where=str(folder), remedy="check the disk and its rights"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sum(entry["rows"] for entry in entries)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup to take tables from; every file is checked against the manifest when it is read.

    Attributes
    ----------
    folder
        Where it is.
    files
        Portion -> file and hash, by table.
    """

    folder: Path
    files: dict[str, list[tuple[Portion, str, str]]]

    @classmethod
    def open(cls, folder: Path) -> Backup:
        """Read the manifest and see that every file is there.

        Raises
        ------
        StoreError
            If it is no backup, newer software made it, or a file is missing.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            known, files = (manifest["format"], manifest["layout"]), manifest["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"no backup: {MANIFEST} cannot be read",
                where=str(folder),
                remedy="name a folder of trading store backup",
            ) from error
        if known > (_FORMAT, LAYOUT):
            raise StoreError("newer software made this backup", where=str(folder), remedy="update this one")
        backup = cls(folder, {name: [] for name in TABLES})
        for entry in files:
            if entry["table"] in TABLES:
                backup.files[entry["table"]].append((_portion(entry), entry["file"], entry["hash"]))
            if not (folder / entry["file"]).is_file():
                raise StoreError("the file is missing", where=str(folder / entry["file"]), remedy=_OTHER)
        return backup

    def portions(self, table: Table) -> list[Portion]:
        """As they were when the backup was made."""
        return [portion for portion, *_ in self.files[table.name]]

    def load(self, portion: Portion) -> pl.DataFrame:
        """Read one file.

        Raises
        ------
        StoreError
            If its content is not what the manifest says.
        """
        file, wanted = next((file, wanted) for at, file, wanted in self.files[portion.table.name] if at is portion)
        try:
            frame = pl.read_parquet(self.folder / file)
            found = frame_hash(frame)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise StoreError("the file cannot be read", where=str(self.folder / file), remedy=_OTHER) from error
        if found != wanted:
            raise StoreError("the file is not what was backed up", where=str(self.folder / file), remedy=_OTHER)
        return canonical(portion.table, frame.with_columns(_added(portion.table, frame)))


def _added(table: Table, frame: pl.DataFrame) -> list[pl.Expr]:
    """Columns that were declared after the backup was made."""
    return [
        pl.lit(table.joined.get(column), dtype).alias(column)
        for column, dtype in table.columns.items()
        if column not in frame.columns
    ]


def _entry(portion: Portion, file: str, frame: pl.DataFrame) -> dict[str, Any]:
    return {
        "table": portion.table.name,
        "where": portion.where,
        "start": portion.start and portion.start.isoformat(),
        "end": portion.end and portion.end.isoformat(),
        "rows": len(frame),
        "file": file,
        "hash": frame_hash(frame),
    }


def _portion(entry: dict[str, Any]) -> Portion:
    start, end = (entry[name] and datetime.fromisoformat(entry[name]) for name in ("start", "end"))
    return Portion(TABLES[entry["table"]], entry["where"], start, end, entry["rows"])


def _make_durable(folder: Path) -> None:
    """Have the files on the disk before the folder gets its name: a power cut leaves no backup, or a whole one."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
