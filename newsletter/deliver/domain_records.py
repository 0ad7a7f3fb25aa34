"""Whether DNS says of a sender's domain what mailbox providers ask for: SPF, DKIM, DMARC."""

from collections.abc import Iterator, Sequence

from newsletter.deliver.diagnosis import Diagnosis, doubtful, fine, wrong
from newsletter.deliver.dkim_keys import DnsRecord, dns_record, signing_key
from newsletter.dns import Dns
from newsletter.errors import SettingError
from newsletter.models import DkimKey

MOST_SPF_LOOKUPS = 10
"""RFC 7208 section 4.6.4; a record that needs more is an error at every receiver."""
MOST_DMARC_LABELS = 8
"""RFC 9989 section 4.10: of a longer name the walk starts at its last seven."""

_LOOKED_UP = ("a", "mx", "ptr", "exists")


class _TooManyLookups(Exception):  # noqa: N818
    pass


def check_domain(
    dns: Dns, domain: str, keys: Sequence[DkimKey], *, mail_domain: str
) -> Iterator[Diagnosis]:
    """All that concerns one sender's domain but the SPF of `mail_domain`, which all senders share.

    Raises `DnsError`.
    """
    yield check_dmarc(dns, domain)
    if not keys:
        remedy = f"Unless your relay signs: newsletter dkim create {domain} --selector s1"
        yield doubtful(f"DKIM of {domain}", "Its mail leaves unsigned.", remedy)
    for key in keys:
        try:
            record = dns_record(signing_key(key))
        except SettingError as error:
            yield wrong("DKIM keys", str(error), "Put the lost key back, or retire them.")
        else:
            yield check_dkim(dns, record)
    yield from check_alignment(dns, domain, others=[mail_domain])


def check_spf(dns: Dns, mail_domain: str) -> Diagnosis:
    subject = f"SPF of {mail_domain}"
    records = _spf_records(dns, mail_domain)
    if not records:
        remedy = "Publish a TXT record there that names your relay, as its maker tells you."
        return wrong(subject, "There is no record.", remedy)
    if len(records) > 1:
        remedy = "Merge them into one: receivers take two for an error."
        return wrong(subject, f"There are {len(records)} records.", remedy)
    try:
        lookups = _count_lookups(dns, records[0], 0)
    except _TooManyLookups:
        remedy = "Remove includes that nothing is sent through."
        return wrong(subject, f"It needs more than {MOST_SPF_LOOKUPS} look-ups.", remedy)
    return fine(subject, f"{lookups} look-ups of at most {MOST_SPF_LOOKUPS}.")


def check_dkim(dns: Dns, record: DnsRecord) -> Diagnosis:
    """`record` is what the key that signs wants to be published."""
    subject = f"DKIM key {record.name}"
    published = dns.txt(record.name)
    remedy = f"Publish exactly this: {record.zone_line}"
    if not published:
        return wrong(subject, "Its record is not published.", remedy)
    if len(published) > 1:
        return wrong(subject, f"There are {len(published)} records.", remedy)
    found, wanted = _tags(published[0]), _tags(record.text)
    if "".join(found.get("p", "").split()) != wanted["p"]:
        return wrong(subject, "The record holds another key, so every signature fails.", remedy)
    if found.get("v", "DKIM1") != "DKIM1" or found.get("k", "rsa") != wanted["k"]:
        return wrong(subject, "The record says that the key is of another kind.", remedy)
    if "y" in found.get("t", "").split(":"):
        remedy = "Take t=y out of it: receivers treat such mail as unsigned."
        return doubtful(subject, "The record says that it is a test.", remedy)
    return fine(subject, "Its record is published and matches.")


def check_dmarc(dns: Dns, sender_domain: str) -> Diagnosis:
    subject = f"DMARC of {sender_domain}"
    place = f"_dmarc.{sender_domain}"
    remedy = f'Publish at {place}: "v=DMARC1; p=none"'
    own = _dmarc_records(dns, place)
    if len(own) > 1:
        return wrong(subject, f"There are {len(own)} records, so none counts.", "Keep one of them.")
    found = next(_policies(dns, sender_domain), None)
    if found is None and any(_is_dmarc(text) for text in dns.txt(sender_domain)):
        return wrong(subject, f"The record is at {sender_domain}.", f"Move it to {place}.")
    if found is None:
        return wrong(subject, "There is no record.", remedy)
    name, tags = found
    policy = tags.get("p", "").lower()
    if policy not in {"none", "quarantine", "reject"}:
        return doubtful(subject, f"The record of {name} has no policy.", "Add p=none to it.")
    return fine(subject, f"p={policy}, from {name}.")


def check_alignment(dns: Dns, sender_domain: str, *, others: Sequence[str]) -> Iterator[Diagnosis]:
    """Whether the return path's and the signatures' domains count for the sender's (H-10)."""
    organisation = _organisation(dns, sender_domain)
    for other in others:
        subject = f"Alignment of {other} with {sender_domain}"
        if _organisation(dns, other) == organisation:
            yield fine(subject, f"Both belong to {organisation}.")
        else:
            remedy = f"Choose a domain of {organisation} for both."
            yield doubtful(subject, "They belong to different organisations.", remedy)


def _spf_records(dns: Dns, domain: str) -> list[str]:
    return [text for text in dns.txt(domain) if text.lower().split(" ")[0] == "v=spf1"]


def _count_lookups(dns: Dns, record: str, before: int) -> int:
    """Of this record and of all that it includes, added to those `before` it."""
    count = before
    for term in record.lower().split()[1:]:
        mechanism = term.lstrip("+-~?")
        name, _, target = mechanism.replace("=", ":", 1).partition(":")
        is_nested = name in {"include", "redirect"}
        if not is_nested and name.partition("/")[0] not in _LOOKED_UP:
            continue
        count += 1
        if count > MOST_SPF_LOOKUPS:
            raise _TooManyLookups
        if is_nested and "%" not in target:
            for nested in _spf_records(dns, target)[:1]:
                count = _count_lookups(dns, nested, count)
    return count


def _policies(dns: Dns, domain: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The DMARC records of the domain and of those above it (RFC 9989 section 4.10), nearest first."""
    labels = domain.split(".")
    starts = range(len(labels))
    if len(labels) > MOST_DMARC_LABELS:
        starts = range(len(labels) - MOST_DMARC_LABELS + 1, len(labels))
    for name in dict.fromkeys((domain, *(".".join(labels[start:]) for start in starts))):
        records = _dmarc_records(dns, f"_dmarc.{name}")
        if len(records) == 1:
            yield name, _tags(records[0])


def _organisation(dns: Dns, domain: str) -> str:
    """RFC 9989 section 4.10.2."""
    top = domain
    for name, tags in _policies(dns, domain):
        psd = tags.get("psd", "u").lower()
        if psd == "n":
            return name
        if psd == "y" and name != domain:
            return ".".join(domain.split(".")[-name.count(".") - 2 :])
        top = name
    return top


def _dmarc_records(dns: Dns, name: str) -> list[str]:
    return [text for text in dns.txt(name) if _is_dmarc(text)]


def _is_dmarc(text: str) -> bool:
    # Exactly so, and first; what follows may be in any order and unknown (RFC 9989 section 4.7).
    return text.partition(";")[0].replace(" ", "") == "v=DMARC1"


def _tags(text: str) -> dict[str, str]:
    pairs = (tag.partition("=") for tag in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
