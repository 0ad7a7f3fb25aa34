"""What Word, Google Docs and web pages put on the clipboard, as briefing text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.compose.rich_paste import (
    FORMATTED_LEVELS,
    LONGEST_PASTE,
    MARKDOWN_LEVELS,
    text_of_html,
)
from newsletter.errors import InputError

WORD = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal{}</style>
</head><body lang=EN-US><!--StartFragment--><h1>Harbour <b>reopens</b><o:p></o:p></h1>
<p class=MsoNormal><b>First ferry sails</b><o:p></o:p></p>
<p class=MsoNormal>It<b> left at
noon </b>today. See <a href="https://example.org/a?b=1&amp;c=2">the *report*</a>.<o:p></o:p></p>
<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='mso-list:Ignore'>·<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp; </span></span><![endif]>One</p>
<p class=MsoListParagraph style='mso-list:l0 level1 lfo2'><span style='mso-list:Ignore'>2.<span>&nbsp;
</span></span>Two</p><!--EndFragment--></body></html>"""

WORD_TEXT = """# Harbour reopens

**First ferry sails**

It **left at noon** today. See [the \\*report\\*](https://example.org/a?b=1&c=2).

• One

2. Two"""

DOCS = """<meta charset='utf-8'><b style="font-weight:normal;" id="docs-internal-guid-1">
<h2 dir="ltr"><span style="font-weight:400">Port</span></h2>
<p dir="ltr"><span style="font-weight:700">Bold</span><span style="font-weight:400"> and </span>
<span style="font-style:italic">it</span></p>
<ul><li dir="ltr"><p role="presentation"><span>one</span></p></li><li><p>two</p></li></ul>
<ol start="3"><li>three</li><li>four</li></ol><br></b>"""

DOCS_TEXT = "## Port\n\n**Bold** and *it*\n\n• one\n\n• two\n\n3. three\n\n4. four"


@pytest.mark.parametrize(
    ("pasted", "text"),
    [
        (WORD, WORD_TEXT),
        (DOCS, DOCS_TEXT),
        ("just <b>words</b>", "just **words**"),
        ("one<br>two", "one\n\ntwo"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\n\nb"),
        ("<p>a<script>alert(1)</script><span style='display:none'>b</span>c</p>", "ac"),
        ("<a href='javascript:alert(1)'>x</a>", "x"),
        ("<p># not a heading *really*</p>", "# not a heading \\*really\\*"),
        ("<pre>a\nb</pre>", "a\n\nb"),
        ("<p>\u201cquoted\u201d&nbsp;&amp; 港口</p>", "\u201cquoted\u201d & 港口"),
        ("", ""),
        ("<!-- nothing -->", ""),
        ("<b></b>", ""),
    ],
)
def test_what_is_pasted_keeps_its_styles_links_and_lists(pasted: str, text: str) -> None:
    assert text_of_html(pasted, levels=MARKDOWN_LEVELS) == text


def test_headings_become_sections_and_stories_of_a_text_with_a_head() -> None:
    pasted = "<h1>Port</h1><h3>Ferry sails</h3><p>At noon.</p>"

    text = text_of_html(pasted, levels=FORMATTED_LEVELS)

    assert text == "# Port\n\n## Ferry sails\n\nAt noon."


def test_more_than_any_document_has_is_refused() -> None:
    with pytest.raises(InputError, match="Paste it as plain text"):
        text_of_html("x" * (LONGEST_PASTE + 1), levels=MARKDOWN_LEVELS)


def test_a_document_nested_without_end_is_read_as_far_as_it_goes() -> None:
    assert "deep" not in text_of_html("<div>" * 5_000 + "deep", levels=MARKDOWN_LEVELS)


@settings(deadline=None)
@given(st.text(alphabet="<>/abip \"='&;\x00liuo!-\n", max_size=200))
def test_no_paste_is_too_broken_to_be_read(pasted: str) -> None:
    text_of_html(pasted, levels=MARKDOWN_LEVELS)
