"""Locks between processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.core.locks import lock_now


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False)])
def test_a_lock_that_another_holds_is_not_waited_for(tmp_path: Path, first: bool, second: bool) -> None:
    file = tmp_path / "lock"
    with file.open("a") as one, file.open("r") as two:
        assert lock_now(one, shared=first)
        assert not lock_now(two, shared=second)
        one.close()
        assert lock_now(two.fileno(), shared=second), "free as soon as its holder closed it"


def test_those_who_share_a_lock_hold_it_together(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with file.open("a") as one, file.open("r") as two:
        assert lock_now(one, shared=True)
        assert lock_now(two, shared=True)
