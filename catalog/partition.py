"""How a mirror is partitioned, as `lake add --partition` takes it: `month(c)`, `bucket(16, c)` or `c` itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import ConfigurationError
from catalog.types import ColumnType, Form

_BY_VALUE = frozenset({Form.BOOLEAN, Form.INTEGER, Form.DATE, Form.TEXT})
_BY_TIME = frozenset({Form.DATE, Form.TIMESTAMP, Form.INSTANT})
_SUITABLE = {
    "": _BY_VALUE,
    "bucket": frozenset({Form.INTEGER, Form.DATE, Form.TEXT, Form.DECIMAL, Form.TIMESTAMP, Form.INSTANT}),
    "year": _BY_TIME,
    "month": _BY_TIME,
    "day": _BY_TIME,
    "hour": _BY_TIME - {Form.DATE},
}
"""By transform the forms of values that it takes and that are told apart without loss by its result."""
_CALL = re.compile(r"(?:(year|month|day|hour)s?\((.+)\)|bucket\(([1-9]\d{0,4}),(.+)\)|([^(),]+))")


@dataclass(frozen=True)
class Partition:
    """A transform (none for the value itself; `buckets` of its own) of one column."""

    column: str
    transform: str = ""
    buckets: int = 0

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Read what people write. Raises ConfigurationError."""
        match = _CALL.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(
                f"--partition {text} is none", remedy="write month(c), also year, day or hour; bucket(16, c); or c"
            )
        if match[3]:
            return cls(match[4].strip(), "bucket", int(match[3]))
        return cls((match[2] or match[5]).strip(), match[1] or "")

    @property
    def ddl(self) -> str:
        """As Spark's `PARTITIONED BY` takes it."""
        name = f"`{self.column}`"
        if self.transform == "bucket":
            return f"bucket({self.buckets}, {name})"
        return f"{self.transform}s({name})" if self.transform else name

    def suits(self, kind: ColumnType) -> bool:
        """Whether it takes values of a type."""
        return kind.form in _SUITABLE[self.transform]
