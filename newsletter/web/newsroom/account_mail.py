"""The mails about an account: its invitation, its new password, and what was changed about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from newsletter.accounts.installation import installation_settings
from newsletter.accounts.links import make_link
from newsletter.accounts.people import rights_of
from newsletter.addresses import parse_address
from newsletter.models import Account, LinkPurpose, SystemMailKind
from newsletter.outbox import post
from newsletter.settings import Settings


def post_account_invitation(
    session: Session, account: Account, *, by: str, settings: Settings, now: datetime
) -> None:
    """The link in it is good for a week, and takes the place of an earlier one's."""
    rights = rights_of(session, account)
    words = rights.highest.value if rights.list_roles is None else "a member of certain lists"
    base_url = settings.base_url
    link = make_link(session, account.id, LinkPurpose.INVITATION, base_url=base_url, now=now)
    data = {"by": by, "rights": words, "link": link}
    _post(session, SystemMailKind.ACCOUNT_INVITE, account, data, now)


def post_password_reset(
    session: Session, account: Account, *, settings: Settings, now: datetime
) -> None:
    link = make_link(session, account.id, LinkPurpose.RESET, base_url=settings.base_url, now=now)
    _post(session, SystemMailKind.PASSWORD_RESET, account, {"link": link}, now)


def post_account_notice(session: Session, account: Account, what: str, *, now: datetime) -> None:
    """`what` is a sentence: whoever did not do it themselves learns of it."""
    _post(session, SystemMailKind.ACCOUNT_NOTICE, account, {"what": what}, now)


def _post(
    session: Session,
    kind: SystemMailKind,
    account: Account,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    common = {"name": account.name, "installation": installation_settings(session).name}
    to = parse_address(account.email)
    post(session, kind, to=to, data=common | dict(data), now=now)
