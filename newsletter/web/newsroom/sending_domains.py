"""The office's sending domains: what they are signed with, and what DNS should say of them and does."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.addresses import parse_address
from newsletter.deliver import inspections
from newsletter.deliver.diagnosis import Health
from newsletter.deliver.dkim_keys import (
    DnsRecord,
    create_key,
    dns_record,
    keys_for,
    retire_key,
    signing_key,
)
from newsletter.errors import InputError, NotFoundError, SettingError
from newsletter.models import DkimAlgorithm, DkimKey, Inspection, InspectionKind, MailingList
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

PAGE = "/office/sending-domains"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SEVERITY = {Health.OK: 0, Health.WARNING: 1, Health.ERROR: 2}


@dataclass(frozen=True, slots=True)
class ShownKey:
    key: DkimKey
    state: str
    """signs, waits or retired."""
    record: DnsRecord | None
    """What to publish; None where the key cannot be read any more."""


def index(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    looks = inspections.latest(visit.session, InspectionKind.DOMAIN)
    rows = [
        (domain, lists, bool(keys_for(visit.session, domain)), looks.get(domain))
        for domain, lists in _domains(visit.session).items()
    ]
    return visit.page(
        "office/sending_domains.html",
        rows=[(*row, _worst(row[3])) for row in rows],
        mail_domain=visit.settings.mail_domain,
    )


def show(visit: Visit) -> Response:
    domain, lists = _domain(visit)
    keys = _keys(visit.session, domain)
    return visit.page(
        "office/sending_domain.html",
        domain=domain,
        lists=lists,
        keys=keys,
        algorithms=DkimAlgorithm,
        next_selector=_next_selector(keys, visit),
        look=_look(visit, domain),
        mail_domain=visit.settings.mail_domain,
        records=_records(keys, domain, visit),
    )


def check(visit: Visit) -> Response:
    domain, _ = _domain(visit)
    inspections.ask_for(visit.session, InspectionKind.DOMAIN, domain, by=visit.by, now=visit.now)
    return visit.go(f"{PAGE}/{domain}")


def look(visit: Visit) -> Response:
    domain, _ = _domain(visit)
    return visit.page(
        "office/_inspection.html", look=_look(visit, domain), url=f"{PAGE}/{domain}/look"
    )


def make_key(visit: Visit) -> Response:
    domain, _ = _domain(visit)
    visit.require_fresh()
    kind = visit.form.get("algorithm", DkimAlgorithm.RSA.value)
    if kind not in set(DkimAlgorithm):
        raise InputError("Choose one of the kinds of key.")
    algorithm = DkimAlgorithm(kind)
    selector = visit.form.get("selector")
    key = create_key(visit.session, domain, selector, algorithm=algorithm, now=visit.now)
    visit.audit("DKIM key made", f"{key.selector}._domainkey.{key.domain}", kind=kind)
    notice = Words("The key {selector} is there. Publish its record next.", selector=key.selector)
    return visit.go(f"{PAGE}/{domain}", notice)


def retire(visit: Visit) -> Response:
    domain, _ = _domain(visit)
    visit.require_fresh()
    key = retire_key(visit.session, visit.form.get("of", domain), str(visit.path["selector"]))
    visit.audit("DKIM key retired", f"{key.selector}._domainkey.{key.domain}")
    notice = Words(
        "{selector} signs nothing any more. Leave its record in DNS for a week, for "
        "the mail that is on its way.",
        selector=key.selector,
    )
    return visit.go(f"{PAGE}/{domain}", notice)


def _domains(session: Session) -> dict[str, list[str]]:
    """Each domain that mail is sent from, with the lists that do; those of keys that no list uses too."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        select(MailingList.sender_address, MailingList.name).where(MailingList.retired_at.is_(None))
    )
    for address, name in rows:
        found.setdefault(parse_address(address).domain, []).append(name)
    for domain in session.scalars(select(DkimKey.domain).distinct()):
        found.setdefault(domain, [])
    return {domain: sorted(found[domain]) for domain in sorted(found)}


def _domain(visit: Visit) -> tuple[str, list[str]]:
    visit.require(Role.ADMIN, ())
    domain = str(visit.path["domain"])
    known = _domains(visit.session)
    if domain not in known:
        raise NotFoundError(NOT_HERE)
    return domain, known[domain]


def _look(visit: Visit, domain: str) -> Inspection | None:
    return inspections.latest(visit.session, InspectionKind.DOMAIN).get(domain)


def _worst(look: Inspection | None) -> Health | None:
    """None: nobody has looked yet, or nobody has answered."""
    if look is None or look.ended_at is None:
        return None
    healths = [Health(found["health"]) for found in look.findings]
    return max(healths, key=SEVERITY.__getitem__, default=Health.OK)


def _keys(session: Session, domain: str) -> list[ShownKey]:
    """Its own, and those of the domain above it where those sign for it; the newest first."""
    signing = keys_for(session, domain)
    owners = {domain, *(key.domain for key in signing)}
    rows = session.scalars(
        select(DkimKey).where(DkimKey.domain.in_(owners)).order_by(DkimKey.id.desc())
    )
    return [_shown(key, signs=key in signing) for key in rows]


def _shown(key: DkimKey, *, signs: bool) -> ShownKey:
    state = "signs" if signs else "waits" if key.is_active else "retired"
    try:
        record = dns_record(signing_key(key))
    except SettingError:
        record = None
    return ShownKey(key, state, record)


def _next_selector(keys: list[ShownKey], visit: Visit) -> str:
    used = {each.key.selector for each in keys}
    year = visit.now.year
    free = (f"s{year}{letter}" for letter in LETTERS if f"s{year}{letter}" not in used)
    return next(free, "")


def _records(keys: list[ShownKey], domain: str, visit: Visit) -> list[tuple[str, DnsRecord, str]]:
    """What to publish: of what kind, the record, and what to know about it."""
    spf = DnsRecord(visit.settings.mail_domain, "v=spf1 include:… -all")
    dmarc = DnsRecord(f"_dmarc.{domain}", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}")
    dkim = [
        ("DKIM", each.record, each.state)
        for each in keys
        if each.record is not None and each.state != "retired"
    ]
    return [("SPF", spf, "relay"), *dkim, ("DMARC", dmarc, "policy")]


SCREENS = (
    Screen(PAGE, get=index, role=Role.ADMIN),
    Screen(PAGE + "/{domain}", get=show, role=Role.ADMIN),
    Screen(PAGE + "/{domain}/check", post=check, role=Role.ADMIN),
    Screen(PAGE + "/{domain}/look", get=look, role=Role.ADMIN),
    Screen(PAGE + "/{domain}/keys", post=make_key, role=Role.ADMIN),
    Screen(PAGE + "/{domain}/keys/{selector}/retire", post=retire, role=Role.ADMIN),
)
