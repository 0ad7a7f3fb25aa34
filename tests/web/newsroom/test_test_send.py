"""Test sends: to oneself, to colleagues, and to addresses that an admin listed."""

from sqlalchemy import select

from newsletter.db import reading, transaction
from newsletter.deliver.test_recipients import allow_tests
from newsletter.models import Account, Role, SystemMail, SystemMailState
from tests.desk import Desk
from tests.newsroom import MORNING
from tests.site import Member, Site, text_of


def page_of(edition_id: int) -> str:
    return f"/newsroom/editions/{edition_id}/test"


def mails(desk: Desk) -> list[SystemMail]:
    with reading(desk.engine) as session:
        return list(session.scalars(select(SystemMail).order_by(SystemMail.id)))


def address_of(desk: Desk, member: Member) -> str:
    with reading(desk.engine) as session:
        return session.get_one(Account, member.account_id).email


def answered(desk: Desk, reply: str) -> None:
    with transaction(desk.engine) as session:
        for mail in session.scalars(select(SystemMail)):
            mail.state, mail.reply = SystemMailState.SENT, reply


def test_a_test_goes_to_oneself_and_a_colleague(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer, editor = site.member(Role.WRITER), site.member(Role.EDITOR)
    to = [address_of(desk, each) for each in (writer, editor)]

    answer = writer.post(page_of(edition_id), {"to": to})

    assert answer.status_code == 303
    assert [each.to_address for each in mails(desk)] == to
    assert desk.audited() == ["test sent"]


def test_the_servers_answer_is_shown_as_soon_as_it_is_there(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)
    writer.post(page_of(edition_id), {"to": address_of(desk, writer)})

    waiting = writer.get(f"{page_of(edition_id)}/results")
    answered(desk, "250 2.0.0 Ok: queued as 4F2")
    known = writer.get(f"{page_of(edition_id)}/results")

    assert 'hx-trigger="every 1s"' in waiting.text
    assert 'hx-trigger="every 1s"' not in known.text
    assert "taken by the server" in text_of(known)
    assert "250 2.0.0 Ok: queued as 4F2" in text_of(known)


def test_a_change_voids_the_tested_mark_visibly(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)
    writer.post(page_of(edition_id), {"to": address_of(desk, writer)})
    answered(desk, "250 Ok")
    tested = text_of(writer.get(f"/newsroom/editions/{edition_id}"))

    desk.change(edition_id)

    assert "Test (done)" in tested
    page = text_of(writer.get(f"/newsroom/editions/{edition_id}"))
    assert "Test (done)" not in page
    assert "Revision 1 was tested; what stands here now was not." in page


def test_what_is_tested_is_what_the_draft_says_now(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    desk.change(edition_id)
    writer = site.member(Role.WRITER)

    writer.post(page_of(edition_id), {"to": address_of(desk, writer)})

    assert mails(desk)[0].data["revision"] == 2


def test_a_stranger_is_mailed_only_if_an_admin_listed_them(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)

    refused = writer.post(page_of(edition_id), {"others": "guest@elsewhere.example"})
    with transaction(desk.engine) as session:
        allow_tests(session, "@elsewhere.example", by="Ada", now=MORNING)
    taken = writer.post(page_of(edition_id), {"others": "guest@elsewhere.example"})

    assert (refused.status_code, taken.status_code) == (422, 303)
    assert "may not go to guest@elsewhere.example" in text_of(refused)
    assert "guest@elsewhere.example" in refused.text
    assert len(mails(desk)) == 1


def test_somebody_has_to_be_chosen_and_an_address_has_to_be_one(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)

    nobody = writer.post(page_of(edition_id))
    broken = writer.post(page_of(edition_id), {"others": "not an address"})

    assert (nobody.status_code, broken.status_code) == (422, 422)
    assert "Choose at least one person" in text_of(nobody)
    assert mails(desk) == []


def test_only_so_many_go_out_in_a_minute(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)
    to = {"to": address_of(desk, writer)}
    for _ in range(30):
        writer.post(page_of(edition_id), to)

    answer = writer.post(page_of(edition_id), to)

    assert answer.status_code == 409
    assert "wait a minute" in text_of(answer)
    assert len(mails(desk)) == 30


def test_a_colleague_without_these_lists_is_not_offered(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    stranger = site.member(Role.EDITOR, lists={})
    writer = site.member(Role.WRITER)

    page = writer.get(page_of(edition_id)).text
    answer = writer.post(page_of(edition_id), {"to": address_of(desk, stranger)})

    assert address_of(desk, stranger) not in page
    assert answer.status_code == 422


def test_a_viewer_sends_no_test(site: Site, desk: Desk) -> None:
    assert site.member(Role.VIEWER).get(page_of(desk.draft())).status_code == 403
