"""What an edition's preview shows, and as whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from newsletter.compose.briefing import Briefing
from newsletter.errors import NotFoundError
from newsletter.models import Edition, MailingList, Subscriber, Subscription
from newsletter.plan.drafts import draft_of
from newsletter.plan.hiding import Hiding, hiding_now
from newsletter.plan.proofs import compile_as
from newsletter.render.compiled import Compiled
from newsletter.render.preview import Persona
from newsletter.settings import Settings

_JOINED = date(2024, 3, 7)


@dataclass(frozen=True, slots=True)
class Sample:
    """Somebody made up, to see what an odd reader sees; `who` says what is odd about them."""

    key: str
    who: str
    persona: Persona


@dataclass(frozen=True, slots=True)
class Previewed:
    """The draft as it stands now, dressed as one of its lists."""

    compiled: Compiled
    briefing: Briefing
    hiding: Hiding


SAMPLES = (
    Sample("ada", "a reader like most", Persona("Ada Lovelace", "ada@example.org", _JOINED)),
    Sample("nameless", "a reader who gave no name", Persona("", "reader@example.org")),
    Sample(
        "long",
        "a very long name and address",
        Persona(
            "Wolfgang Amadeus von und zu Hohenzollern-Sigmaringen-Schwarzenberg the Third",
            "wolfgang.amadeus.von.und.zu.hohenzollern-sigmaringen@correspondents.newspaper.example",
            _JOINED,
        ),
    ),
    Sample(
        "odd",
        "a name with signs of its own",
        Persona('<b>王小明</b> "O’Brien" & Søn', "小明@例え.example", _JOINED),
    ),
)


def preview_of(
    session: Session, edition: Edition, mailing_list: MailingList, *, settings: Settings
) -> Previewed:
    """Raises `InputError` and `RenderError` as compiling does."""
    content = draft_of(session, edition.id).content
    compiled = compile_as(mailing_list, content, edition, settings=settings)
    hiding = hiding_now(session, mailing_list.id, content.briefing)
    return Previewed(compiled, content.briefing, hiding)


def samples_of(previewed: Previewed) -> Sequence[Sample]:
    """Those who are always there, and one for each section that somebody may hide."""
    return (*SAMPLES, *_hiders(previewed))


def persona_of(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, previewed: Previewed
) -> Persona:
    """A real reader of the list. Raises `NotFoundError` for who is not and never was on it."""
    subscription = session.get(Subscription, (mailing_list.id, subscriber.id))
    if subscription is None:
        raise NotFoundError("Nobody of this number is on the list.")
    return Persona(
        subscriber.name,
        subscriber.address,
        subscription.joined_at.date(),
        previewed.hiding.places(subscription.hidden_sections),
    )


def _hiders(previewed: Previewed) -> Iterator[Sample]:
    for place, section in enumerate(previewed.briefing.sections):
        if previewed.hiding.bits[place] is not None:
            yield Sample(
                f"hides-{place}",
                f"a reader who hides “{section.name}”",
                Persona("Ada Lovelace", "ada@example.org", _JOINED, 1 << place),
            )
