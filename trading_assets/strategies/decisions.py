"""How a bundle decides, a trained model's or a rule's: what node and certificate ask, through one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from trading_assets.features import FeatureRow
from trading_assets.labels import lookback_bars, scale_lookback, unit_lookback, widths
from trading_assets.models import Bundle, decision
from trading_assets.models.decision import Companions, Decision, Question
from trading_assets.models.record import Record
from trading_assets.settings import RuleStrategySettings
from trading_assets.strategies.base import ANSWERS
from trading_assets.strategies.rule_strategy import RuleStrategy
from trading_assets.strategies.rules import rule_of

_KEYS: Final = ("market", "ts", "known_at")


def check_rule_code(bundle: Bundle) -> None:
    """Refuse the bundle of a rule that is of other code than the running one.

    Raises
    ------
    BundleError
        If that is so.
    """
    if isinstance(bundle.spec, RuleStrategySettings):
        bundle.check_code(rule_of(bundle.spec.rule).fingerprint())


def rule_strategy(bundle: Bundle) -> RuleStrategy | None:
    """The rule of a bundle with its records; None where it is a trained model's."""
    if not isinstance(bundle.spec, RuleStrategySettings):
        return None
    records = {side: one for side, one in bundle.classifiers.items() if isinstance(one, Record)}
    return RuleStrategy(rule_of(bundle.spec.rule), records)


def bars_needed(bundle: Bundle) -> int:
    """How many bars a decision is made from."""
    strategy = rule_strategy(bundle)
    if strategy is None:
        return decision.bars_needed(bundle)
    return max(strategy.lookback_bars, lookback_bars(bundle.labels), unit_lookback(bundle.spec.exit_plan))


def decide(bundle: Bundle, held: pl.DataFrame, companions: Companions | None = None) -> Decision:
    """Answer on the last of the bars that a node holds, at least :func:`bars_needed`."""
    strategy = rule_strategy(bundle)
    return decision.decide(bundle, held, companions) if strategy is None else _by_rule(strategy, bundle, held)


def decide_together(questions: Sequence[Question]) -> list[Decision]:
    """Answer on bars of many markets that close together; to the bit what :func:`decide` says of each alone."""
    strategies = [rule_strategy(one.bundle) for one in questions]
    pairs = list(zip(questions, strategies, strict=True))
    trained = iter(decision.decide_together([one for one, strategy in pairs if strategy is None]))
    return [next(trained) if strategy is None else _by_rule(strategy, one.bundle, one.held) for one, strategy in pairs]


def _by_rule(strategy: RuleStrategy, bundle: Bundle, held: pl.DataFrame) -> Decision:
    """What a rule answers on the newest of its look-back's bars, which are all that it may depend on."""
    newest = held.tail(strategy.lookback_bars)
    wanted = strategy.wanted(newest)
    answer = strategy.answers_to(wanted).row(-1, named=True)
    target, stop = widths(held.tail(scale_lookback(bundle.labels)), bundle.labels).row(-1)
    asked = decision.sides_decided(bundle, held)
    said = {side: answer[word] for word, side in ANSWERS.items() if side in asked and answer[word] is not None}
    unit = decision.plan_units(bundle, [held])[0]
    row = FeatureRow.of_frame(newest.select(*_KEYS, wanted).tail(1))
    return Decision(row, said, target, stop, unit=unit)
