"""What the demo's newsroom holds besides the edition that is sent: a draft, and a way in."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from newsletter.accounts.links import make_link
from newsletter.accounts.people import Rights, create_account
from newsletter.compose.content import DraftContent
from newsletter.compose.parser import read_briefing
from newsletter.db import transaction
from newsletter.models import LinkPurpose, MailingList, Role
from newsletter.plan.drafts import open_edition
from newsletter.settings import Settings

EDITOR = "Marguerite Sallow"
EMAIL = "marguerite@courier.example"
_DRAFT = Path(__file__).resolve().parent / "data" / "draft.txt"


def begin_draft(engine: Engine, list_id: int, *, now: datetime) -> int:
    """Tomorrow's edition, as far as it is written."""
    raw = _DRAFT.read_bytes()
    parsed = read_briefing(raw, today=now.date())
    assert parsed.briefing is not None
    content = DraftContent(
        briefing=parsed.briefing, set_aside=parsed.set_aside, source_text=raw.decode()
    )
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        return open_edition(session, content, lists=[mailing_list], created_by=EDITOR, now=now).id


def sign_in_link(engine: Engine, settings: Settings, *, now: datetime) -> str:
    """Good once, for an hour: it signs its owner in as an admin of the demo."""
    with transaction(engine) as session:
        account = create_account(
            session,
            EMAIL,
            EDITOR,
            Rights(Role.ADMIN),
            time_zone="Europe/London",
            by="demo",
            now=now,
        )
        return make_link(
            session, account.id, LinkPurpose.SIGN_IN, base_url=settings.base_url, now=now
        )
