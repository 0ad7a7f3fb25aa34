"""How fast mail may go: `100/s`, `100/min`, `2000/h`."""

import re
from dataclasses import dataclass
from typing import Self

from newsletter.errors import InputError

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_FORM = re.compile(r"\s*([0-9]{1,9})\s*/\s*(s|min|h|d)\s*")


@dataclass(frozen=True, slots=True)
class Rate:
    messages: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `100/s`, `100/min`, `2000/h` or `50000/d`. Raises `InputError` for anything else."""
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) == 0:
            raise InputError(
                "{text!r} is no rate; write it as 100/s, 100/min, 2000/h or 50000/d.", text=text
            )
        return cls(int(match[1]), match[2])

    @property
    def per_second(self) -> float:
        return self.messages / _SECONDS[self.unit]

    def __str__(self) -> str:
        return f"{self.messages}/{self.unit}"
