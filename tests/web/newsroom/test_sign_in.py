"""The door as browsers meet it: cookies, steps, links and answers that tell strangers nothing."""

import re
from pathlib import Path
from urllib.parse import unquote

import pyotp
import pytest
from httpx2 import Response
from sqlalchemy import Engine, func, select

from newsletter.accounts.links import make_link
from newsletter.accounts.people import Rights, create_account, set_password
from newsletter.accounts.second_factors import (
    begin_totp,
    new_recovery_codes,
    totp_seed,
)
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    Account,
    InstallationSetting,
    LinkPurpose,
    PasskeyChallenge,
    Role,
    StaffSession,
    SystemMail,
    SystemMailKind,
)
from newsletter.web.newsroom.next_page import HOME, next_page
from tests.accounts.staff import OTHER_PASSWORD, PASSWORD
from tests.site import Site, running_site, text_of

EMAIL = "edda@harbour.example"


def join(site: Site, role: Role = Role.EDITOR, *, has_password: bool = True) -> int:
    with transaction(site.engine) as session:
        account = create_account(
            session, EMAIL, "Edda", Rights(role), by="the tests", now=utc_now()
        )
        if has_password:
            set_password(session, account, PASSWORD, now=utc_now())
        return account.id


def with_app(site: Site) -> tuple[str, str]:
    """The account's seed, and a recovery code of it."""
    account_id = join(site)
    with transaction(site.engine) as session:
        account = session.get_one(Account, account_id)
        begin_totp(session, account)
        account.totp_since = utc_now()
        return totp_seed(account), new_recovery_codes(session, account_id)[0]


def token_in(page: Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def submit(site: Site, url: str, **fields: str) -> Response:
    """Open the page as a browser does, and send the form on it."""
    page = site.client.get(url)
    return site.client.post(url.partition("?")[0], data={"csrf": token_in(page), **fields})


def sign_in(site: Site, password: str = PASSWORD, **fields: str) -> Response:
    return submit(site, "/sign-in", email=EMAIL, password=password, **fields)


def link_for(site: Site, account_id: int, purpose: LinkPurpose) -> str:
    with transaction(site.engine) as session:
        return make_link(session, account_id, purpose, base_url="", now=utc_now())


def test_the_right_password_leads_to_the_page_that_was_asked_for(site: Site) -> None:
    join(site)

    answer = sign_in(site, next="/office/audit?who=1")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/office/audit?who=1"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("newsletter=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert site.client.get("/account").status_code == 200


def test_over_https_no_other_host_can_plant_or_read_a_cookie(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    """S-07."""
    with running_site(engine, redis_server, tmp_path, base_url="https://news.example") as site:
        join(site)
        page = site.client.get("/sign-in")
        planted = page.headers["set-cookie"].partition(";")[0]
        answer = site.client.post(
            "/sign-in",
            data={"csrf": token_in(page), "email": EMAIL, "password": PASSWORD},
            headers={"Cookie": planted},
        )

    cookie = answer.headers["set-cookie"]
    assert planted.startswith("__Host-visitor=")
    assert cookie.startswith("__Host-newsletter=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


def test_a_wrong_password_and_a_stranger_get_the_same_page(site: Site) -> None:
    """S-01, S-06."""
    join(site)

    known = sign_in(site, "another one altogether")
    stranger = submit(site, "/sign-in", email="nobody@x.example", password="whatever it is")

    assert known.status_code == stranger.status_code == 422
    assert text_of(known) == text_of(stranger)
    assert "not right" in text_of(known)


def test_whoever_guesses_is_told_how_long_to_wait(site: Site) -> None:
    join(site)
    for _ in range(6):
        sign_in(site, "wrong")

    answer = sign_in(site)

    assert answer.status_code == 429
    assert "Too many tries" in text_of(answer)


def test_between_the_password_and_the_code_no_page_opens(site: Site) -> None:
    """S-06: the sign-in that is half done is good for its second half alone."""
    seed, _ = with_app(site)
    answer = sign_in(site, next="/office/audit")
    assert answer.headers["location"] == "/sign-in/second?next=%2Foffice%2Faudit"

    for url in ("/account", "/newsroom", "/office/audit", "/account/confirm"):
        assert site.client.get(url).headers["location"] == "/sign-in/second"
    half = site.client.cookies["newsletter"]
    code = pyotp.TOTP(seed).at(utc_now())
    done = submit(site, "/sign-in/second", code=code, next="/office/audit")

    assert done.headers["location"] == "/office/audit"
    assert site.client.cookies["newsletter"] != half
    assert site.client.get("/account").status_code == 200
    site.client.cookies.clear()
    site.client.cookies.set("newsletter", half)
    assert site.client.get("/account").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "url", ["/account/app/new", "/account/app", "/account/passkeys", "/account/passkeys/options"]
)
def test_who_owes_a_code_cannot_get_in_by_setting_up_another_factor(site: Site, url: str) -> None:
    """S-06."""
    with_app(site)
    sign_in(site)
    csrf = token_in(site.client.get("/sign-in/second"))

    answer = site.client.post(url, data={"csrf": csrf, "code": "000000"})

    assert answer.status_code == 403
    assert site.client.get("/account/second-factor").status_code == 403
    assert site.client.get("/account/app/picture").status_code == 403


def test_a_recovery_code_gets_somebody_in_without_their_phone(site: Site) -> None:
    _, code = with_app(site)
    sign_in(site)

    assert submit(site, "/sign-in/second", code="xxxxx-xxxxx-xxxxx").status_code == 422
    assert submit(site, "/sign-in/second", code=code).headers["location"] == HOME


def test_who_must_have_a_second_factor_sets_one_up_and_is_in(site: Site) -> None:
    account_id = join(site)
    with transaction(site.engine) as session:
        row = {"value": ["editor"], "changed_at": utc_now(), "changed_by": "Ada"}
        session.add(InstallationSetting(name="second_factor_roles", **row))

    sign_in(site)
    assert site.client.get("/account").headers["location"] == "/account/second-factor"
    page = site.client.get("/account/second-factor")
    site.client.post("/account/app/new", data={"csrf": token_in(page)})
    with reading(site.engine) as session:
        seed = totp_seed(session.get_one(Account, account_id))
    assert site.client.get("/account/app/picture").headers["content-type"] == "image/svg+xml"
    code = pyotp.TOTP(seed).at(utc_now())
    done = submit(site, "/account/app", code=code)

    assert "Keep these recovery codes" in text_of(done)
    assert site.client.get("/account").status_code == 200
    assert site.client.get("/account/app/picture").status_code == 404


def test_signing_out_ends_the_session_for_good(site: Site) -> None:
    """S-07."""
    member = site.member(Role.VIEWER)

    answer = member.post("/sign-out")

    assert answer.headers["location"] == "/sign-in"
    assert member.get("/account").headers["location"].startswith("/sign-in")
    with reading(site.engine) as session:
        assert session.scalars(select(StaffSession)).all() == []


def test_an_invitation_is_accepted_once_with_a_password_of_ones_own(site: Site) -> None:
    url = link_for(site, join(site, has_password=False), LinkPurpose.INVITATION)
    given = {"name": "Edda Holm", "zone": "Europe/Berlin"}

    soft = submit(site, url, password="password1234", **given)
    assert soft.status_code == 422
    assert "guessed" in text_of(soft)
    assert 'value="Edda Holm"' in soft.text
    done = submit(site, url, password=PASSWORD, **given)

    assert done.headers["location"] == HOME
    assert "Edda Holm" in text_of(site.client.get("/account"))
    assert site.client.get(url).status_code == 404


def test_a_new_password_by_mail_signs_out_every_browser(site: Site) -> None:
    """S-07."""
    join(site)
    sign_in(site)
    old = site.client.cookies["newsletter"]
    site.client.cookies.clear()

    asked = submit(site, "/reset", email=EMAIL)
    with reading(site.engine) as session:
        mail = session.scalars(select(SystemMail)).one()
    assert mail.kind is SystemMailKind.PASSWORD_RESET
    path = mail.data["link"].removeprefix("http://127.0.0.1:8000")
    done = submit(site, path, password=OTHER_PASSWORD)

    assert asked.status_code == 200
    assert done.headers["location"] == HOME
    site.client.cookies.clear()
    site.client.cookies.set("newsletter", old)
    assert site.client.get("/account").status_code == 303
    site.client.cookies.clear()
    assert sign_in(site).status_code == 422
    assert sign_in(site, OTHER_PASSWORD).status_code == 303


def test_asking_for_a_new_password_tells_nobody_who_has_an_account(site: Site) -> None:
    """S-01."""
    join(site)

    answers = [
        submit(site, "/reset", email=each) for each in (EMAIL, "nobody@x.example", "nonsense", "")
    ]

    assert len({text_of(each) for each in answers}) == 1
    with reading(site.engine) as session:
        assert len(session.scalars(select(SystemMail)).all()) == 1


def test_nobodys_mailbox_is_filled_with_links(site: Site) -> None:
    join(site)

    for _ in range(10):
        submit(site, "/reset", email=EMAIL)

    with reading(site.engine) as session:
        assert len(session.scalars(select(SystemMail)).all()) == 3


def test_a_one_time_link_shows_a_button_and_signs_in_once(site: Site) -> None:
    """A scanner that opens links of mails signs nobody in."""
    url = link_for(site, join(site), LinkPurpose.SIGN_IN)

    assert site.client.get(url).status_code == 200
    assert site.client.get("/account").status_code == 303
    assert submit(site, url).headers["location"] == HOME

    assert site.client.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/invitation/x", "/reset/x", "/sign-in/link/x"])
def test_a_link_that_is_nobodys_says_so_calmly(site: Site, path: str) -> None:
    answer = site.client.get(path)

    assert answer.status_code == 404
    assert "too old" in text_of(answer)


def test_who_is_signed_in_is_not_asked_again(site: Site) -> None:
    member = site.member(Role.VIEWER)

    assert member.get("/sign-in?next=/office/audit").headers["location"] == "/office/audit"


OURS = [
    "/newsroom",
    "/newsroom/editions/12/compose?revision=3",
    "/office/subscribers?q=ada%40readers.example&state=confirmed",
    "/account",
    "/office/audit?next=//evil.example",
]
EVILS = [
    "",
    "/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http://127.0.0.1:8000@evil.example/newsroom",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example/newsroom",
    "/%2fevil.example",
    "/%5cevil.example",
    "/newsroom//evil.example",
    "/newsroom/..//evil.example",
    "/newsroom/%2e%2e//evil.example",
    "/newsroom/%2f%2fevil.example",
    "/newsroom/%252f%252fevil.example",
    "/newsroom/%25252f%25252fevil.example",
    "/newsroom/..%2f..%2f/evil.example",
    "/newsroom/../sign-out",
    "/newsroom/%2e%2e/sign-out",
    "/newsroom\\evil.example",
    "/newsroom%5cevil.example/..",
    "/newsroom\r\nLocation: https://evil.example",
    "/newsroom%0d%0aLocation:%20https://evil.example",
    "/newsroom\thttps://evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\t/evil.example",
    "/newsroomevil",
    "/newsroom.evil.example",
    "newsroom",
    "./newsroom",
    "?next=//evil.example",
    "/sign-in?next=//evil.example",
    "/c/token/1",
    "/newsroom/" + "x" * 2000,
    "/newsroom/\u2044\u2044evil.example",
    "/newsroom\u0000",
    "/office@evil.example",
]


def test_a_stranger_is_asked_for_passkeys_sixty_times_and_then_has_to_wait(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    with running_site(engine, redis_server, tmp_path, base_url="http://news.example") as site:
        csrf = token_in(site.client.get("/sign-in"))

        answers = [
            site.client.post("/sign-in/passkey/options", data={"csrf": csrf}) for _ in range(61)
        ]

    assert [each.status_code for each in answers] == [200] * 60 + [429]
    assert "Too many tries. Try again" in text_of(answers[-1])
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(PasskeyChallenge)) == 60


@pytest.mark.parametrize("wanted", OURS)
def test_a_page_of_ours_is_gone_on_to(wanted: str) -> None:
    assert next_page(wanted) == wanted


@pytest.mark.parametrize("wanted", EVILS)
def test_no_address_leads_anywhere_else(wanted: str) -> None:
    """S-20."""
    assert next_page(wanted) == HOME


def test_the_form_carries_no_strange_address_either(site: Site) -> None:
    join(site)

    page = site.client.get("/sign-in?next=https%3A%2F%2Fevil.example")
    answer = sign_in(site, next="//evil.example")

    assert "evil" not in unquote(page.text)
    assert answer.headers["location"] == HOME
