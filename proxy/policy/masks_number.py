"""The masks of numbers: bucket, round.

Both compute in numeric, which is exact, and come back to the column's type within its bounds, so that nothing
overflows. What has no place on the number line, NaN and infinity, reads as NULL, and so does what comes near the
end of its type (1e300 for double precision, 3.4e38 for real, 1e1000 for numeric). Other types read as NULL.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from proxy.policy.maskbase import MaskProblem, SqlMask, call, case, cast, op
from proxy.policy.masktypes import Family, SqlType

SIZES = (1e-9, 1e18)
DIGITS = 30
_NUMBERS = (Family.INTEGER, Family.NUMERIC, Family.FLOAT)


def within(number: str, of: SqlType) -> str:
    """A numeric, held within the bounds of the type."""
    bounds = of.bounds()
    return number if bounds is None else f"GREATEST(LEAST({number}, {bounds[1]}), {bounds[0]})"


class _Number(SqlMask):
    def _other(self, column: str, of: SqlType) -> str | None:
        if of.family not in _NUMBERS:
            return None
        if of.family is Family.FLOAT:
            # Compared as it is stored: NaN is greater than every number, and a NULL is never less.
            number = cast(column, "double precision")
            most = cast("'3.4e38'" if of.base == "real" else "'1e300'", "double precision")
        else:
            number, most = column, "1e1000"
        exact = cast(number, "numeric")
        inside = op(call("abs", number if of.family is Family.FLOAT else exact), "<", most)
        return case((inside, within(self._numeric(exact), of)), otherwise="NULL")

    @abstractmethod
    def _numeric(self, number: str) -> str:
        """SQL over a finite numeric."""


@dataclass(frozen=True, slots=True)
class Bucket(_Number):
    """A number becomes the lower edge of its bucket of `size`, counted from 0: 1234 reads 1200 with a size of 100.

    Where the edge lies below the column's type (-32768 as smallint), it is the type's least number. Reveals the bucket.
    """

    size: float

    name = "bucket"

    def __post_init__(self) -> None:
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise MaskProblem("size must be a number above 0, from 1e-9 to 1e18", parameter="size")

    def _numeric(self, number: str) -> str:
        """`div` and `floor` of a quotient would round it first; `mod` is exact. The scale of the value goes too."""
        size = f"CAST({self.size!r} AS numeric)"
        rest = call("mod", op(call("mod", number, size), "+", size), size)
        return call("trim_scale", op(number, "-", rest))


@dataclass(frozen=True, slots=True)
class Round(_Number):
    """A number rounded to `digits` places behind the point, or before it where `digits` is negative: 1234 reads 1200
    with -2. Halves go away from zero. No noise is added. Reveals the rounded number."""

    digits: int

    name = "round"

    def __post_init__(self) -> None:
        if not -DIGITS <= self.digits <= DIGITS:
            raise MaskProblem(f"digits must be from -{DIGITS} to {DIGITS}", parameter="digits")

    def _numeric(self, number: str) -> str:
        return call("round", number, str(self.digits))
