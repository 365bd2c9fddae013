"""The seat of a source of candles: what opens one, by the kind that settings choose it by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trading_assets.core.errors import SourceError
from trading_assets.settings.sections.kinds import Occupants
from trading_assets.settings.sections.sources import (
    SOURCES,
    CcxtSource,
    FilesSource,
    PolygonSource,
    SampleSource,
    SourceSettings,
)
from trading_assets.sources.contract import CandleSource


class Opens[S: SourceSettings](ABC):
    """What opens a source; it may be the source's own class."""

    section: type[S]
    """Of its parameters; the default of ``kind`` is its name."""

    @classmethod
    @abstractmethod
    def open(cls, settings: S, *, name: str, market: str, since: datetime) -> CandleSource:
        """Open it for a market; nothing is asked of a network yet.

        Parameters
        ----------
        settings
            Its section of the settings.
        name
            What the settings call it.
        market
            What shall be fetched.
        since
            The first instant of the history.

        Raises
        ------
        SourceError
            If it is known not to have the market.
        """


_SOURCES = Occupants[SourceSettings, type[Opens[Any]]](SOURCES)


def register[O: Opens[Any]](opens: type[O]) -> type[O]:
    """Add a source; a decorator of what opens it, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another source has that kind.
    """
    _SOURCES.add(opens.section, opens, by=opens)
    return opens


def opens(settings: SourceSettings) -> type[Opens[Any]]:
    """What opens the source of a section.

    Raises
    ------
    ModelError
        If none of its kind is registered.
    """
    return _SOURCES.of(settings)


def registered() -> Mapping[str, type[Opens[Any]]]:
    """What opens sources, by kind: those of the project and of the plug-ins in force."""
    return _SOURCES.known()


@register
class _Sample(Opens[SampleSource]):
    section = SampleSource

    @classmethod
    def open(cls, settings: SampleSource, *, name: str, market: str, since: datetime) -> CandleSource:
        from trading_assets.sources.candles import sample

        if market not in sample.MARKETS:
            raise SourceError(
                "the synthetic sample does not know this market",
                where=market,
                remedy=f"it has {', '.join(sample.MARKETS)}",
            )
        return sample.SampleCandles(since, settings.days, settings.seed)


@register
class _Files(Opens[FilesSource]):
    section = FilesSource

    @classmethod
    def open(cls, settings: FilesSource, *, name: str, market: str, since: datetime) -> CandleSource:
        from trading_assets.sources.candles.files import FileCandles

        files = FileCandles.from_settings(name, settings)
        files.check(market)
        return files


@register
class _Polygon(Opens[PolygonSource]):
    section = PolygonSource

    @classmethod
    def open(cls, settings: PolygonSource, *, name: str, market: str, since: datetime) -> CandleSource:
        from trading_assets.sources.candles.polygon import PolygonCandles

        return PolygonCandles.from_settings(settings)


@register
class _Ccxt(Opens[CcxtSource]):
    section = CcxtSource

    @classmethod
    def open(cls, settings: CcxtSource, *, name: str, market: str, since: datetime) -> CandleSource:
        from trading_assets.sources.candles.exchange import ExchangeCandles

        return ExchangeCandles.from_settings(settings)
