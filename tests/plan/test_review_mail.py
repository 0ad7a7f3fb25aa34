"""Who is mailed when a review is asked for and when it ends, and what such a mail tells."""

from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.accounts.people import Rights, disable_account
from newsletter.accounts.roles import Role
from newsletter.db import reading, transaction
from newsletter.models import ReviewEnd, SystemMail, SystemMailKind
from newsletter.plan.review import add_comment, end_review
from newsletter.render.system import SystemLetter, system_message
from tests.newsroom import MORNING, add_list
from tests.plan.staffed import Person, Staffed, a_staffed_desk


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Staffed:
    return a_staffed_desk(engine, tmp_path)


@pytest.fixture
def wim(desk: Staffed) -> Person:
    return desk.hire("Wim Writer", Rights(Role.WRITER))


def mailed(desk: Staffed, kind: SystemMailKind) -> list[str]:
    with reading(desk.engine) as session:
        found = session.scalars(select(SystemMail.to_address).where(SystemMail.kind == kind))
        return sorted(address.partition("@")[0] for address in found)


def letter_of(desk: Staffed, kind: SystemMailKind) -> tuple[str, str]:
    """Subject and text of the first one, as it is read."""
    with reading(desk.engine) as session:
        mail = session.scalars(select(SystemMail).where(SystemMail.kind == kind)).first()
    assert mail is not None
    raw = system_message(
        SystemLetter(
            name=kind.value,
            data=mail.data,
            sender_name="Newsletter",
            sender_address="newsletter@harbour.example",
            to_address=mail.to_address,
            message_id="s-1@harbour.example",
            date=MORNING,
            base_url="https://news.example",
        )
    )
    message = message_from_bytes(raw, policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return str(message["Subject"]), body.get_content()


def send_back(desk: Staffed, person: Person, edition_id: int, end: ReviewEnd) -> None:
    with desk.acting(person) as session:
        add_comment(
            session, edition_id, "The pier is wrong.", story=None, by=person.name, now=MORNING
        )
        end_review(session, edition_id, end, by=person.name, now=MORNING)


def test_whoever_may_approve_on_all_its_lists_is_asked_once(desk: Staffed, wim: Person) -> None:
    noon = add_list(desk.engine, "noon")
    here = desk.list_id
    desk.hire("Edda")
    desk.hire("Ada", Rights(Role.ADMIN))
    desk.hire("Vera", Rights(Role.VIEWER))
    desk.hire("Both", Rights(list_roles={here: Role.EDITOR, noon: Role.ADMIN}))
    desk.hire("One", Rights(list_roles={here: Role.EDITOR}))
    desk.hire("Half", Rights(list_roles={here: Role.ADMIN, noon: Role.WRITER}))

    desk.submit(wim, desk.write(wim, noon))

    assert mailed(desk, SystemMailKind.REVIEW_ASKED) == ["ada", "both", "edda"]


def test_nobody_is_mailed_who_asks_is_shut_out_never_joined_or_does_not_want_it(
    desk: Staffed,
) -> None:
    edda, shut, invited, calm = (desk.hire(name) for name in ("Edda", "Shut", "Invited", "Calm"))
    desk.hire("Ada", Rights(Role.ADMIN))
    desk.change(invited, joined_at=None)
    desk.change(calm, wants_review_mail=False)
    with transaction(desk.engine) as session:
        disable_account(session, shut.account_id or 0, now=MORNING)

    desk.submit(edda, desk.write(edda))

    assert mailed(desk, SystemMailKind.REVIEW_ASKED) == ["ada"]


def test_the_mail_names_the_edition_and_its_page_and_nothing_that_it_says(
    desk: Staffed, wim: Person
) -> None:
    desk.hire("Edda Editor")
    edition_id = desk.write(wim)

    desk.submit(wim, edition_id)

    subject, text = letter_of(desk, SystemMailKind.REVIEW_ASKED)
    assert subject == "Wim Writer asks for a review: Harbour Reopens After the Storm"
    assert f"https://news.example/newsroom/editions/{edition_id}/review" in text
    assert "https://news.example/account" in text
    assert "Hello Edda Editor, Wim Writer asks" in text
    assert "Story number" not in text
    assert "Look at the port" not in text


def test_a_subject_line_cannot_add_a_header(desk: Staffed, wim: Person) -> None:
    desk.hire("Edda")
    desk.submit(wim, desk.write(wim))
    with transaction(desk.engine) as session:
        mail = session.scalars(select(SystemMail)).one()
        mail.data = {**mail.data, "edition_subject": "Ferries\r\nBcc: eve@evil.example"}

    subject, _ = letter_of(desk, SystemMailKind.REVIEW_ASKED)

    assert subject == "Wim Writer asks for a review: Ferries Bcc: eve@evil.example"


@pytest.mark.parametrize(
    ("end", "subject", "said"),
    [
        (ReviewEnd.APPROVED, "Approved: Harbour", "Edda has approved edition"),
        (ReviewEnd.RETURNED, "Sent back: Harbour", "what has to change stands beside it"),
    ],
)
def test_whoever_asked_is_told_how_it_ended(
    desk: Staffed, wim: Person, end: ReviewEnd, subject: str, said: str
) -> None:
    edda = desk.hire("Edda")
    edition_id = desk.write(wim)
    desk.submit(wim, edition_id)

    if end is ReviewEnd.APPROVED:
        desk.approve(edda, edition_id)
    else:
        send_back(desk, edda, edition_id, end)

    assert mailed(desk, SystemMailKind.REVIEW_ENDED) == ["wim"]
    told, text = letter_of(desk, SystemMailKind.REVIEW_ENDED)
    assert told.startswith(subject)
    assert said in text
    assert "The pier is wrong" not in text


def test_a_withdrawn_review_is_told_to_nobody(desk: Staffed, wim: Person) -> None:
    edition_id = desk.write(wim)
    desk.submit(wim, edition_id)

    send_back(desk, wim, edition_id, ReviewEnd.WITHDRAWN)

    assert mailed(desk, SystemMailKind.REVIEW_ENDED) == []


@pytest.mark.parametrize(
    "change", [{"wants_review_mail": False}, {"disabled_at": MORNING + timedelta(minutes=1)}]
)
def test_whoever_asked_and_wants_no_mail_or_is_gone_is_not_told(
    desk: Staffed, wim: Person, change: dict[str, object]
) -> None:
    edda = desk.hire("Edda")
    edition_id = desk.write(wim)
    desk.submit(wim, edition_id)
    desk.change(wim, **change)

    desk.approve(edda, edition_id)

    assert mailed(desk, SystemMailKind.REVIEW_ENDED) == []


def test_a_command_asks_everybody_and_is_told_nothing(desk: Staffed) -> None:
    edda = desk.hire("Edda")
    edition_id = desk.write(Person("ed"))

    desk.submit(Person("ed"), edition_id)
    desk.approve(edda, edition_id)

    assert mailed(desk, SystemMailKind.REVIEW_ASKED) == ["edda"]
    assert mailed(desk, SystemMailKind.REVIEW_ENDED) == []


def test_a_review_that_is_asked_for_again_is_told_again(desk: Staffed, wim: Person) -> None:
    edda = desk.hire("Edda")
    edition_id = desk.write(wim)
    desk.submit(wim, edition_id)
    send_back(desk, edda, edition_id, ReviewEnd.RETURNED)

    desk.submit(wim, edition_id)

    assert mailed(desk, SystemMailKind.REVIEW_ASKED) == ["edda", "edda"]
