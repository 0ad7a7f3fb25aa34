"""Turns a briefing into a compiled edition: Jinja once, premailer once, then cut at the slots."""

import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from newsletter.compose.anchors import Anchor
from newsletter.compose.briefing import Briefing
from newsletter.errors import InputError, RenderError
from newsletter.render import cut, palette
from newsletter.render.compiled import Announced, Compiled
from newsletter.render.cut import Sentinels, Slot
from newsletter.render.environment import mail_templates
from newsletter.render.inline import inline
from newsletter.render.letter import Letter, Link, write_letter
from newsletter.render.masthead import Masthead
from newsletter.render.plaintext import set_text
from newsletter.render.theme import font_stack
from newsletter.words import Words

_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def compile_edition(
    briefing: Briefing,
    masthead: Masthead,
    *,
    edition_id: int,
    public_id: str,
    subject: str,
    preheader: str,
    anchors: Sequence[Anchor] = (),
    taken: Sequence[Link] = (),
) -> Compiled:
    """`anchors` and `taken`, the links of earlier revisions, are as `write_letter` takes them.

    Raises `InputError` for a subject or preheader that is no line of text, and `RenderError` if
    the theme or the inliner lost anything.
    """
    for name, text in ((Words("subject"), subject), (Words("preheader"), preheader)):
        if _UNPRINTABLE.search(text):
            raise InputError(
                "The {name} holds a line break or a control character; remove it.", name=name
            )
    if not _PUBLIC_ID.fullmatch(public_id):
        raise RenderError(
            "{public_id!r} cannot stand in the address of a page", public_id=public_id
        )
    letter = write_letter(
        briefing,
        masthead,
        public_id=public_id,
        subject=subject,
        preheader=preheader,
        anchors=anchors,
        taken=taken,
    )
    sentinels = Sentinels(_typical_widths(masthead))
    html = render_html(letter, sentinels)
    inlined = inline(html)
    sentinels.assert_kept(html, inlined)
    text = set_text(letter, sentinels, sentinels.widen)
    return Compiled(
        edition_id=edition_id,
        public_id=public_id,
        subject=subject,
        preheader=preheader,
        language=briefing.language,
        masthead=masthead,
        boundary=f"=_{secrets.token_hex(12)}",
        links=letter.links,
        points=tuple(Announced(point.text, point.section) for point in letter.key_points),
        html=sentinels.cut(inlined),
        text=sentinels.cut(text),
    )


def render_html(letter: Letter, slot: Callable[[Slot], str]) -> str:
    """The page before its style sheet is inlined; `slot` says what to put in each place."""
    accent, theme = letter.masthead.accent, letter.masthead.theme
    reason = letter.words.reason.format(
        address=slot(cut.ADDRESS), list=letter.masthead.name, joined=slot(cut.JOINED)
    )
    return (
        mail_templates()
        .get_template("edition/body.html")
        .render(
            letter=letter,
            slot=slot,
            reason=reason,
            day=palette.day(accent, theme.backdrop),
            night=palette.night(accent),
            heading_font=font_stack(theme.heading_font).in_language(letter.words),
            text_font=font_stack(theme.text_font).in_language(letter.words),
            preheader=cut.PREHEADER,
            point_number=cut.POINT,
            between=cut.BETWEEN,
            part_end=cut.PART_END,
            greeting=cut.GREETING,
            unsubscribe=cut.UNSUBSCRIBE,
            preferences=cut.PREFERENCES,
            open=cut.OPEN,
            mail_only=cut.MAIL_ONLY,
            mail_end=cut.MAIL_END,
        )
        .lstrip()
    )


def _typical_widths(masthead: Masthead) -> Mapping[Slot, int]:
    """How long the plain text expects to be what is put in; any other slot is a link's address."""
    return defaultdict(
        lambda: len(masthead.base_url) + 44,
        {
            cut.ADDRESS: 24,
            cut.JOINED: 20,
            cut.GREETING: 24,
            cut.UNSUBSCRIBE: 42,
            cut.PREFERENCES: 42,
        },
    )
