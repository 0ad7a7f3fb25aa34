from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from newsletter.checks.draft import Draft, make_draft
from newsletter.checks.registry import CHECKS, run_checks
from newsletter.compose.briefing import Briefing, Image, KeyPoint, Section, Span, Story
from newsletter.compose.findings import Finding, Severity
from newsletter.render.cut import UNSUBSCRIBE, Cut
from newsletter.words import Words
from tests.render.factory import (
    MORNING,
    PREHEADER,
    SUBJECT,
    TOKENS,
    make_briefing,
    make_chinese_briefing,
    make_compiled,
    make_masthead,
    rich,
)

GOOD_STORY = Story("A Headline That Says It", (rich("A body of some words."),), source="Reuters")


def draft_of(
    briefing: Briefing | None = None,
    *,
    subject: str = SUBJECT,
    preheader: str = PREHEADER,
    **masthead: Any,
) -> Draft:
    briefing = briefing or good_briefing()
    compiled = make_compiled(
        briefing, make_masthead(**masthead), subject=subject, preheader=preheader
    )
    return make_draft(briefing, compiled, tokens=TOKENS, date=MORNING)


def good_briefing(*stories: Story, **changes: Any) -> Briefing:
    fields: dict[str, Any] = {
        "key_points": tuple(KeyPoint(f"Point {number}.", 1) for number in range(3)),
        "sections": (Section("News", stories or (GOOD_STORY,)),),
    }
    return make_briefing(**(fields | changes))


def found(draft: Draft) -> set[tuple[str, str]]:
    return {(finding.code, str(finding.severity)) for finding in run_checks(draft)}


def test_a_good_briefing_has_no_finding() -> None:
    assert run_checks(draft_of()) == []


def test_a_chinese_briefing_blocks_nothing() -> None:
    draft = draft_of(make_chinese_briefing(), subject="TikTok回应拆分提案；柳传志逝世")

    assert {finding.severity for finding in run_checks(draft)} == {Severity.WARNING}


def story(**changes: Any) -> Briefing:
    return good_briefing(replace(GOOD_STORY, **changes))


def linked(url: str) -> Briefing:
    return story(paragraphs=((Span("Read "), Span("this", href=url), Span(" now.")),))


@pytest.mark.parametrize(
    ("code", "severity", "briefing"),
    [
        ("section-empty", "error", good_briefing(sections=(Section("Empty", ()),))),
        (
            "section-empty",
            "error",
            good_briefing(sections=(Section("A", (GOOD_STORY,)), Section("B", ()))),
        ),
        ("story-no-body", "error", story(paragraphs=())),
        ("story-no-body", "error", story(paragraphs=(rich("  "),))),
        ("source-missing", "warning", story(source=None)),
        ("key-points", "warning", good_briefing(key_points=())),
        ("key-points", "warning", good_briefing(key_points=(KeyPoint("x" * 121, 1),) * 3)),
        ("key-points", "warning", good_briefing(key_points=(KeyPoint("Nothing."),) * 3)),
        ("image-placeholder", "warning", story(images=(Image("image_link", "Alt"),))),
        ("image-alt", "warning", story(images=(Image("https://i.example/a.png", ""),))),
        ("image-alt", "warning", story(images=(Image("https://i.example/a.png", "a.png"),))),
        ("image-alt", "warning", story(images=(Image("https://i.example/a.png", "x" * 126),))),
        ("placeholder-left", "error", story(headline="Hello {{ name }}")),
        ("placeholder-left", "error", story(paragraphs=(rich("Lorem ipsum dolor."),))),
        ("placeholder-left", "error", story(source="TODO")),
        ("placeholder-left", "error", linked("https://a.example/?x=*|ID|*")),
        ("charset", "error", story(headline="Bro\ufffden")),
        ("charset", "warning", story(headline="Itâ€™s broken")),
        ("link-bad", "error", linked("https://localhost/x")),
        ("link-bad", "error", linked("https://10.1.2.3/x")),
        ("link-bad", "error", linked("https://staging.internal/x")),
        ("link-bad", "error", linked("https://a.example/x y")),
        ("link-bad", "error", linked("https://a.example/x)")),
        ("link-bad", "error", linked("https://[a.example/x")),
        ("link-bad", "warning", linked("https://bit.ly/x")),
        ("link-insecure", "warning", linked("http://a.example/x")),
        ("html-clip", "error", story(paragraphs=(rich("word " * 21_000),))),
        ("html-clip", "warning", story(paragraphs=(rich("word " * 16_000),))),
        ("html-clip", "warning", story(paragraphs=(rich("字" * 24_000),))),
    ],
)
def test_each_rule_of_the_content_finds_its_offence(
    code: str, severity: str, briefing: Briefing
) -> None:
    assert (code, severity) in found(draft_of(briefing))


@pytest.mark.parametrize(
    ("code", "severity", "changes"),
    [
        ("subject-missing", "error", {"subject": " "}),
        ("subject-length", "warning", {"subject": "Short"}),
        ("subject-length", "warning", {"subject": "x" * 61}),
        ("subject-length", "error", {"subject": "x" * 151}),
        ("placeholder-left", "error", {"subject": "Hello [[FIRST]] and good morning"}),
        ("message-invalid", "error", {"subject": "Re: what you asked for"}),
        ("preheader", "warning", {"preheader": ""}),
        ("preheader", "warning", {"preheader": "Too short"}),
        ("preheader", "warning", {"preheader": "x" * 131}),
        ("preheader", "warning", {"preheader": SUBJECT.upper()}),
        ("postal-missing", "error", {"postal_address": "  \n"}),
        ("from-missing", "error", {"sender_name": ""}),
        ("message-invalid", "error", {"base_url": "http://news.example.org"}),
    ],
)
def test_each_rule_of_the_envelope_finds_its_offence(
    code: str, severity: str, changes: dict[str, Any]
) -> None:
    assert (code, severity) in found(draft_of(**changes))


@pytest.mark.parametrize(
    "words", ["up 30%, of which 77.6% is new", "{braces}", "TKO in round 3", "a 100% sale, 5% off"]
)
def test_ordinary_words_are_no_placeholders(words: str) -> None:
    assert "placeholder-left" not in {code for code, _ in found(draft_of(story(headline=words)))}


@pytest.mark.parametrize(
    "address",
    [
        "https://ko.example/%EA%B0%80%EB%82%98",
        "https://zh.example/%E5%AD%90A%E4%BA%BA",
        "?a=%DF%FF",
    ],
)
def test_letters_of_other_alphabets_in_an_address_are_no_placeholders(address: str) -> None:
    codes = {code for code, _ in found(draft_of(linked(address)))}

    assert "placeholder-left" not in codes


@pytest.mark.parametrize(
    "words",
    ["{% if %}", "[[NAME]]", "*|NAME|*", "%NAME%", "%%FIRST_NAME%%", "see image_link", "TK", "XXX"],
)
def test_what_templates_leave_behind_is_found(words: str) -> None:
    assert ("placeholder-left", "error") in found(draft_of(story(headline=f"Good, {words}.")))


def test_a_placeholder_image_does_not_block_the_sending() -> None:
    draft = draft_of(story(images=(Image("image_link", "Financial Associated Press"),)))

    (finding,) = run_checks(draft)

    assert finding.severity is Severity.WARNING
    assert "without it" in finding.message


def test_a_letter_without_an_unsubscribe_link_is_found() -> None:
    draft = draft_of()
    without = Cut.joined(
        (text, None if slot == UNSUBSCRIBE else slot) for text, slot in draft.compiled.html.pieces()
    )
    compiled = replace(draft.compiled, html=without)

    codes = found(make_draft(draft.briefing, compiled, tokens=TOKENS, date=MORNING))

    assert {("unsubscribe-missing", "error"), ("sentinel-count", "error")} <= codes


def test_a_letter_whose_text_lacks_a_story_is_found() -> None:
    draft = draft_of(good_briefing(GOOD_STORY, replace(GOOD_STORY, headline="The Second")))
    other = draft_of(good_briefing(replace(GOOD_STORY, headline="The Second"), GOOD_STORY))
    alone = draft_of()

    def with_text(source: Draft) -> set[tuple[str, str]]:
        compiled = replace(draft.compiled, text=source.compiled.text)
        return found(make_draft(draft.briefing, compiled, tokens=TOKENS, date=MORNING))

    assert ("text-mismatch", "error") in with_text(alone)
    assert ("text-mismatch", "warning") in with_text(other)


def test_a_letter_without_text_is_found() -> None:
    draft = draft_of()
    compiled = replace(draft.compiled, text=Cut(("",), ()))

    codes = found(make_draft(draft.briefing, compiled, tokens=TOKENS, date=MORNING))

    assert ("text-missing", "error") in codes


def test_a_head_that_gmail_would_drop_is_found() -> None:
    draft = draft_of()
    first, *rest = draft.compiled.html.statics
    heavy = first.replace("<style>", "<style>" + ".a { color: #123456; }\n" * 750, 1)
    compiled = replace(draft.compiled, html=Cut((heavy, *rest), draft.compiled.html.slots))

    codes = found(make_draft(draft.briefing, compiled, tokens=TOKENS, date=MORNING))

    assert ("head-css-size", "error") in codes


def test_errors_come_first() -> None:
    severities = [f.severity for f in run_checks(draft_of(story(source=None, paragraphs=())))]

    assert severities == sorted(severities, key=list(Severity).index)
    assert len(set(severities)) == 2


def test_every_check_is_a_generator_of_findings() -> None:
    draft = draft_of()

    for check in CHECKS:
        results: Iterator[Finding] = check(draft)
        assert list(results) == []


def test_what_is_known_by_line_is_not_said_again() -> None:
    read = [Finding("source-missing", Severity.WARNING, Words("No source here."), line=7, column=1)]
    draft = draft_of(story(source=None))

    assert run_checks(draft, read=read) == read
