"""How pages name states, roles, reasons and fields, gathered here for translators."""

from enum import IntEnum

from newsletter.words import Words

_NAMES: tuple[Words, ...] = (
    *(Words("error"), Words("warning"), Words("hint")),
    *(Words("viewer"), Words("writer"), Words("editor"), Words("admin")),
    # Why somebody is never mailed.
    *(Words("bounced"), Words("complained"), Words("on request"), Words("imported"), Words("left")),
    # Why somebody left a list.
    *(Words("too much"), Words("not for me"), Words("never asked"), Words("elsewhere")),
    Words("other"),
    # What a person did about a list.
    *(Words("requested"), Words("confirmed"), Words("unsubscribed"), Words("import undone")),
    # How an edition stands, and a delivery of it.
    *(Words("draft"), Words("in review"), Words("approved"), Words("scheduled"), Words("sending")),
    *(Words("paused"), Words("sent"), Words("cancelled"), Words("waiting"), Words("deferred")),
    *(Words("failed"), Words("excluded"), Words("uncertain")),
    # Why a delivery did not go out.
    *(Words("suppressed"), Words("unconfirmed"), Words("on break"), Words("nothing left")),
    *(Words("segment"), Words("often enough"), Words("zone past"), Words("no such date")),
    *(Words("too late"), Words("refused"), Words("expired"), Words("unsendable"), Words("busy")),
    *(Words("connection"), Words("worker died"), Words("answer lost")),
    # By what it was found out whether somebody in doubt was mailed.
    *(Words("open"), Words("click"), Words("unsubscribe"), Words("bounce"), Words("relay")),
    *(Words("journal"), Words("person"), Words("policy")),
    # How an import stands, and why it left out a line.
    *(Words("received"), Words("running"), Words("done"), Words("undoing"), Words("undone")),
    *(Words("invalid address"), Words("address repeated"), Words("unknown time zone")),
    *(Words("unknown language"), Words("unknown status"), Words("bad date"), Words("bad tag")),
    *(Words("bad attribute"), Words("wrong number of fields"), Words("quotes do not match")),
    *(Words("control character"), Words("not in the encoding"), Words("too long")),
    # The fields that an error is about, where a page has no place for them.
    *(Words("address"), Words("after"), Words("aliases"), Words("at"), Words("backdrop")),
    *(Words("basis"), Words("break until"), Words("choices"), Words("confirm above")),
    *(Words("connections"), Words("cool-off seconds"), Words("day"), Words("days")),
    *(Words("deadline"), Words("delimiter"), Words("delivery time"), Words("description")),
    *(Words("e-mail"), Words("encoding"), Words("exclude"), Words("file"), Words("footer")),
    *(Words("hash"), Words("header"), Words("host"), Words("key"), Words("key_id")),
    *(Words("label"), Words("language"), Words("list"), Words("lists"), Words("logo")),
    *(Words("map"), Words("most a day"), Words("name"), Words("note"), Words("overwrites")),
    *(Words("passkey"), Words("password"), Words("people"), Words("port"), Words("position")),
    *(Words("preset"), Words("rate"), Words("reason"), Words("reply-to"), Words("role")),
    *(Words("scope"), Words("search"), Words("section"), Words("sections"), Words("send time")),
    *(Words("slot"), Words("slug"), Words("state"), Words("status"), Words("story")),
    *(Words("tags"), Words("time zone"), Words("until"), Words("username"), Words("when")),
    *(Words("zone"), Words("editors an hour"), Words("admins an hour")),
)
_BY_TEXT = {str(each): each for each in _NAMES}


def named(value: object) -> str:
    """Of an enum's member, or of what it is written as; what is not ours stays as it is."""
    text: str = value.name.lower() if isinstance(value, IntEnum) else str(value)
    text = text.replace("_", " ")
    return _BY_TEXT.get(text, text)
