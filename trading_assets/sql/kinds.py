"""The kinds of tests: their arguments as in dbt, and the SELECT of the rows that break them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.store.statements import listed, quoted

Columns = Annotated[list[str], Field(min_length=1)]


class Kind(BaseModel):
    """What all kinds take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Columns
    severity: Literal["error", "warn"] = "error"
    where: str | None = None
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9_]+$")

    def check_name(self, kind: str) -> str:
        """The name that was given, or kind and columns."""
        return self.name or re.sub(r"\W", "_", "_".join([kind, *self.columns]))

    def needs(self, model: str) -> Iterator[tuple[str, list[str]]]:
        """The tables and their columns that must exist."""
        yield model, self.columns

    def conditions(self) -> Iterator[str]:
        """The conditions that stand in the file as SQL."""
        if self.where is not None:
            yield self.where

    def text(self) -> str:
        """What it asks for, in words."""
        which = f", where {self.where}" if self.where else ""
        return f"{', '.join(self.columns)}: {self._asks()}{which}."

    def sql(self, rows: str) -> str:
        """A SELECT of the rows of a relation that break it."""
        return self._failing(rows if self.where is None else f"(SELECT * FROM {rows} WHERE {self.where}) AS {rows}")

    def _asks(self) -> str:
        raise NotImplementedError

    def _failing(self, rows: str) -> str:
        raise NotImplementedError


class NotNull(Kind):
    """The columns have a value."""

    def _asks(self) -> str:
        return "never null"

    def _failing(self, rows: str) -> str:
        return f"SELECT * FROM {rows} WHERE {' OR '.join(f'{quoted(name)} IS NULL' for name in self.columns)}"


class Unique(Kind):
    """No two rows have the same values; nulls differ from each other."""

    def _asks(self) -> str:
        return "unique"

    def _failing(self, rows: str) -> str:
        names = listed(self.columns)
        known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in self.columns)
        return f"SELECT {names}, count(*) AS times FROM {rows} WHERE {known} GROUP BY {names} HAVING count(*) > 1"


class AcceptedRange(Kind):
    """Numbers lie between two bounds; nulls are let through."""

    min_value: float | None = None
    max_value: float | None = None
    inclusive: bool = True

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min_value is None and self.max_value is None:
            raise ValueError("give min_value, max_value or both")
        return self

    def _asks(self) -> str:
        less, more = ("at least", "at most") if self.inclusive else ("above", "below")
        bounds = ((less, self.min_value), (more, self.max_value))
        return " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)

    def _failing(self, rows: str) -> str:
        less, more = ("<", ">") if self.inclusive else ("<=", ">=")
        broken = [
            f"{quoted(name)} {operator} {value!r}"
            for name in self.columns
            for operator, value in ((less, self.min_value), (more, self.max_value))
            if value is not None
        ]
        return f"SELECT * FROM {rows} WHERE {' OR '.join(broken)}"


class AcceptedValues(Kind):
    """Texts are among the given ones; nulls are let through."""

    values: Annotated[list[str], Field(min_length=1)]

    def _asks(self) -> str:
        return f"one of {', '.join(self.values)}"

    def _failing(self, rows: str) -> str:
        known = ", ".join("'" + value.replace("'", "''") + "'" for value in self.values)
        return f"SELECT * FROM {rows} WHERE {' OR '.join(f'{quoted(name)} NOT IN ({known})' for name in self.columns)}"


class Relationships(Kind):
    """Each row has one in another table; rows with a null are let through."""

    to: str
    fields: Columns | None = None

    def needs(self, model: str) -> Iterator[tuple[str, list[str]]]:
        """The other table too."""
        yield from super().needs(model)
        yield self.to, self._fields

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if len(self._fields) != len(self.columns):
            raise ValueError("give as many fields as columns")
        return self

    @property
    def _fields(self) -> list[str]:
        return self.fields or self.columns

    def _asks(self) -> str:
        return f"stands in {self.to} ({', '.join(self._fields)})"

    def _failing(self, rows: str) -> str:
        mine = rows.rpartition(" ")[2]
        pairs = list(zip(self._fields, self.columns, strict=True))
        same = " AND ".join(f"other.{quoted(theirs)} = {mine}.{quoted(own)}" for theirs, own in pairs)
        known = " AND ".join(f"{mine}.{quoted(own)} IS NOT NULL" for _, own in pairs)
        other = f"SELECT 1 FROM {quoted(self.to)} AS other WHERE {same}"
        return f"SELECT * FROM {rows} WHERE {known} AND NOT EXISTS ({other})"


class Expression(Kind):
    """A condition in SQL holds in every row; where it is null, the row is let through."""

    columns: list[str] = []
    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    expression: str

    def conditions(self) -> Iterator[str]:
        """The expression too."""
        yield from super().conditions()
        yield self.expression

    def text(self) -> str:
        """The expression itself."""
        return f"{self.expression}{f', where {self.where}' if self.where else ''}."

    def _failing(self, rows: str) -> str:
        return f"SELECT * FROM {rows} WHERE NOT ({self.expression})"


KINDS: Final[dict[str, type[Kind]]] = {
    "unique": Unique,
    "not_null": NotNull,
    "accepted_range": AcceptedRange,
    "accepted_values": AcceptedValues,
    "relationships": Relationships,
    "expression_is_true": Expression,
}
