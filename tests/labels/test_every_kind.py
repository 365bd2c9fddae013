"""What every kind of label promises: on every bar, and on those that a clock of activity picks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import polars as pl
import pytest

from tests.seats import registered_here
from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.core.sides import Side
from trading_assets.labels import Known, Label, decides, decides_by, label, label_of, paid, register, registered
from trading_assets.labels.kinds import registry
from trading_assets.labels.kinds.proofs import market, prove
from trading_assets.settings import ForwardReturnSettings, LabelSettings, read_labels
from trading_assets.strategies.rules import rule_of

BOTH: Final = (Side.LONG, Side.SHORT)
RULE: Final = {"kind": "ema_cross_rsi", "fast": 2, "slow": 5, "rsi": 3, "overbought": 95, "oversold": 5}
OWN: Final[dict[str, dict[str, Any]]] = {"meta": {"rule": RULE}}
BARRIERS: Final = {"barriers": "atr", "scale_bars": 10, "take_profit_multiple": 3, "stop_loss_multiple": 2}


def chosen(kind: str, **extra: Any) -> LabelSettings:
    return read_labels({"kind": kind, "timeframe": "1h", "horizon_bars": 8, **BARRIERS, **OWN.get(kind, {}), **extra})


@pytest.mark.parametrize("by", [None, "notional", "moves"])
@pytest.mark.parametrize("kind", list(registered()))
def test_it_keeps_what_a_label_promises(kind: str, by: str | None) -> None:
    settings = chosen(kind, **({"sampling": {"by": by, "per_day": 8, "days": 2}} if by else {}))
    assert prove(label_of(settings)) == {}
    everywhere = kind != "meta" and by is None
    assert (decides_by(settings) == "") == everywhere, "a bundle says which code decides where it is asked"
    assert (decides(market(200, settings.timeframe.length), settings) is None) == everywhere


def test_a_meta_label_says_whether_the_trade_that_the_rule_wants_reaches_its_target_first() -> None:
    meta, plain = chosen("meta"), chosen("triple_barrier")
    bars = market(700, meta.timeframe.length)

    def labelled(settings: LabelSettings, *sides: Side, turn: int = 0) -> pl.DataFrame:
        until, asked = bars["known_at"][-1], sides or BOTH
        given = {"label_set": "s", "settings": settings, "sides": asked, "candle_timeframe": "1h", "until": until}
        return label(bars, bars, **given, turn=turn)

    bets = bars.select("ts", rule_of(meta.rule).sides(bars).alias("side")).filter(pl.col("side") != 0)  # type: ignore[attr-defined]
    expected = labelled(plain).join(bets, on=["ts", "side"], how="semi", maintain_order="left")
    assert labelled(meta).equals(expected)
    assert labelled(meta, Side.SHORT).equals(expected.filter(side=-1)), "a rule's other bets are not asked for"
    assert 10 < expected.height < bars.height / 2
    assert set(expected["label"]) == {1, 0, -1}

    turned = pl.concat([bets_of := rule_of(meta.rule).sides(bars), bets_of]).slice(700 - 300, 700)  # type: ignore[attr-defined]
    elsewhere = bars.select("ts", turned.alias("side")).filter(pl.col("side") != 0)
    moved = labelled(plain).join(elsewhere, on=["ts", "side"], how="semi", maintain_order="left")
    assert labelled(meta, turn=300).equals(moved), "what a trade on a bar earns stays; where there are bets is moved"
    assert labelled(plain, turn=300).equals(labelled(plain))


class OddSettings(LabelSettings):
    """Of labels that only these tests have."""

    kind: Literal["odd"] = "odd"  # type: ignore[assignment]


class Honest(Label[OddSettings]):
    """The close after next pays."""

    section = OddSettings

    def rows(self, known: Known, sides: Sequence[Side]) -> pl.DataFrame:
        """Read row by row."""
        return paid(self.found(known.bars).drop_nulls(), known, self.settings, sides)

    def found(self, bars: pl.DataFrame) -> pl.DataFrame:
        """With the whole horizon."""
        count = self.settings.horizon_bars
        return bars.select(
            *("market", "ts", "known_at"),
            label_end=pl.col("known_at").shift(-count),
            bars=pl.lit(count),
            **{"return": pl.col("close").shift(-count) / pl.col("close") - 1},
        )


class Early(Honest):
    """Has rows before their horizon has ended."""

    def found(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Of the next bar."""
        return bars.select(
            *("market", "ts", "known_at"),
            label_end=pl.col("known_at").shift(-1),
            bars=pl.lit(1),
            **{"return": pl.col("close").shift(-1) / pl.col("close") - 1},
        )


class Late(Honest):
    """Reads beyond its horizon."""

    def found(self, bars: pl.DataFrame) -> pl.DataFrame:
        """One bar more."""
        further = bars["close"].shift(-self.settings.horizon_bars - 1).fill_null(strategy="forward")
        return super().found(bars).with_columns((further / bars["close"] - 1).alias("return"))


class Relative(Honest):
    """Compares with the mean of all that it was given."""

    def found(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Of the returns."""
        return super().found(bars).with_columns(pl.col("return") - pl.col("return").mean())


class Whimsical(Honest):
    """Decides where the close is above the mean of all that it was given."""

    def decides(self, bars: pl.DataFrame) -> pl.Series:
        """Long or not at all."""
        return (bars["close"] > bars["close"].mean()).cast(pl.Int8)


@pytest.fixture
def own_seats() -> Iterator[None]:
    with registered_here(registry._LABELS):
        yield


@pytest.mark.usefixtures("own_seats")
@pytest.mark.parametrize(
    ("wrong", "promise"),
    [(Honest, set()), (Early, {"later"}), (Late, {"later"}), (Relative, {"later", "before"}), (Whimsical, {"decides"})],
)
def test_a_label_that_breaks_a_promise_is_found_out(wrong: type[Honest], promise: set[str]) -> None:
    register(wrong)
    found = prove(wrong(OddSettings(timeframe="1h", horizon_bars=6)))  # type: ignore[arg-type]
    assert found.keys() >= promise
    assert bool(found) == bool(promise), found


def test_a_kind_is_there_once() -> None:
    class Other(Honest):
        section = ForwardReturnSettings

    with pytest.raises(SettingsError, match=r"the label 'forward_return' is there already, in trading_assets\.labels"):
        register(Other)
    with pytest.raises(ModelError, match="no label 'odd' is registered; known: forward_return, meta"):
        label_of(OddSettings())
    with pytest.raises(ValueError, match="no label 'tripel_barrier'; did you mean 'triple_barrier'"):
        read_labels({"kind": "tripel_barrier"})
    with pytest.raises(ValueError, match="a section of the kind 'meta' has a class of its own"):
        LabelSettings(kind="meta")
