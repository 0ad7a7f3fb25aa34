"""Who somebody is, and on which lists they may do what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from newsletter.models import Role

__all__ = ["Identity", "Role"]


@dataclass(frozen=True, slots=True)
class Identity:
    account_id: int
    name: str
    email: str
    time_zone: str
    role: Role
    """On every list; of a narrowed account the highest that it has on any."""
    list_roles: Mapping[int, Role] | None
    """Of a narrowed account; None: `role` holds everywhere."""

    @property
    def list_ids(self) -> frozenset[int] | None:
        """None: every list, those to come included."""
        return None if self.list_roles is None else frozenset(self.list_roles)

    def role_on(self, list_id: int) -> Role | None:
        if self.list_roles is None:
            return self.role
        return self.list_roles.get(list_id)

    def may(self, role: Role, list_ids: Iterable[int] | None) -> bool:
        """Whether they are at least `role` on all of these lists; with None on every list there is.

        What is on no list belongs to those who have every list.
        """
        if self.list_roles is None:
            return self.role.includes(role)
        roles = [self.role_on(each) for each in list_ids or ()]
        return bool(roles) and all(own is not None and own.includes(role) for own in roles)

    def may_on_some(self, role: Role) -> bool:
        return self.role.includes(role)
