"""What is approved is what was judged; no Dagster here."""

from __future__ import annotations

import pytest

from trading_assets.backtest.approval import check_same_data
from trading_assets.core.errors import ModelError

SAME = {"dataset_hash": "a" * 64, "version": 3}


def test_a_candidate_that_learnt_and_was_traded_as_it_was_judged_passes() -> None:
    check_same_data("m", walked=SAME, trained=SAME, traded=SAME)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("walked", "backtest and candidate rest on different data sets (bbbbbbbbbbbb and aaaaaaaaaaaa)"),
        ("traded", "the newest backtest was made for version 2, the candidate is version 3"),
    ],
)
def test_another_data_set_or_version_is_refused(other: str, said: str) -> None:
    facts = dict.fromkeys(("walked", "trained", "traded"), SAME)
    facts[other] = {"dataset_hash": "b" * 64, "version": 2}
    with pytest.raises(ModelError) as refused:
        check_same_data("m", **facts)
    assert said in str(refused.value)
    assert "run the whole job retrain" in str(refused.value)
