"""A bundle of every kind is refused where anything of it is not what was written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models.bundles import KINDS, Content, made
from trading_assets.core.errors import BundleError
from trading_assets.models import Bundle, load
from trading_assets.models.bundle import INDEX


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made(request.param, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: Bundle, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(whole.folder, tmp_path / "bundle")


def names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def refused(folder: Path, why: str, whole: Bundle) -> None:
    with pytest.raises(BundleError, match=why):
        load(folder, expected_hash=whole.bundle_hash)


def test_it_is_read_as_it_was_written(whole: Bundle, copy: Path) -> None:
    assert load(copy, expected_hash=whole.bundle_hash).classifiers == whole.classifiers


def test_each_file_that_was_altered_is_refused(whole: Bundle, copy: Path) -> None:
    for name in names(copy):
        file, content = copy / name, (copy / name).read_bytes()
        middle = len(content) // 2
        for changed in (
            content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            content[:-1],
            content + b" ",
            b"",
        ):
            file.write_bytes(changed)
            if name == INDEX and _same_index(changed, content):
                continue  # white space in the index is no change of the bundle
            refused(copy, r"SHA-256 differs|cannot read|does not belong|bundle\.json|this is bundle", whole)
        file.write_bytes(content)
    load(copy, expected_hash=whole.bundle_hash)


def _same_index(changed: bytes, content: bytes) -> bool:
    try:
        one, other = (json.loads(text) for text in (changed, content))
    except ValueError:
        return False
    hashed = ("format", "bundle_hash", "sha256")
    return all(one.get(name) == other[name] for name in hashed)


def test_each_file_that_was_removed_is_refused(whole: Bundle, copy: Path) -> None:
    for name in names(copy):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        refused(copy, f"cannot read {Path(name).name}: No such file", whole)
        (copy / name).mkdir()
        refused(copy, f"cannot read {Path(name).name}: it is no file", whole)
        (copy / name).rmdir()
        os.mkfifo(copy / name)
        refused(copy, f"cannot read {Path(name).name}: it is no file", whole)  # a reader would wait for ever
        (copy / name).unlink()
        (copy / name).write_bytes(content)


def test_a_file_that_was_added_to_a_model_is_refused(whole: Bundle, copy: Path) -> None:
    for side in ("long", "short"):
        for strange in ("model.pkl", "zz.json", ".hidden"):
            (copy / side / strange).write_bytes(b"x")
            refused(copy, rf"{side}/{strange} is no file of this bundle", whole)
            (copy / side / strange).unlink()


def test_files_that_changed_sides_are_refused(whole: Bundle, copy: Path) -> None:
    swapped = 0
    for name in names(copy / "long"):
        long, short = copy / "long" / name, copy / "short" / name
        if short.exists() and long.read_bytes() != short.read_bytes():
            long.rename(copy / "kept")
            short.rename(long)
            (copy / "kept").rename(short)
            swapped += 1
    assert swapped, "the models of the two sides differ"
    refused(copy, "SHA-256 differs", whole)
    folder = copy / "forged"
    forged = {name: (copy / name).read_bytes() for name in Content.of(whole).files}
    Content.of(whole).written(folder, forged)
    refused(folder, "this is bundle|is the record of", whole)


def test_a_link_is_refused_even_where_it_leads_to_the_same_content(whole: Bundle, copy: Path, tmp_path: Path) -> None:
    for name in names(copy):
        outside = (copy / name).rename(tmp_path / "outside")
        (copy / name).symlink_to(outside)
        refused(copy, f"cannot read {Path(name).name}: it lies elsewhere, behind a link", whole)
        (copy / name).unlink()
        outside.rename(copy / name)
    for side in ("long", "short"):
        outside = (copy / side).rename(tmp_path / side)
        (copy / side).symlink_to(outside, target_is_directory=True)
        refused(copy, "it lies elsewhere, behind a link", whole)
        (copy / side).unlink()
        outside.rename(copy / side)
    (tmp_path / "linked").symlink_to(copy, target_is_directory=True)
    load(tmp_path / "linked", expected_hash=whole.bundle_hash)  # where a user keeps all bundles is the user's choice


def _index_changes(index: dict[str, Any]) -> Iterator[dict[str, Any]]:
    first, *others = sorted(index["sha256"])
    hashes = index["sha256"]
    yield index | {"sha256": {}}
    yield index | {"sha256": {name: hashes[name] for name in others}}
    yield index | {"sha256": hashes | {first: "0" * 64}}
    yield index | {"sha256": hashes | {"long/other.json": hashes[first]}}
    yield index | {"sha256": hashes | {"../outside": hashes[first]}}
    yield index | {"bundle_hash": "0" * 64}
    yield index | {"format": 1}
    yield index | {"format": "2; DROP"}
    yield index | {"strange": 1}
    yield {name: value for name, value in index.items() if name != "provenance"}


def test_an_index_that_was_altered_is_refused(whole: Bundle, copy: Path) -> None:
    index = json.loads((copy / INDEX).read_text())
    for changed in _index_changes(index):
        (copy / INDEX).write_text(json.dumps(changed))
        refused(copy, ".", whole)
    for content in (b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 1e999}'):
        (copy / INDEX).write_bytes(content)
        refused(copy, r"bundle\.json", whole)
