"""Writing that survives a kill: beside the target, forced to disk, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4


def write_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        _write(beside, content)
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder of files as a whole; where the folder is there already, it stays as it is.

    A name may be that of a file in a folder below, e.g. ``long/model.txt``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".new-{uuid4().hex}")
    beside.mkdir()
    try:
        for name, content in contents.items():
            (beside / name).parent.mkdir(exist_ok=True)
            _write(beside / name, content)
        for below in {(beside / name).parent for name in contents}:
            _sync_folder(below)
        _sync_folder(beside)
        try:
            beside.replace(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
