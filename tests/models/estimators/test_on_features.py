"""What estimators promise holds on real features too, of which a timeframe has hundreds."""

from __future__ import annotations

import pytest

from tests.proof_tables import LEARNT, TIMEFRAMES, OnFeatures
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.estimators import installed


@pytest.mark.parametrize("kind", sorted(installed()))
@pytest.mark.parametrize("timeframe", TIMEFRAMES[::3], ids=str)
def test_what_is_learnt_from_features_is_refitted_saved_and_asked_row_by_row(kind: str, timeframe: Timeframe) -> None:
    estimator = installed()[kind]
    case = OnFeatures(estimator, estimator.parameters(), timeframe)
    assert len(case.names) > 200
    assert [proof.__name__ for proof in LEARNT if proof(case)] == []
