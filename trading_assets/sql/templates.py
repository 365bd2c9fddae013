"""Files that stand for one model of each timeframe: ``bars_{timeframe}.sql``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from trading_assets.core.timeframes import TIMEFRAMES, Timeframe

PLACE: Final = "{timeframe}"
"""What a template's name has in place of a timeframe; in its text, ``{minutes}`` is the timeframe's length."""

_BY_NAME: Final = {timeframe.name: timeframe for timeframe in TIMEFRAMES}


def is_template(name: str) -> bool:
    """Whether a file or model of this name stands for several."""
    return PLACE in name


def filled(text: str, timeframe: Timeframe) -> str:
    """The name or text of a template for one timeframe; lines stay where they are."""
    return text.replace(PLACE, timeframe.name).replace("{minutes}", str(timeframe.minutes))


def named_in(text: str, template: str) -> set[Timeframe]:
    """The timeframes whose model of a template a text names."""
    before, after = map(re.escape, template.split(PLACE, 1))
    found = re.findall(rf"\b{before}(\d+[mhd]){after}\b", text, re.IGNORECASE)
    return {_BY_NAME[name.lower()] for name in found if name.lower() in _BY_NAME}


def template_of(name: str, templates: Iterable[str]) -> tuple[str, Timeframe] | None:
    """The template that a model's name is of, and its timeframe."""
    for template in templates:
        for timeframe in named_in(name, template):
            if filled(template, timeframe) == name:
                return template, timeframe
    return None
