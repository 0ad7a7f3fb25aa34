"""One's own account: profile, password, second factors, sessions, and showing again who one is."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from httpx2 import Response
from sqlalchemy import Engine, select, update

from newsletter.accounts.passwords import hash_password, is_password
from newsletter.accounts.second_factors import totp_seed
from newsletter.accounts.sessions import begin_session
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    Account,
    AuditEntry,
    InstallationSetting,
    Passkey,
    Role,
    StaffSession,
    SystemMail,
    SystemMailKind,
)
from newsletter.web.newsroom.user_agents import browser_name
from tests.accounts.authenticator import Authenticator
from tests.accounts.staff import OTHER_PASSWORD, PASSWORD
from tests.site import Member, Site, running_site, text_of

ORIGIN = "http://localhost:8000"


@pytest.fixture
def named_site(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[Site]:
    """One that has a name, and so passkeys."""
    with running_site(engine, redis_server, tmp_path, base_url=ORIGIN) as site:
        yield site


def with_password(site: Site, role: Role = Role.EDITOR) -> Member:
    member = site.member(role)
    with transaction(site.engine) as session:
        session.get_one(Account, member.account_id).password_hash = hash_password(PASSWORD)
    return member


def let_time_pass(site: Site) -> None:
    """An hour since anybody showed who they are."""
    with transaction(site.engine) as session:
        session.execute(update(StaffSession).values(confirmed_at=utc_now() - timedelta(hours=1)))


def account_of(site: Site, member: Member) -> Account:
    with reading(site.engine) as session:
        return session.get_one(Account, member.account_id)


def set_up_app(site: Site, member: Member) -> tuple[str, Response]:
    member.post("/account/app/new")
    seed = totp_seed(account_of(site, member))
    return seed, member.post("/account/app", {"code": pyotp.TOTP(seed).at(utc_now())})


def notices(site: Site) -> list[str]:
    with reading(site.engine) as session:
        mails = session.scalars(select(SystemMail).order_by(SystemMail.id)).all()
        assert {mail.kind for mail in mails} <= {SystemMailKind.ACCOUNT_NOTICE}
        return [mail.data["what"] for mail in mails]


def test_the_page_shows_who_one_is_and_where_one_is_signed_in(site: Site) -> None:
    member = site.member(Role.ADMIN)

    page = text_of(member.get("/account"))

    assert "Ada Admin" in page
    assert "You are admin of every list" in page
    assert "this browser" in page


def test_name_and_zone_are_changed_and_times_follow(site: Site) -> None:
    member = site.member(Role.VIEWER)

    wrong = member.post("/account/profile", {"name": "", "zone": "Mars/Base"})
    right = member.post("/account/profile", {"name": "Vera Holm", "zone": "Asia/Taipei"})

    assert wrong.status_code == 422
    assert right.status_code == 303
    account = account_of(site, member)
    assert (account.name, account.time_zone) == ("Vera Holm", "Asia/Taipei")
    assert "CST" in text_of(member.get("/account"))


def test_nobody_gives_themselves_rights_with_fields_that_are_not_in_the_form(site: Site) -> None:
    """S-09: mass assignment."""
    member = site.member(Role.VIEWER)
    extra = {"role": "admin", "id": "1", "is_narrowed": "", "email": "x@y.example"}

    member.post("/account/profile", {"name": "Vera", "zone": "UTC", **extra})

    account = account_of(site, member)
    assert account.role is Role.VIEWER
    assert account.email.startswith("viewer")


def test_a_new_password_needs_the_present_one_and_signs_out_everywhere_else(site: Site) -> None:
    """S-07."""
    member = with_password(site)
    with transaction(site.engine) as session:
        other = begin_session(session, member.account_id, user_agent="", now=utc_now())
    given = {"current": PASSWORD, "password": OTHER_PASSWORD}

    wrong = member.post("/account/password", given | {"current": "wrong"})
    soft = member.post("/account/password", given | {"password": "password1234"})
    done = member.post("/account/password", given)

    assert (wrong.status_code, soft.status_code, done.status_code) == (422, 422, 303)
    new = re.search(r"newsletter=([^;]+)", done.headers["set-cookie"])
    assert new is not None
    for token, is_good in ((member.token, False), (other, False), (new[1], True)):
        site.client.cookies.clear()
        site.client.cookies.set("newsletter", token)
        assert (site.client.get("/account").status_code == 200) is is_good
    assert is_password(account_of(site, member).password_hash, OTHER_PASSWORD)
    assert notices(site) == ["Your password was changed."]


def test_an_app_is_set_up_with_a_picture_and_a_first_code(site: Site) -> None:
    member = with_password(site)

    member.post("/account/app/new")
    picture = member.get("/account/app/picture")
    wrong = member.post("/account/app", {"code": "000000"})
    _, done = set_up_app(site, member)

    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["cache-control"] == "no-store"
    assert "<script" not in picture.text
    assert wrong.status_code == 422
    codes = re.findall(r"[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}", done.text)
    assert len(codes) == 10
    assert "Its codes are asked for" in text_of(member.get("/account/second-factor"))
    assert notices(site) == ["An authenticator app was added to your account."]


def test_the_seed_is_shown_to_nobody_once_it_is_in_use(site: Site) -> None:
    """S-25."""
    member = with_password(site)
    seed, done = set_up_app(site, member)

    pages = [member.get(url) for url in ("/account", "/account/second-factor", "/account/app")]

    assert member.get("/account/app/picture").status_code == 404
    assert member.get("/account/app").status_code == 404
    assert not any(seed in page.text.replace(" ", "") for page in [*pages, done])


def test_an_app_is_taken_away_but_not_where_the_role_needs_it(site: Site) -> None:
    member = with_password(site)
    set_up_app(site, member)
    with transaction(site.engine) as session:
        row = {"value": ["editor"], "changed_at": utc_now(), "changed_by": "Ada"}
        session.add(InstallationSetting(name="second_factor_roles", **row))

    refused = member.post("/account/app/remove")
    with transaction(site.engine) as session:
        session.query(InstallationSetting).delete()
    done = member.post("/account/app/remove")

    assert refused.status_code == 409
    assert done.status_code == 303
    assert account_of(site, member).totp_since is None


def test_new_recovery_codes_replace_the_old_ones_and_need_a_factor(site: Site) -> None:
    member = with_password(site)

    assert member.post("/account/recovery-codes").status_code == 403
    _, first = set_up_app(site, member)
    second = member.post("/account/recovery-codes")

    pattern = r"[a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5}"
    assert not set(re.findall(pattern, first.text)) & set(re.findall(pattern, second.text))


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/account/second-factor"),
        ("POST", "/account/app/new"),
        ("POST", "/account/app/remove"),
        ("POST", "/account/recovery-codes"),
        ("POST", "/account/passkeys"),
        ("POST", "/account/passkeys/options"),
        ("POST", "/account/passkeys/1/remove"),
    ],
)
def test_what_opens_the_door_is_changed_only_by_who_showed_just_now_who_they_are(
    site: Site, method: str, url: str
) -> None:
    """S-31."""
    member = with_password(site)
    let_time_pass(site)

    answer = member.get(url) if method == "GET" else member.post(url)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/account/confirm")


def test_showing_the_password_again_goes_on_to_the_page(site: Site) -> None:
    member = with_password(site)
    let_time_pass(site)
    url = member.get("/account/second-factor").headers["location"]

    assert member.get(url).status_code == 200
    wrong = member.post("/account/confirm", {"password": "wrong", "next": "//evil.example"})
    right = member.post(
        "/account/confirm", {"password": PASSWORD, "next": "/account/second-factor"}
    )

    assert wrong.status_code == 422
    assert "evil" not in wrong.text
    assert right.headers["location"] == "/account/second-factor"
    assert member.get("/account/second-factor").status_code == 200


def test_a_passkey_is_added_used_again_and_removed(named_site: Site) -> None:
    member, device = with_password(named_site), Authenticator(ORIGIN)
    asked = member.post("/account/passkeys/options")

    added = member.post("/account/passkeys", {"credential": device.create(asked.text)})
    let_time_pass(named_site)
    question = member.post("/account/confirm/options")
    again = member.post("/account/confirm", {"credential": device.show(question.text)})

    assert "Keep these recovery codes" in text_of(added)
    assert again.status_code == 303
    with reading(named_site.engine) as session:
        row = session.scalars(select(Passkey)).one()
    assert "A browser" in text_of(member.get("/account/second-factor"))
    assert member.post(f"/account/passkeys/{row.id}/remove").status_code == 303
    assert member.post(f"/account/passkeys/{row.id}/remove").status_code == 404


def test_a_passkey_alone_signs_in(named_site: Site) -> None:
    member, device = with_password(named_site), Authenticator(ORIGIN)
    asked = member.post("/account/passkeys/options")
    member.post("/account/passkeys", {"credential": device.create(asked.text)})
    named_site.client.cookies.clear()
    csrf = re.findall(r'name="csrf" value="([^"]+)"', named_site.client.get("/sign-in").text)[0]

    question = named_site.client.post("/sign-in/passkey/options", data={"csrf": csrf})
    credential = device.show(question.text)
    done = named_site.client.post("/sign-in/passkey", data={"csrf": csrf, "credential": credential})
    again = named_site.client.post(
        "/sign-in/passkey", data={"csrf": csrf, "credential": credential}
    )

    assert done.status_code == 303
    assert again.status_code in {403, 422}
    assert named_site.client.get("/account").status_code == 200


def test_another_browser_is_signed_out_from_here_and_nobody_elses(site: Site) -> None:
    member, stranger = with_password(site), site.member(Role.VIEWER)
    with transaction(site.engine) as session:
        for agent in ("Firefox/130 (Windows)", "Safari (iPhone)"):
            begin_session(session, member.account_id, user_agent=agent, now=utc_now())
        ids = dict(session.execute(select(StaffSession.user_agent, StaffSession.id)).all())
        strangers = session.scalars(
            select(StaffSession.id).where(StaffSession.account_id == stranger.account_id)
        ).one()

    page = text_of(member.get("/account"))
    assert "Firefox on Windows" in page
    assert "Safari on iPhone" in page
    one = member.post(f"/account/sessions/{ids['Safari (iPhone)']}/end")
    foreign = member.post(f"/account/sessions/{strangers}/end")
    member.post("/account/sessions/end-others")

    assert (one.status_code, foreign.status_code) == (303, 404)
    assert "Firefox" not in text_of(member.get("/account"))
    assert stranger.get("/account").status_code == 200


def test_everything_done_to_an_account_stands_in_the_audit_log(site: Site) -> None:
    """S-35."""
    member = with_password(site)
    member.post("/account/profile", {"name": "Edda Holm", "zone": "UTC"})
    set_up_app(site, member)
    member.post("/account/app/remove")

    with reading(site.engine) as session:
        rows = session.execute(select(AuditEntry.action, AuditEntry.account_id)).all()

    assert [row.action for row in rows] == [
        "profile changed",
        "authenticator app added",
        "authenticator app removed",
    ]
    assert {row.account_id for row in rows} == {member.account_id}


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_called_what_its_owner_calls_it(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


def test_mail_about_reviews_is_theirs_to_choose(site: Site) -> None:
    member = site.member(Role.EDITOR)
    before = member.get("/account").text

    member.post("/account/mail")
    without = member.get("/account").text
    member.post("/account/mail", {"review_mail": "1"})

    ticked = re.compile(r'name="review_mail"[^>]* checked')
    assert ticked.search(before)
    assert not ticked.search(without)
    assert ticked.search(member.get("/account").text)
