"""What the links of single mails open: one's data, one's erasure, and one's other address.

Scanners follow links, so that only the button on the page does anything.
"""

import io

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.audience import moving, privacy
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import TokenError
from newsletter.report.personal_data import write_archive
from newsletter.tokens import PersonRef, Purpose
from newsletter.web.deps import Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.public.notice import HEADERS, ask, notice
from newsletter.web.public.person import browsers_words, owner_of, read_ref, too_old
from newsletter.web.public.preference_words import PreferenceWords, preference_words

YES = "yes"
FILE = "my-data.zip"


async def my_data(request: Request) -> Response:
    deps, ref = deps_of(request), read_ref(request, Purpose.DATA)
    is_wanted = request.method == "POST" and YES in await read_form(request)
    step = _hand_over if is_wanted else _ask_for_data
    return await run_in_threadpool(step, deps, ref, browsers_words(request))


async def erase_me(request: Request) -> Response:
    deps, ref = deps_of(request), read_ref(request, Purpose.ERASE)
    is_wanted = request.method == "POST" and YES in await read_form(request)
    step = _erase if is_wanted else _ask_for_erasure
    return await run_in_threadpool(step, deps, ref, browsers_words(request))


async def move(request: Request) -> Response:
    deps = deps_of(request)
    try:
        reference, is_new = deps.tokens.read_move(request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error
    is_wanted = request.method == "POST" and YES in await read_form(request)
    return await run_in_threadpool(
        _agree if is_wanted else _ask_for_agreement, deps, reference, is_new
    )


def _ask_for_data(deps: Deps, ref: PersonRef, browsers: PreferenceWords) -> Response:
    with reading(deps.engine) as session:
        owner = owner_of(session, ref)
    if owner is None:
        return too_old(browsers)
    words = owner.words
    return ask(
        words,
        words.data_title,
        words.data_lead,
        field=YES,
        button=words.data_get,
        sender=owner.sender,
    )


def _hand_over(deps: Deps, ref: PersonRef, browsers: PreferenceWords) -> Response:
    file = io.BytesIO()
    with reading(deps.engine) as session:
        if owner_of(session, ref) is None:
            return too_old(browsers)
        data = privacy.personal_data(session, ref.subscriber_id)
    write_archive(data, file, now=utc_now())
    disposition = {"Content-Disposition": f'attachment; filename="{FILE}"'}
    return Response(file.getvalue(), media_type="application/zip", headers=HEADERS | disposition)


def _ask_for_erasure(deps: Deps, ref: PersonRef, browsers: PreferenceWords) -> Response:
    with reading(deps.engine) as session:
        owner = owner_of(session, ref)
    if owner is None:
        return too_old(browsers)
    words = owner.words
    return ask(
        words,
        words.erase_title,
        words.erase_lead.format(address=owner.masked_address),
        field=YES,
        button=words.erase_yes,
        sender=owner.sender,
    )


def _erase(deps: Deps, ref: PersonRef, browsers: PreferenceWords) -> Response:
    with transaction(deps.engine) as session:
        owner = owner_of(session, ref)
        if owner is None:
            return too_old(browsers)
        words, sender = owner.words, owner.sender
        privacy.erase(session, ref.subscriber_id, source="preferences", now=utc_now())
    return notice(words, words.erased, words.erased_lead, sender=sender, is_done=True)


def _ask_for_agreement(deps: Deps, reference: str, is_new: bool) -> Response:
    with reading(deps.engine) as session:
        found = moving.look_at_move(session, reference, is_new=is_new, now=utc_now())
    words = preference_words(found.language)
    if found.standing is not moving.Standing.WAITS:
        return _end_of_move(words, found)
    return ask(
        words,
        words.agree_title,
        words.agree_lead.format(address=found.other),
        field=YES,
        button=words.agree_button,
    )


def _agree(deps: Deps, reference: str, is_new: bool) -> Response:
    with transaction(deps.engine) as session:
        found = moving.agree_to_move(session, reference, is_new=is_new, now=utc_now())
    return _end_of_move(preference_words(found.language), found)


def _end_of_move(words: PreferenceWords, found: moving.Move) -> Response:
    match found.standing:
        case moving.Standing.WAITS:
            lead = words.agreed_lead.format(address=found.other)
            return notice(words, words.agreed, lead, is_done=True)
        case moving.Standing.DONE:
            return notice(words, words.moved, words.moved_lead, is_done=True)
        case moving.Standing.TAKEN:
            return notice(words, words.taken, words.taken_lead)
        case moving.Standing.GONE:
            return too_old(words)
