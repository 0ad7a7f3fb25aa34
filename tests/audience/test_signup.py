"""Signing up as the rows remember it: who is mailed what, and what a button does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from newsletter.addresses import parse_address
from newsletter.audience.answers import Wish, answer_to
from newsletter.audience.confirmation import Standing, look_at, refuse
from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.evidence import evidence_of
from newsletter.audience.history import Origin
from newsletter.audience.invitations import invite
from newsletter.audience.lists import edit_list, retire_list
from newsletter.audience.signup import LIFETIME, forget_requests, request_link, request_signup
from newsletter.audience.subscribers import (
    add_subscriber,
    find_subscriber,
    written_fields,
)
from newsletter.audience.suppression import suppress
from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import (
    EVERYWHERE,
    ChangeCause,
    ConsentKind,
    MailingList,
    OptIn,
    OwnField,
    RequestAnswer,
    SignupRequest,
    Subscriber,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.tokens import SubscriptionRef
from tests.audience.people import EDITOR, NOW
from tests.audience.signing_up import (
    ADA,
    HOME,
    LINKS,
    a_form,
    answer,
    ask,
    kinds,
    mails,
    make_list,
    press,
    requests,
    status,
)

PENDING = SubscriptionStatus.PENDING
CONFIRMED = SubscriptionStatus.CONFIRMED
UNSUBSCRIBED = SubscriptionStatus.UNSUBSCRIBED
COMPLAINED = SuppressionReason.COMPLAINED
LATER = NOW + timedelta(minutes=11)


def people(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(Subscriber)) or 0


def add_ada(engine: Engine, *list_ids: int, language: str = "") -> int:
    with transaction(engine) as session:
        person = add_subscriber(session, ADA, {"language": language}, origin=EDITOR, now=NOW)
        for list_id in list_ids:
            mailing_list = session.get_one(MailingList, list_id)
            subscribe(session, person, mailing_list, CONFIRMED, origin=EDITOR, evidence={}, now=NOW)
        return person.id


def leave(engine: Engine, list_id: int = 1) -> None:
    with transaction(engine) as session:
        person = find_subscriber(session, ADA)
        mailing_list = session.get_one(MailingList, list_id)
        remove_from_list(session, person, mailing_list, origin=EDITOR, now=NOW)


def block(
    engine: Engine,
    reason: SuppressionReason = COMPLAINED,
    *,
    list_id: int = EVERYWHERE,
    source: str = "arf",
) -> None:
    with transaction(engine) as session:
        suppress(
            session, parse_address(ADA), reason=reason, source=source, list_id=list_id, now=NOW
        )


def suppressions(engine: Engine) -> list[SuppressionReason]:
    with reading(engine) as session:
        return list(session.scalars(select(Suppression.reason)))


def invite_ada(engine: Engine, *, reason: str = "she rang us", now: Any = NOW) -> None:
    with transaction(engine) as session:
        invite(
            session,
            ADA,
            session.get_one(MailingList, 1),
            reason=reason,
            origin=EDITOR,
            links=LINKS,
            now=now,
        )


SINGLE, DOUBLE = OptIn.SINGLE, OptIn.DOUBLE


@pytest.mark.parametrize(
    ("wishes", "mail"),
    [
        ([], RequestAnswer.NOTHING),
        ([Wish(DOUBLE, None)], RequestAnswer.CONFIRM),
        ([Wish(DOUBLE, PENDING)], RequestAnswer.CONFIRM),
        ([Wish(DOUBLE, UNSUBSCRIBED)], RequestAnswer.CONFIRM),
        ([Wish(DOUBLE, CONFIRMED)], RequestAnswer.ALREADY),
        ([Wish(DOUBLE, CONFIRMED), Wish(DOUBLE, None)], RequestAnswer.CONFIRM),
        ([Wish(SINGLE, None)], RequestAnswer.WELCOME),
        ([Wish(SINGLE, PENDING)], RequestAnswer.WELCOME),
        ([Wish(SINGLE, CONFIRMED)], RequestAnswer.ALREADY),
        ([Wish(SINGLE, UNSUBSCRIBED)], RequestAnswer.CONFIRM),
        ([Wish(SINGLE, None), Wish(DOUBLE, None)], RequestAnswer.CONFIRM),
        ([Wish(SINGLE, None), Wish(SINGLE, CONFIRMED)], RequestAnswer.WELCOME),
    ],
)
def test_the_mail_depends_on_the_lists_and_on_how_somebody_stands_to_them(
    wishes: list[Wish], mail: RequestAnswer
) -> None:
    assert answer_to(wishes) is mail


def test_t30_nobody_is_a_subscriber_before_they_have_confirmed(engine: Engine) -> None:
    make_list(engine)

    ask(engine)

    assert kinds(engine) == ["confirm"]
    assert people(engine) == 0


def test_t30_looking_changes_nothing_and_the_button_subscribes(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    reference = requests(engine)[0].reference

    with reading(engine) as session:
        looked = look_at(session, reference, now=NOW)
    assert looked.standing is Standing.OPEN
    assert people(engine) == 0

    assert press(engine, reference, now=LATER).standing is Standing.OPEN

    assert status(engine) is CONFIRMED
    assert kinds(engine) == ["confirm", "welcome"]


def test_the_browsers_zone_and_language_are_the_persons_own(engine: Engine) -> None:
    make_list(engine)
    ask(engine, language="zh_TW", zone="asia/taipei")

    press(engine, requests(engine)[0].reference)

    with reading(engine) as session:
        person = find_subscriber(session, ADA)
        assert written_fields(session, person) == {
            "address": ADA,
            "language": "zh-TW",
            "zone": "Asia/Taipei",
        }
        assert OwnField(person.own_fields) == OwnField.LANGUAGE | OwnField.ZONE


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "x" * 5000, "\x00"])
def test_what_a_browser_made_up_is_unknown(engine: Engine, zone: str) -> None:
    make_list(engine)
    ask(engine, zone=zone, language="not a language")

    press(engine, requests(engine)[0].reference)

    with reading(engine) as session:
        person = find_subscriber(session, ADA)
        assert (person.zone_id, person.language) == (None, None)


def test_a_guess_replaces_nothing_that_is_known(engine: Engine) -> None:
    make_list(engine)
    add_ada(engine, language="fr")
    ask(engine, language="en", zone="Europe/Paris")

    press(engine, requests(engine)[0].reference)

    with reading(engine) as session:
        fields = written_fields(session, find_subscriber(session, ADA))
    assert (fields["language"], fields["zone"]) == ("fr", "Europe/Paris")


def test_t31_the_evidence_tells_what_when_from_where_and_how(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    request = requests(engine)[0]

    press(engine, request.reference, now=LATER)

    with reading(engine) as session:
        proof = evidence_of(session, find_subscriber(session, ADA).id)[0]
    assert (proof.list_slug, proof.kind, proof.at) == ("daily", ConsentKind.CONFIRMED, LATER)
    assert proof.details == {
        "how": "form",
        "by": "reader",
        "reference": "https://news.courier.example/s/daily",
        "form": "https://news.courier.example/s/daily",
        "form_version": "5ba4787fd816cdb6",
        "wording": "The Daily\n[Subscribe]",
        "language": "en-GB",
        "zone": "Europe/Paris",
        "tracking": "full",
        "requested_at": NOW.isoformat(),
        "ip": "203.0.113.7",
        "user_agent": "Firefox",
        "confirmed_ip": "203.0.113.7",
        "confirmed_user_agent": "Firefox",
        "message_id": f"<s-{request.reference}@mail.courier.example>",
    }
    assert mails(engine)[0].reference == request.reference


def test_t30_a_link_works_once(engine: Engine) -> None:
    """S-03: who left since is not brought back by the old mail."""
    make_list(engine)
    ask(engine)
    reference = requests(engine)[0].reference
    press(engine, reference)
    leave(engine)

    assert press(engine, reference).standing is Standing.USED

    assert status(engine) is UNSUBSCRIBED
    assert kinds(engine) == ["confirm", "welcome"]


def test_t30_two_presses_at_once_are_one(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    reference = requests(engine)[0].reference

    with ThreadPoolExecutor(4) as pool:
        standings = list(pool.map(lambda _: press(engine, reference).standing, range(4)))

    assert sorted(each.value for each in standings) == ["open", "used", "used", "used"]
    assert kinds(engine) == ["confirm", "welcome"]


def test_two_requests_of_one_new_person_confirmed_at_once_make_one_person(engine: Engine) -> None:
    make_list(engine)
    make_list(engine, "weekly")
    ask(engine, list_ids=[1])
    ask(engine, list_ids=[2], now=LATER)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda each: press(engine, each.reference), requests(engine)))

    assert [each.standing for each in done] == [Standing.OPEN, Standing.OPEN]
    assert people(engine) == 1
    assert (status(engine), status(engine, list_id=2)) == (CONFIRMED, CONFIRMED)


def test_t30_a_link_is_good_for_seven_days(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    reference = requests(engine)[0].reference

    too_late = press(engine, reference, now=NOW + LIFETIME + timedelta(seconds=1))
    in_time = press(engine, reference, now=NOW + LIFETIME)

    assert (too_late.standing, in_time.standing) == (Standing.GONE, Standing.OPEN)


def test_s02_what_nobody_confirmed_is_deleted_after_seven_days(engine: Engine) -> None:
    make_list(engine)
    ask(engine)

    assert forget_requests(engine, now=NOW + LIFETIME) == 0
    assert forget_requests(engine, now=NOW + LIFETIME + timedelta(seconds=1)) == 1
    assert requests(engine) == []


def test_a_link_of_a_request_that_is_gone_or_never_was_is_no_good(engine: Engine) -> None:
    make_list(engine)

    assert press(engine, "0" * 24).standing is Standing.GONE


def test_a_list_that_closed_meanwhile_takes_nobody(engine: Engine) -> None:
    """S-05."""
    make_list(engine)
    make_list(engine, "weekly")
    make_list(engine, "inside")
    ask(engine, list_ids=[1, 2, 3])
    with transaction(engine) as session:
        retire_list(session, "weekly", now=NOW)
        edit_list(session, "inside", {"is_public": False})

    confirmed = press(engine, requests(engine)[0].reference)

    assert [each.slug for each in confirmed.lists] == ["daily"]
    assert (status(engine), status(engine, list_id=2), status(engine, list_id=3)) == (
        CONFIRMED,
        None,
        None,
    )


def test_when_all_its_lists_closed_the_link_is_no_good(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    with transaction(engine) as session:
        retire_list(session, "daily", now=NOW)

    assert press(engine, requests(engine)[0].reference).standing is Standing.GONE
    assert people(engine) == 0


def test_who_is_on_the_list_is_told_so_and_how_to_leave(engine: Engine) -> None:
    """S-01: the difference is in the mail."""
    make_list(engine)
    ada = add_ada(engine, 1)

    ask(engine)

    mail = mails(engine)[0]
    leave_url = mail.data["memberships"][0]["leave_url"]
    assert mail.kind == "already"
    assert LINKS.tokens.read_unsubscribe(leave_url.rpartition("/")[2]) == SubscriptionRef(1, 0, ada)


def test_only_the_lists_that_are_new_to_somebody_are_asked_about(engine: Engine) -> None:
    make_list(engine)
    make_list(engine, "weekly")
    add_ada(engine, 1)

    ask(engine, list_ids=[1, 2])

    assert mails(engine)[0].kind == "confirm"
    assert mails(engine)[0].data["lists"] == ["The Weekly"]


def test_the_mail_is_in_the_language_that_the_address_owner_chose(engine: Engine) -> None:
    make_list(engine)
    add_ada(engine, language="zh")

    ask(engine, language="en")
    ask(engine, "bo@readers.example", language="zh-TW")
    ask(engine, "cy@readers.example", language="")

    assert [mail.data["language"] for mail in mails(engine)] == ["zh", "zh-TW", "en"]


def test_a_single_opt_in_list_welcomes_at_once_with_the_evidence(engine: Engine) -> None:
    make_list(engine, opt_in=OptIn.SINGLE)

    ask(engine)

    assert status(engine) is CONFIRMED
    assert kinds(engine) == ["welcome"]
    assert mails(engine)[0].reference == requests(engine)[0].reference
    with reading(engine) as session:
        proof = evidence_of(session, find_subscriber(session, ADA).id)[0]
    assert proof.details["ip"] == "203.0.113.7"
    assert "confirmed_ip" not in proof.details


def test_nobody_brings_back_who_left_a_single_opt_in_list(engine: Engine) -> None:
    make_list(engine, opt_in=OptIn.SINGLE)
    ask(engine)
    leave(engine)

    ask(engine, now=LATER)
    assert (kinds(engine), status(engine)) == (["welcome", "confirm"], UNSUBSCRIBED)

    press(engine, requests(engine)[1].reference, now=LATER)
    assert status(engine) is CONFIRMED


@pytest.mark.parametrize("reason", sorted(set(SuppressionReason) - {SuppressionReason.LEFT}))
def test_b23_who_is_suppressed_gets_nothing(engine: Engine, reason: SuppressionReason) -> None:
    make_list(engine)
    block(engine, reason)

    ask(engine)

    assert kinds(engine) == []
    assert requests(engine)[0].answer is RequestAnswer.NOTHING


def test_who_left_and_was_forgotten_comes_back_by_a_mail_of_their_own(engine: Engine) -> None:
    make_list(engine, opt_in=OptIn.SINGLE)
    block(engine, SuppressionReason.LEFT, list_id=1)

    ask(engine)
    assert (kinds(engine), status(engine)) == (["confirm"], None)

    press(engine, requests(engine)[0].reference)
    assert status(engine) is CONFIRMED


def test_who_is_suppressed_on_one_list_is_asked_about_the_others(engine: Engine) -> None:
    make_list(engine)
    make_list(engine, "weekly")
    block(engine, list_id=1)

    ask(engine, list_ids=[1, 2])

    assert mails(engine)[0].data["lists"] == ["The Weekly"]


def test_b23_a_complaint_between_the_mail_and_the_button_wins(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    block(engine)

    assert press(engine, requests(engine)[0].reference).standing is Standing.GONE

    assert suppressions(engine) == [COMPLAINED]
    assert people(engine) == 0


@pytest.mark.parametrize("store", ["sqlite"])
def test_s02_a_thousand_requests_for_one_address_make_three_mails_a_day(engine: Engine) -> None:
    make_list(engine)
    make_list(engine, "weekly")
    for hour in (0, 1, 2):
        with transaction(engine) as session:
            for number in range(333):
                form = a_form(session, list_ids=[1 + number % 2])
                request_signup(session, form, now=NOW + timedelta(hours=hour))
        answer(engine, now=NOW + timedelta(hours=hour))
    ask(engine, now=NOW + timedelta(hours=3))

    assert kinds(engine) == ["confirm"] * 3
    assert len(requests(engine)) == 1000


def test_s02_one_mail_in_ten_minutes_over_all_lists(engine: Engine) -> None:
    make_list(engine)
    make_list(engine, "weekly")

    for minutes in (0, 5, 9, 10, 19):
        ask(engine, list_ids=[1 + minutes % 2], now=NOW + timedelta(minutes=minutes))

    assert [mail.created_at for mail in mails(engine)] == [NOW, NOW + timedelta(minutes=10)]


def test_s02_the_day_is_the_last_24_hours_and_other_addresses_have_their_own(
    engine: Engine,
) -> None:
    make_list(engine)
    for hours in (0, 1, 2, 23, 25):
        ask(engine, now=NOW + timedelta(hours=hours))
    ask(engine, "bo@readers.example", now=NOW + timedelta(hours=2))

    assert [mail.to_address for mail in mails(engine)] == 4 * [ADA] + ["bo@readers.example"]


def test_s02_workers_that_answer_at_once_keep_the_limit(engine: Engine) -> None:
    make_list(engine)
    with transaction(engine) as session:
        for number in range(12):
            name = ("ada", "ADA", "bo")[number % 3]
            request_signup(session, a_form(session, f"{name}@readers.example"), now=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: answer(engine), range(4)))
    answer(engine)

    assert sorted(mail.to_address.lower() for mail in mails(engine)) == [
        "ada@readers.example",
        "bo@readers.example",
    ]
    assert all(each.answered_at for each in requests(engine))


def test_a_request_that_cannot_be_answered_stops_no_other(engine: Engine) -> None:
    make_list(engine)
    with transaction(engine) as session:
        request_signup(session, a_form(session), now=NOW)
        request_signup(session, a_form(session, "bo@readers.example"), now=NOW)
        session.flush()
        broken = session.scalars(select(SignupRequest).order_by(SignupRequest.id)).first()
        assert broken is not None
        broken.address = "no address"

    assert answer(engine) == 2
    assert [mail.to_address for mail in mails(engine)] == ["bo@readers.example"]


def test_the_link_form_mails_nobody_whom_we_do_not_know(engine: Engine) -> None:
    make_list(engine)
    add_ada(engine, 1)

    with transaction(engine) as session:
        for address in (ADA, "bo@readers.example"):
            request_link(session, a_form(session, address, ()), now=NOW)
    answer(engine)

    assert [(mail.kind, mail.to_address) for mail in mails(engine)] == [("link", ADA)]
    assert [each.answer for each in requests(engine)] == [
        RequestAnswer.LINK,
        RequestAnswer.NOTHING,
    ]


@pytest.mark.parametrize("how", ["on a list", "left", "blocked"])
def test_the_link_form_is_as_discreet_and_serves_all_whom_we_know(engine: Engine, how: str) -> None:
    make_list(engine)
    add_ada(engine, 1)
    if how == "left":
        leave(engine)
    elif how == "blocked":
        block(engine)
    for _ in range(2):
        with transaction(engine) as session:
            request_link(session, a_form(session, ADA, ()), now=NOW)
        answer(engine)

    assert kinds(engine) == ([] if how == "blocked" else ["link"])


def test_never_mail_me_suppresses_by_hash_and_forgets_the_request(engine: Engine) -> None:
    make_list(engine)
    ask(engine)
    request = requests(engine)[0]

    for _ in range(2):
        with transaction(engine) as session:
            refuse(session, request.address_hash, now=NOW)

    assert suppressions(engine) == [SuppressionReason.ON_REQUEST]
    assert requests(engine) == []
    assert press(engine, request.reference).standing is Standing.GONE
    ask(engine, now=LATER)
    assert kinds(engine) == ["confirm"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SuppressionReason.BOUNCED, SuppressionReason.ON_REQUEST),
        (SuppressionReason.IMPORTED, SuppressionReason.ON_REQUEST),
        (SuppressionReason.COMPLAINED, SuppressionReason.COMPLAINED),
    ],
)
def test_the_persons_own_word_outweighs_a_bounce(
    engine: Engine, before: SuppressionReason, after: SuppressionReason
) -> None:
    block(engine, before)

    with transaction(engine) as session:
        found = session.scalars(select(Suppression)).one()
        refuse(session, found.address_hash, now=NOW)

    assert suppressions(engine) == [after]


@pytest.mark.parametrize("reason", [COMPLAINED, SuppressionReason.ON_REQUEST])
def test_b23_only_the_persons_own_button_in_an_invitation_lifts_a_suppression(
    engine: Engine, reason: SuppressionReason
) -> None:
    make_list(engine)
    block(engine, reason)

    invite_ada(engine)
    assert kinds(engine) == ["invite"]
    assert suppressions(engine) == [reason]

    press(engine, requests(engine)[0].reference, now=LATER)

    assert suppressions(engine) == []
    assert status(engine) is CONFIRMED
    with reading(engine) as session:
        proof = evidence_of(session, find_subscriber(session, ADA).id)[0].details
    assert (proof["invited_by"], proof["invited_because"]) == ("ed", "she rang us")
    assert proof["lifted"] == [reason.value]


def test_b23_there_is_one_invitation(engine: Engine) -> None:
    make_list(engine)
    block(engine)
    invite_ada(engine)
    forget_requests(engine, now=NOW + 2 * LIFETIME)

    with pytest.raises(StateError, match=r"A\*\*\*@r\*\*\*.example was invited on 2026-11-23"):
        invite_ada(engine, now=NOW + timedelta(days=400))

    assert kinds(engine) == ["invite"]


def test_somebody_who_is_not_suppressed_may_be_invited_again_after_a_month(engine: Engine) -> None:
    make_list(engine)
    invite_ada(engine)

    with pytest.raises(StateError, match="is not asked again"):
        invite_ada(engine, now=NOW + timedelta(days=29))
    invite_ada(engine, now=NOW + timedelta(days=31))

    assert kinds(engine) == ["invite", "invite"]


def test_an_invitation_is_refused_with_a_reason(engine: Engine) -> None:
    make_list(engine)
    with pytest.raises(InputError, match="reason: it must not be empty"):
        invite_ada(engine, reason=" ")

    add_ada(engine, 1)
    with pytest.raises(StateError, match="is on the list daily already"):
        invite_ada(engine)

    with transaction(engine) as session:
        retire_list(session, "daily", now=NOW)
    with pytest.raises(StateError, match="retired"):
        invite_ada(engine)

    assert (kinds(engine), requests(engine)) == ([], [])


def test_an_invitation_may_be_to_a_private_list_and_takes_who_left_back(engine: Engine) -> None:
    make_list(engine, is_public=False)
    add_ada(engine, 1)
    leave(engine)
    invite_ada(engine)

    press(engine, requests(engine)[0].reference)

    assert status(engine) is CONFIRMED


def test_s12_s14_nothing_that_a_stranger_wrote_is_in_the_mail(engine: Engine) -> None:
    make_list(engine)
    hostile = "Visit https://evil.example\r\nBcc: bo@readers.example"
    visit = type(HOME)(ip="203.0.113.7", user_agent=hostile)
    ask(engine, zone=hostile, language=hostile, visit=visit)

    assert "evil" not in str(mails(engine)[0].data)
    assert requests(engine)[0].user_agent == hostile.replace("\r\n", "  ")
    assert Origin(ChangeCause.FORM, "reader").is_own
