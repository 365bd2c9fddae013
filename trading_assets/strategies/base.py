"""The seat of a rule: what says when, where nothing is trained.

What decides is a trained model or a rule, and a bundle of either is asked by one function
(:func:`trading_assets.strategies.decisions.decide`). Both are pure: from the bars of one market up to one bar they say
how probable it is that a long or a short trade entered then reaches its target first. They have no clock, no I/O and no
state, and an answer depends on the newest bars alone that they look back on, so that a whole history at once, a day
alone and the node's tail give the same answers; proofs hold every rule to that. Everything else is the same for both:
when they are asked, the rule of entry, limits, orders, journal and recovery (:mod:`trading_assets.strategies.host`).
"""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

import polars as pl

from trading_assets.core.plugins import version_of
from trading_assets.core.sides import Side
from trading_assets.core.syntax import meaning
from trading_assets.features import framework
from trading_assets.settings import RuleSettings
from trading_assets.settings.sections.rules import RULES

_FRAMEWORK: Final = Path(framework.__file__).parent
_OWN: Final = ("trading_assets.features.indicators.", "trading_assets.strategies.rules.")

ANSWERS = {side.word: side for side in Side}
"""Column of a strategy's answers -> the side that it speaks of."""


class Rule[P: RuleSettings](ABC):
    """Says when, and nothing of how likely: see :class:`trading_assets.strategies.rule_strategy.RuleStrategy`.

    Parameters
    ----------
    settings
        Its section of the settings.
    """

    section: type[P]
    """Of its parameters; the default of ``kind`` is its name."""

    inputs: ClassVar[tuple[str, ...]]
    """The columns of a bar that it reads: of ``open``, ``high``, ``low``, ``close``, ``volume``."""

    source: ClassVar[str]
    """Where it comes from: a paper, a book, or in one's own words."""

    symmetric: ClassVar[bool] = True
    """Whether it wants the other side where prices are reflected; one that means long and short differently says no."""

    def __init__(self, settings: P) -> None:
        self.settings = settings

    @classmethod
    def kind(cls) -> str:
        """The name by which settings choose it."""
        return str(cls.section.model_fields["kind"].default)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Name -> value, without the kind."""
        return self.settings.model_dump(mode="json", exclude={"kind"})

    @property
    @abstractmethod
    def lookback_bars(self) -> int:
        """How many bars an answer depends on, the newest one included."""

    @abstractmethod
    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """On each bar, which trade is wanted: 1 long, -1 short, 0 none (Int8).

        Parameters
        ----------
        bars
            Of one market, ascending, without gaps: ``market``, ``ts``, and ``inputs``.

        Returns
        -------
        pl.Series
            A value per bar, which depends on the newest ``lookback_bars`` bars up to it and on no later one; 0 on the
            first ``lookback_bars - 1`` bars.
        """

    @classmethod
    def version(cls) -> str:
        """The hash of the file that it is written in: other code is another rule."""
        return version_of(cls, RULES.owner_of(cls.section))

    @classmethod
    def fingerprint(cls) -> str:
        """sha256 over its own code, that of the windows that it may be made of, and of the indicators that it is.

        A bundle is of one code: other code is another rule, whatever its parameters.
        """
        digest = hashlib.sha256(cls.version().encode())
        for path in sorted({*_FRAMEWORK.rglob("*.py"), *_indicators(cls)}):
            digest.update(meaning(path.read_text("utf-8")).encode())
        return digest.hexdigest()


def _indicators(rule: type[Rule[Any]]) -> set[Path]:
    """The files of the project that a rule takes indicators from, those that they take from, and so on."""
    found, pending = dict[str, Path](), [rule.sides.__globals__]
    while pending:
        taken = pending.pop().values()
        names = {one.__name__ if isinstance(one, ModuleType) else getattr(one, "__module__", "") for one in taken}
        own = {one for one in names if str(one).startswith(_OWN) and not one.endswith(".registry")}
        for name in own - {*found}:
            found[name] = Path(str(sys.modules[name].__file__))
            pending.append(vars(sys.modules[name]))
    return {*found.values()}
