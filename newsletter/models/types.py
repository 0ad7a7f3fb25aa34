"""Column types shared by the tables."""

from enum import IntEnum
from typing import Generic, TypeVar

from sqlalchemy import Dialect, SmallInteger
from sqlalchemy.types import TypeDecorator

E = TypeVar("E", bound=IntEnum)


class SmallEnum(TypeDecorator[E], Generic[E]):
    """An IntEnum in two bytes, for tables with a row per recipient."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, members: type[E]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: E | int | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> E | None:
        return None if value is None else self.members(value)
