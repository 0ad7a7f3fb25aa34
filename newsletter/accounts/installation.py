"""What an admin sets for the whole installation; what nobody set has its default."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.errors import InputError
from newsletter.models import InstallationSetting, Role

LONGEST_NAME = 60
LARGEST_THRESHOLD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class InstallationSettings:
    name: str = "Newsletter"
    """What the pages are headed with, and an authenticator app calls us."""
    second_factor_roles: frozenset[Role] = frozenset()
    """Who must have a second factor."""
    four_eyes: bool = False
    """Of new lists: whether somebody else than its author approves an edition."""
    confirm_above: int = 1_000
    """Whoever sends to more people than this types their number again (S-31)."""
    editors_an_hour: int | None = None
    """To so many people editors together may send editions in an hour (S-31); None: to any number."""
    admins_an_hour: int | None = None


def installation_settings(session: Session) -> InstallationSettings:
    rows = session.scalars(select(InstallationSetting))
    stored: dict[str, Any] = {row.name: row.value for row in rows}
    given = {name: stored[name] for name in InstallationSettings.__slots__ if name in stored}
    if "second_factor_roles" in given:
        given["second_factor_roles"] = frozenset(map(Role, given["second_factor_roles"]))
    return InstallationSettings(**given)


def cap_of(session: Session, role: Role) -> int | None:
    """To how many people `role` may send editions in an hour; None: to any number.

    Whoever asks for the same cap now waits for this transaction, if there is a cap.
    """
    name = "admins_an_hour" if role is Role.ADMIN else "editors_an_hour"
    cap: int | None = session.scalar(
        select(InstallationSetting.value).where(InstallationSetting.name == name).with_for_update()
    )
    return cap


def change_installation_settings(
    session: Session, wanted: InstallationSettings, *, by: str, now: datetime
) -> dict[str, list[Any]]:
    """Returns before and after of what changed, by name. Raises `InputError`."""
    _check(wanted)
    before, after = _stored(installation_settings(session)), _stored(wanted)
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    for name, (_, value) in changed.items():
        session.merge(InstallationSetting(name=name, value=value, changed_at=now, changed_by=by))
    session.flush()
    return changed


def _check(wanted: InstallationSettings) -> None:
    if not 0 < len(wanted.name) <= LONGEST_NAME or not wanted.name.isprintable():
        raise InputError(
            "write one line of at most {longest} characters", field="name", longest=LONGEST_NAME
        )
    if not 0 <= wanted.confirm_above <= LARGEST_THRESHOLD:
        raise InputError("write a number of people, 0 or more", field="confirm above")
    for place, cap in (
        ("editors an hour", wanted.editors_an_hour),
        ("admins an hour", wanted.admins_an_hour),
    ):
        if cap is not None and not 0 < cap <= LARGEST_THRESHOLD:
            raise InputError("write a number of people, 1 or more, or nothing", field=place)


def _stored(settings: InstallationSettings) -> dict[str, Any]:
    return {
        "name": settings.name,
        "second_factor_roles": sorted(settings.second_factor_roles),
        "four_eyes": settings.four_eyes,
        "confirm_above": settings.confirm_above,
        "editors_an_hour": settings.editors_an_hour,
        "admins_an_hour": settings.admins_an_hour,
    }
