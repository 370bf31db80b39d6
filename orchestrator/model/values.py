"""What every value that people write is made of, and where it was written."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Where(Frozen):
    """Where something was written: file, line and column, 1-based; ``length`` in characters, within that line."""

    file: str = ""
    line: int = 0
    column: int = 0
    length: int = 0
