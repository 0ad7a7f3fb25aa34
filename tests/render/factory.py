"""Briefings, mastheads and readers for the tests, by hand: no parser stands between."""

import datetime
from functools import cache
from typing import Any

from newsletter.addresses import parse_address
from newsletter.compose.briefing import Briefing, Image, KeyPoint, RichText, Section, Span, Story
from newsletter.render.compile import compile_edition
from newsletter.render.compiled import Compiled
from newsletter.render.masthead import Masthead
from newsletter.render.recipient import Recipient
from newsletter.tokens import Tokens

EDITION_ID = 12
PUBLIC_ID = "Xk3v9QpL"
SUBJECT = "TikTok on a US split; ex-Lenovo chair passes"
PREHEADER = "ByteDance buys back options at $170, JD Logistics grows, QQ tests an AI companion."
TOKENS = Tokens(((0, "a secret for tests that is long enough to pass"),))
MORNING = datetime.datetime(2024, 3, 7, 6, 30, tzinfo=datetime.UTC)


def rich(text: str) -> RichText:
    return (Span(text),)


def make_masthead(**changes: Any) -> Masthead:
    fields: dict[str, Any] = {
        "list_id": 3,
        "slug": "morning-brief",
        "name": "The Morning Brief",
        "tagline": "Technology before breakfast",
        "sender_name": "The Morning Brief",
        "sender_address": "brief@mail.example.org",
        "reply_to": "desk@example.org",
        "postal_address": "Example News\n1 Press Lane\nLondon EC4",
        "mail_domain": "mail.example.org",
        "base_url": "https://news.example.org",
    }
    return Masthead(**(fields | changes))


def make_briefing(**changes: Any) -> Briefing:
    fields: dict[str, Any] = {
        "title": "TikTok on US Split; Ex-Lenovo Chair Passes",
        "series": "Tech Brief",
        "credits": {"producer": "Sohu Technology", "editor": "Wang Yiqing"},
        "date": datetime.date(2024, 3, 7),
        "intro": (rich("What happened in the tech world last night and this morning?"),),
        "key_points": (
            KeyPoint("ByteDance starts a new buyback at $170.", 1),
            KeyPoint("Liu Chuanzhi has passed away at the age of 92.", 3),
            KeyPoint("A point that announces no story at all."),
        ),
        "sections": (
            Section(
                "Major Updates",
                (
                    Story(
                        "ByteDance Starts a New Round of Buybacks & Prices Rise <Slightly>",
                        (
                            rich(
                                "On March 5th local time, ByteDance will start a new round. The "
                                "price for employees is $170 per share, for departing ones $145."
                            ),
                            (
                                Span("The price was "),
                                Span("first reported", href="https://jiemian.example/a?b=1&c=2"),
                                Span(" by "),
                                Span("Jiemian", strong=True),
                                Span(" and "),
                                Span("others", emphasis=True),
                                Span("."),
                            ),
                        ),
                        source="Jiemian",
                        href="https://jiemian.example/a?b=1&c=2",
                    ),
                    Story("XPeng Requires Dealers to Stock", (rich("Dealers buy half."),)),
                ),
            ),
            Section(
                "Tech Figure",
                (
                    Story(
                        "Liu Chuanzhi Passes Away at 92",
                        (rich("Former chairman of Lenovo Holdings."),),
                        source="CCF",
                        images=(
                            Image("https://img.example/liu.jpg", "Liu Chuanzhi in 2012"),
                            Image("image_link", "Financial Associated Press"),
                        ),
                    ),
                ),
            ),
        ),
    }
    return Briefing(**(fields | changes))


def make_chinese_briefing() -> Briefing:
    body = "字节跳动将启动新一轮期权回购，在职员工的回购价格为每股170美元，离职员工为每股145美元。"
    return Briefing(
        title="TikTok回应拆分提案；联想控股原董事长逝世",
        series="科技早报",
        credits={"producer": "搜狐科技", "editor": "王一清"},
        date=datetime.date(2024, 3, 7),
        intro=(rich("今天是3月7日，星期四。昨夜今晨，科技圈发生了哪些大事？"),),
        key_points=(KeyPoint("字节跳动启动新一轮期权回购。", 1), KeyPoint("柳传志逝世。", 2)),
        sections=(
            Section(
                "要闻",
                (
                    Story("字节跳动启动新一轮期权回购", (rich(body * 4),), source="界面新闻"),
                    Story("联想控股原董事长柳传志逝世，享年92岁", (rich(body * 3),)),
                ),
            ),
        ),
        language="zh",
    )


def make_compiled(
    briefing: Briefing | None = None,
    masthead: Masthead | None = None,
    *,
    subject: str = SUBJECT,
    preheader: str = PREHEADER,
) -> Compiled:
    if (briefing, masthead, subject, preheader) == (None, None, SUBJECT, PREHEADER):
        return _usual()
    return _compile(briefing or make_briefing(), masthead or make_masthead(), subject, preheader)


@cache
def _usual() -> Compiled:
    return _compile(make_briefing(), make_masthead(), SUBJECT, PREHEADER)


def _compile(briefing: Briefing, masthead: Masthead, subject: str, preheader: str) -> Compiled:
    return compile_edition(
        briefing,
        masthead,
        edition_id=EDITION_ID,
        public_id=PUBLIC_ID,
        subject=subject,
        preheader=preheader,
    )


def make_recipient(name: str = "Ada Lovelace", **changes: Any) -> Recipient:
    fields: dict[str, Any] = {
        "subscriber_id": 90210,
        "list_id": 3,
        "address": parse_address("ada.lovelace@readers.example"),
        "name": name,
        "joined_on": datetime.date(2023, 9, 1),
    }
    return Recipient(**(fields | changes))
