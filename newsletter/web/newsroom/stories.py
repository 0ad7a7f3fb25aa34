"""The inbox of stories: what a list's feeds brought, and its way into a draft; the feeds themselves."""

from collections.abc import Sequence
from urllib.parse import urlencode

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.candidates import (
    bring_back,
    counts,
    get_candidate,
    hand_in,
    settle,
    shown_candidates,
    told_stories,
)
from newsletter.compose.feeds import (
    add_feed,
    feeds_of,
    get_feed,
    read_now,
    remove_feed,
    rename_feed,
)
from newsletter.db import GREATEST_LONG_KEY
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Candidate, CandidateState, Edition, MailingList
from newsletter.plan.inbox import OpenDraft, open_drafts, take_out, use_candidate
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.web.numbers import whole_number
from newsletter.words import Words

PAGE = 40
TABS: dict[str, Sequence[CandidateState]] = {
    "new": (CandidateState.NEW, CandidateState.WAITING, CandidateState.UNREADABLE),
    "told": (CandidateState.TOLD,),
    "used": (CandidateState.USED,),
    "dismissed": (CandidateState.DISMISSED,),
}


def inbox(visit: Visit) -> Response:
    mailing_list = _list(visit)
    if mailing_list is None:
        return visit.page("stories/no_list.html")
    return _inbox(visit, mailing_list)


def hand_in_page(visit: Visit) -> Response:
    mailing_list = _posted_list(visit)
    url = visit.form.get("url")
    try:
        row = hand_in(visit.session, mailing_list.id, url, by=visit.by, now=visit.now)
    except InputError as error:
        return _inbox(visit, mailing_list, typed=url, wrong=said(error))
    notice = Words("It is looked at now; reload the page in a moment.")
    if row.state is not CandidateState.WAITING:
        notice = Words(
            "“{title}” is in the inbox already ({state}).",
            title=row.title or row.url,
            state=row.state,
        )
    return visit.go(_url(mailing_list), notice)


def use(visit: Visit) -> Response:
    candidate = _candidate(visit)
    edition_id, section = _target(visit.form.get("into"))
    visit.edition_numbered(edition_id, Role.WRITER)
    story = use_candidate(
        visit.session, candidate, edition_id, section=section, by=visit.by, now=visit.now
    )
    undo = Undo("Take it out again", f"/newsroom/stories/{candidate.id}/back", _place(visit))
    return visit.go(
        _back(visit), "“{headline}” is in the draft.", undo=undo, headline=story.headline
    )


def dismiss(visit: Visit) -> Response:
    candidate = _candidate(visit)
    settle(visit.session, candidate, CandidateState.DISMISSED, by=visit.by, now=visit.now)
    undo = Undo("Bring it back", f"/newsroom/stories/{candidate.id}/back", _place(visit))
    return visit.go(
        _back(visit), "“{title}” is dismissed.", undo=undo, title=candidate.title or candidate.url
    )


def back(visit: Visit) -> Response:
    candidate = _candidate(visit)
    if candidate.state is CandidateState.USED:
        if candidate.edition_id is not None:
            visit.edition_numbered(candidate.edition_id, Role.WRITER)
        take_out(visit.session, candidate, by=visit.by, now=visit.now)
    else:
        bring_back(visit.session, candidate, now=visit.now)
    return visit.go(
        _back(visit), "“{title}” is in the inbox again.", title=candidate.title or candidate.url
    )


def feeds(visit: Visit) -> Response:
    mailing_list = _list(visit)
    if mailing_list is None:
        return visit.page("stories/no_list.html")
    return _feeds(visit, mailing_list)


def add(visit: Visit) -> Response:
    mailing_list = _posted_list(visit)
    url = visit.form.get("url")
    try:
        feed = add_feed(visit.session, mailing_list.id, url, by=visit.by, now=visit.now)
    except InputError as error:
        return _feeds(visit, mailing_list, typed=url, wrong=said(error))
    visit.audit("feed added", feed.url, list_id=mailing_list.id)
    return visit.go(_feeds_url(mailing_list), "The feed is read now; reload the page in a moment.")


def rename(visit: Visit) -> Response:
    feed = get_feed(visit.session, visit.number("id"))
    visit.require(Role.WRITER, [feed.list_id])
    rename_feed(feed, visit.form.get("name"))
    return visit.go(
        _feeds_url(_list_of(visit, feed.list_id)), "The feed is called “{name}”.", name=feed.name
    )


def remove(visit: Visit) -> Response:
    feed = get_feed(visit.session, visit.number("id"))
    visit.require(Role.EDITOR, [feed.list_id])
    remove_feed(visit.session, feed.id)
    visit.audit("feed removed", feed.url, list_id=feed.list_id)
    notice = Words(
        "“{name}” is read no more; what it brought stays in the inbox.", name=feed.name or feed.url
    )
    return visit.go(_feeds_url(_list_of(visit, feed.list_id)), notice)


def read_feeds(visit: Visit) -> Response:
    mailing_list = _posted_list(visit)
    read_now(visit.session, mailing_list.id, now=visit.now)
    return visit.go(_back(visit), "The feeds are read now; reload the page in a moment.")


def _inbox(
    visit: Visit, mailing_list: MailingList, *, typed: str = "", wrong: str | None = None
) -> Response:
    session, tab = visit.session, visit.query("tab")
    tab = tab if tab in TABS else "new"
    shown = shown_candidates(
        session,
        mailing_list.id,
        TABS[tab],
        before=visit.query_number("before", greatest=GREATEST_LONG_KEY),
        words=visit.query("q"),
        most=PAGE + 1,
    )
    within = visit.identity.list_ids
    told = told_stories(session, mailing_list.id, within=within, now=visit.now)
    drafts = open_drafts(session, mailing_list.id, within=within)
    by_state = counts(session, mailing_list.id)
    return visit.page(
        "stories/inbox.html",
        status=422 if wrong else 200,
        mailing_list=mailing_list,
        lists=visit.lists_in_use(Role.WRITER),
        tab=tab,
        tabs={name: sum(by_state.get(each, 0) for each in TABS[name]) for name in TABS},
        words=visit.query("q"),
        shown=shown[:PAGE],
        told={
            each.first.id: found
            for each in shown[:PAGE]
            if tab == "new" and (found := told.find(each.first.url, each.first.title))
        },
        open_editions=_open_editions(visit, [each.first for each in shown]),
        next_before=shown[PAGE - 1].first.id if len(shown) > PAGE else None,
        drafts=drafts,
        into=_chosen(drafts, visit.query("into")),
        feeds=feeds_of(session, [mailing_list.id]),
        typed=typed,
        wrong=wrong,
        here=visit.request.url.query,
        may_write=visit.may(Role.WRITER, [mailing_list.id]),
    )


def _open_editions(visit: Visit, candidates: Sequence[Candidate]) -> set[int]:
    """Of the editions that stories went into, those that the visitor may look at."""
    ids = {each.edition_id for each in candidates if each.edition_id is not None}
    is_visible = Edition.goes_only_to(visit.identity.list_ids)
    return set(visit.session.scalars(select(Edition.id).where(Edition.id.in_(ids), is_visible)))


def _feeds(
    visit: Visit, mailing_list: MailingList, *, typed: str = "", wrong: str | None = None
) -> Response:
    return visit.page(
        "stories/feeds.html",
        status=422 if wrong else 200,
        mailing_list=mailing_list,
        lists=visit.lists_in_use(Role.WRITER),
        feeds=feeds_of(visit.session, [mailing_list.id]),
        typed=typed,
        wrong=wrong,
        may_remove=visit.may(Role.EDITOR, [mailing_list.id]),
    )


def _list(visit: Visit) -> MailingList | None:
    """The one that the address names, else the first; None when there is none to see."""
    lists, slug = visit.lists_in_use(Role.WRITER), visit.query("list")
    if slug and slug not in [each.slug for each in lists]:
        raise NotFoundError(NOT_HERE)
    return next((each for each in lists if not slug or each.slug == slug), None)


def _posted_list(visit: Visit) -> MailingList:
    found = next(
        (each for each in visit.lists_in_use(Role.WRITER) if each.slug == visit.form.get("list")),
        None,
    )
    if found is None:
        raise NotFoundError(NOT_HERE)
    return found


def _list_of(visit: Visit, list_id: int) -> MailingList:
    return visit.session.get_one(MailingList, list_id)


def _candidate(visit: Visit) -> Candidate:
    candidate = get_candidate(visit.session, visit.number("id", greatest=GREATEST_LONG_KEY))
    visit.require(Role.WRITER, [candidate.list_id])
    return candidate


def _target(text: str) -> tuple[int, int]:
    """`12.0`: the edition and the section of its draft."""
    written, _, place = text.partition(".")
    edition_id, section = whole_number(written), whole_number(place)
    if edition_id is None or section is None:
        raise InputError("Choose a draft that the story goes into.")
    return edition_id, section


def _chosen(drafts: Sequence[OpenDraft], into: str) -> str:
    """The target that the page was asked with if it is still there, else the newest draft's first."""
    targets = [f"{each.edition_id}.{place}" for each in drafts for place in _places(each)]
    if into in targets:
        return into
    return targets[0] if targets else ""


def _places(draft: OpenDraft) -> range:
    return range(len(draft.sections) or 1)


def _place(visit: Visit) -> dict[str, str]:
    return {"here": visit.form.get("here")}


def _back(visit: Visit) -> str:
    here = visit.form.get("here")
    return f"/newsroom/stories?{here}" if here else "/newsroom/stories"


def _url(mailing_list: MailingList) -> str:
    return f"/newsroom/stories?{urlencode({'list': mailing_list.slug})}"


def _feeds_url(mailing_list: MailingList) -> str:
    return f"/newsroom/stories/feeds?{urlencode({'list': mailing_list.slug})}"


SCREENS = (
    Screen("/newsroom/stories", get=inbox, post=hand_in_page, role=Role.WRITER),
    Screen("/newsroom/stories/feeds", get=feeds, post=add, role=Role.WRITER),
    Screen("/newsroom/stories/feeds/read", post=read_feeds, role=Role.WRITER),
    Screen("/newsroom/stories/feeds/{id}/rename", post=rename, role=Role.WRITER),
    Screen("/newsroom/stories/feeds/{id}/remove", post=remove, role=Role.EDITOR),
    Screen("/newsroom/stories/{id}/use", post=use, role=Role.WRITER),
    Screen("/newsroom/stories/{id}/dismiss", post=dismiss, role=Role.WRITER),
    Screen("/newsroom/stories/{id}/back", post=back, role=Role.WRITER),
)
