"""The script of faults that a user writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.test_fault_table import PAGE
from trading_assets.core.errors import SettingsError
from trading_live.replay.faults import KINDS, Faults


def test_the_script_in_the_docs_is_one(tmp_path: Path) -> None:
    text = re.search(r"```yaml\n(faults:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    (tmp_path / "faults.yaml").write_text(text[1])
    refusal, timeout, missing, clock, revised = Faults.read(tmp_path / "faults.yaml").script
    assert (refusal.fault, refusal.retry_after_s) == ("429", 5)
    assert [refusal.strikes(number) for number in (19, 20, 22, 23)] == [False, True, True, False]
    assert timeout.concerns("/fapi/v1/exchangeInfo")
    assert not timeout.concerns("/fapi/v1/klines")
    assert missing.times is None
    assert clock.strikes(10**6)
    assert revised.concerns("/fapi/v1/fundingRate")
    assert not revised.concerns("/fapi/v1/klines")
    assert all(kind in PAGE.read_text(encoding="utf-8") for kind in KINDS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("faults: [{fault: 430}]", "430"),
        ("faults: [{fault: html, onwards: 3}]", "onwards"),
        ("faults: [{fault: html, after: -1}]", "after"),
        ("- html", "not a script"),
        ("faults: [", "not a script"),
    ],
)
def test_what_is_no_script_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=told) as refused:
        Faults.read(file)
    assert refused.value.where == str(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        Faults.read(tmp_path / "none.yaml")
