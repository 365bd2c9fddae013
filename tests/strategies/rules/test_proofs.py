"""Rules that lie are told from those that do not."""

from __future__ import annotations

import re

import polars as pl
import pytest

from tests.strategies.rules.toys import Ahead, AheadSettings, Drift, DriftSettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules.proofs import PROOFS, prove


class Whole(Drift):
    """Compares with the mean of all bars that it is shown."""

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 above it, -1 below."""
        high = pl.col("close") > pl.col("close").mean()
        row = pl.int_range(pl.len())
        said = pl.when(row < self.settings.bars).then(0).otherwise(pl.when(high).then(1).otherwise(-1))
        return bars.select(side=said.cast(pl.Int8))["side"]


class Eager(Drift):
    """Speaks before its look-back is there."""

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 throughout."""
        return pl.Series("side", [1] * bars.height, dtype=pl.Int8)


class Undeclared(Drift):
    """Reads volume and does not say so."""

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """As told."""
        return bars.select(side=(pl.col("volume") > 0).cast(pl.Int8))["side"]


class LongOnly(Drift):
    """Wants long trades alone."""

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 or 0."""
        return super().sides(bars).clip(0, 1)


class Avowed(LongOnly):
    """The same, and says so."""

    symmetric = False


class Mute(Drift):
    """Says nothing."""

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """0."""
        return pl.Series("side", [0] * bars.height, dtype=pl.Int8)


DEFAULTS = DriftSettings()


@pytest.mark.parametrize(
    ("rule", "refuted"),
    [
        (Drift(DEFAULTS), set()),
        (Avowed(DEFAULTS), set()),
        (Ahead(AheadSettings()), {"look_ahead", "look_back", "partition"}),
        (Whole(DEFAULTS), {"look_ahead", "look_back", "partition"}),
        (Eager(DEFAULTS), {"answers", "mirror"}),
        (Undeclared(DEFAULTS), {"inputs"}),
        (LongOnly(DEFAULTS), {"mirror"}),
        (Mute(DEFAULTS), {"answers"}),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Rule) else "",
)
def test_each_lie_is_found_and_nothing_else(rule: Drift, refuted: set[str]) -> None:
    found = prove(rule)
    assert set(found) == refuted, found
    assert set(found) <= set(PROOFS)


def test_a_look_ahead_is_told_with_its_bar_and_both_answers() -> None:
    said = prove(Ahead(AheadSettings()))["look_ahead"]
    assert re.fullmatch(r"at 20\d\d-\d\d-\d\d \d\d:\d\d it says -?\d .*-?\d.*", said)
