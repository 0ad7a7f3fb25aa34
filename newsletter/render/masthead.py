"""What a letter needs to know of the list it is sent to."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.addresses import parse_address
from newsletter.audience.colours import is_colour
from newsletter.errors import InputError
from newsletter.models import Tracking
from newsletter.render.theme import PLAIN, Theme
from newsletter.words import Words

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Masthead:
    """`postal_address` may have several lines; `language` is a BCP 47 tag; `accent` is `#rrggbb`.

    `base_url` has no final slash. `reply_to` is None where answers go to the sender.
    """

    list_id: int
    slug: str
    name: str
    sender_name: str
    sender_address: str
    postal_address: str
    mail_domain: str
    base_url: str
    tagline: str | None = None
    language: str = "en"
    accent: str = "#1d4e89"
    reply_to: str | None = None
    tracking: Tracking = Tracking.FULL
    theme: Theme = PLAIN

    def __post_init__(self) -> None:
        """Raises `InputError` for what would give a broken header, address or colour."""
        _require(
            _SLUG.fullmatch(self.slug), Words("slug"), self.slug, Words("use a-z, 0-9 and hyphens")
        )
        _require(
            _DOMAIN.fullmatch(self.mail_domain),
            Words("mail domain"),
            self.mail_domain,
            Words("use a domain name"),
        )
        _require(
            is_colour(self.accent),
            Words("accent colour"),
            self.accent,
            Words("write it as #1d4e89"),
        )
        parts = urlsplit(self.base_url)
        _require(
            parts.scheme in {"http", "https"} and parts.hostname and self.base_url[-1] != "/",
            Words("base address"),
            self.base_url,
            Words("write it as https://news.example.org"),
        )
        for text in (self.name, self.sender_name, self.tagline or ""):
            _require(
                not _UNPRINTABLE.search(text),
                Words("name"),
                text,
                Words("remove its control characters"),
            )
        for address in filter(None, (self.sender_address, self.reply_to)):
            plain = not parse_address(address).needs_smtputf8
            _require(plain, Words("address"), address, Words("use ASCII letters before the @"))

    @property
    def logo_url(self) -> str | None:
        return f"{self.base_url}/media/{self.theme.logo.file}" if self.theme.logo else None

    @property
    def is_tracked(self) -> bool:
        """Whether its mail has a pixel, and links that lead over this installation."""
        return self.tracking is not Tracking.OFF

    @property
    def postal_lines(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.postal_address.splitlines() if line.strip())


def _require(condition: object, what: Words, value: str, remedy: Words) -> None:
    if not condition:
        raise InputError(
            "The list's {what} {value!r} cannot be used: {remedy}.",
            what=what,
            value=value,
            remedy=remedy,
        )
