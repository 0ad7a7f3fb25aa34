"""What comes after leaving: taking it back, and saying why, for as long as its page stands open."""

from collections.abc import Mapping

from starlette.responses import Response

from newsletter.audience.preferences import note_reason
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.errors import TokenError
from newsletter.models import LeavingReason
from newsletter.tokens import SubscriptionRef, UndoRef
from newsletter.track.unsubscribes import take_back
from newsletter.web.deps import Deps
from newsletter.web.pages import page
from newsletter.web.public.dress import Sender
from newsletter.web.public.notice import HEADERS, notice
from newsletter.web.public.preference_words import PreferenceWords

FIELD = "leaving"
"""Names the very leaving that the page is about: the link in a mail, which anybody may have, cannot."""


def show_left(
    deps: Deps,
    ref: UndoRef,
    words: PreferenceWords,
    *,
    title: str,
    lead: str,
    sender: Sender,
    settings_path: str,
) -> Response:
    return page(
        "public/unsubscribed.html",
        headers=HEADERS,
        words=words,
        title=title,
        lead=lead,
        sender=sender,
        unsubscribe_path=f"/u/{deps.tokens.unsubscribe(_nobodys_edition(ref))}",
        settings_path=settings_path,
        field=FIELD,
        token=deps.tokens.undo(ref),
    )


def answer(
    deps: Deps,
    ref: SubscriptionRef,
    form: Mapping[str, str],
    words: PreferenceWords,
    *,
    address: str,
    sender: Sender,
) -> Response:
    leaving = _read(deps, ref, form[FIELD])
    reason = _reason(form.get("why", ""))
    if reason is not None:
        if leaving is not None:
            with transaction(deps.engine) as session:
                note_reason(session, leaving, reason)
        return notice(words, words.thanks, words.thanks_lead, sender=sender, is_done=True)
    is_undone = False
    if leaving is not None and "undo" in form:
        with transaction(deps.engine) as session:
            is_undone = take_back(session, leaving, now=utc_now())
    if not is_undone:
        return notice(words, words.too_late, words.too_late_lead, sender=sender)
    lead = words.undone_lead.format(address=address, list=sender.name)
    return notice(words, words.undone, lead, sender=sender, is_done=True)


def _read(deps: Deps, ref: SubscriptionRef, token: str) -> UndoRef | None:
    try:
        leaving = deps.tokens.read_undo(token)
    except TokenError:
        return None
    is_same = (leaving.list_id, leaving.subscriber_id) == (ref.list_id, ref.subscriber_id)
    return leaving if is_same else None


def _reason(text: str) -> LeavingReason | None:
    numbers = {str(reason.value): reason for reason in LeavingReason}
    return numbers.get(text)


def _nobodys_edition(ref: UndoRef) -> SubscriptionRef:
    return SubscriptionRef(ref.list_id, 0, ref.subscriber_id)
