"""S-13 and H-30: what is an address here, how it is written once, and what a log may show of it."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.addresses import (
    HASH_BYTES,
    LONGEST_ADDRESS,
    Address,
    address_hash,
    mask_address,
    mask_addresses,
    parse_address,
)
from newsletter.errors import AddressError

LOCAL_64 = "a" * 64
LABEL_63 = "b" * 63
LONG_DOMAIN = ".".join(["c" * 60] * 3)

ACCEPTED = [
    # plain shapes
    ("ada@readers.example", "ada@readers.example"),
    ("Ada@readers.example", "Ada@readers.example"),
    ("ADA@READERS.EXAMPLE", "ADA@readers.example"),
    ("ada@Readers.Example", "ada@readers.example"),
    ("ada.lovelace@readers.example", "ada.lovelace@readers.example"),
    ("a.b.c.d@readers.example", "a.b.c.d@readers.example"),
    ("ada+briefing@readers.example", "ada+briefing@readers.example"),
    ("ada-lovelace@readers.example", "ada-lovelace@readers.example"),
    ("ada_lovelace@readers.example", "ada_lovelace@readers.example"),
    ("_@readers.example", "_@readers.example"),
    ("-@readers.example", "-@readers.example"),
    ("+@readers.example", "+@readers.example"),
    ("1@readers.example", "1@readers.example"),
    ("12345@readers.example", "12345@readers.example"),
    ("a@b.example", "a@b.example"),
    ("a@b.co", "a@b.co"),
    ("a@1.example", "a@1.example"),
    ("a@123.example", "a@123.example"),
    ("a@1and1.example", "a@1and1.example"),
    ("a@b-c.example", "a@b-c.example"),
    ("a@b--c.example", "a@b--c.example"),
    ("a@b.c.d.e.f.example", "a@b.c.d.e.f.example"),
    ("a@mail.readers.example", "a@mail.readers.example"),
    ("a@test.example", "a@test.example"),
    ("a@localhost.example", "a@localhost.example"),
    ("a@local.internal.example", "a@local.internal.example"),
    # every other character that an unquoted local part may hold
    ("o'rourke@readers.example", "o'rourke@readers.example"),
    ("a#b@readers.example", "a#b@readers.example"),
    ("a$b@readers.example", "a$b@readers.example"),
    ("a&b@readers.example", "a&b@readers.example"),
    ("a*b@readers.example", "a*b@readers.example"),
    ("a/b@readers.example", "a/b@readers.example"),
    ("a=b@readers.example", "a=b@readers.example"),
    ("a?b@readers.example", "a?b@readers.example"),
    ("a^b@readers.example", "a^b@readers.example"),
    ("a`b@readers.example", "a`b@readers.example"),
    ("a{b@readers.example", "a{b@readers.example"),
    ("a|b@readers.example", "a|b@readers.example"),
    ("a}b@readers.example", "a}b@readers.example"),
    ("a~b@readers.example", "a~b@readers.example"),
    # blanks around it
    (" ada@readers.example", "ada@readers.example"),
    ("ada@readers.example ", "ada@readers.example"),
    ("\tada@readers.example\t ", "ada@readers.example"),
    # as long as it may be
    (f"{LOCAL_64}@readers.example", f"{LOCAL_64}@readers.example"),
    (f"a@{LABEL_63}.example", f"a@{LABEL_63}.example"),
    (f"{'a' * 63}@{LONG_DOMAIN}.example", f"{'a' * 63}@{LONG_DOMAIN}.example"),
    ("é" * 32 + "@readers.example", "é" * 32 + "@readers.example"),
    # domains in other scripts
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
    ("a@bu\u0308cher.example", "a@xn--bcher-kva.example"),
    ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"),
    ("a@faß.example", "a@xn--fa-hia.example"),
    ("a@例子.example", "a@xn--fsqu00a.example"),
    ("a@почта.example", "a@xn--80a1acny.example"),
    ("a@مثال.example", "a@xn--mgbh0fb.example"),
    ("a@उदाहरण.example", "a@xn--p1b6ci4b4b3a.example"),
    ("a@παράδειγμα.example", "a@xn--hxajbheg2az3al.example"),
    ("a@ｂ.example", "a@b.example"),
    ("a@Ｂ.example", "a@b.example"),
    ("a@b。example", "a@b.example"),
    ("a@b.xn--p1ai", "a@b.xn--p1ai"),
    ("a@b.рф", "a@b.xn--p1ai"),
    # a lookalike is an address of its own, and its A-label shows it
    ("a@аррӏе.example", "a@xn--80ak6aa92e.example"),
    # local parts in other scripts
    ("用户@readers.example", "用户@readers.example"),
    ("用户@例子.example", "用户@xn--fsqu00a.example"),
    ("тарас@почта.example", "тарас@xn--80a1acny.example"),
    ("ليلى@readers.example", "ليلى@readers.example"),
    ("é@readers.example", "é@readers.example"),
    ("e\u0301@readers.example", "é@readers.example"),
    ("Groß@readers.example", "Groß@readers.example"),
]

REFUSED = [
    # nothing, or not enough
    "",
    " ",
    "@",
    "a@",
    "@b.example",
    "a",
    "ada.readers.example",
    "a@b",
    "a@example",
    "a at b.example",
    "a(at)b.example",
    # more than one
    "a@b@c.example",
    "a@@b.example",
    "a@b.example,c@d.example",
    "a@b,c@d.example",
    "a@b.example;c@d.example",
    "a@b.example c@d.example",
    "a@b.example\nc@d.example",
    # dressed up
    "<a@b.example>",
    "Ada <a@b.example>",
    '"Ada" <a@b.example>',
    "a@b.example>",
    "<a@b.example",
    "mailto:a@b.example,",
    "a@b.example (Ada)",
    "(Ada) a@b.example",
    "a(comment)@b.example",
    "a@(comment)b.example",
    "a@b.example(x@y)",
    "Ada: a@b.example;",
    "'a@b.example'",
    "[a@b.example]",
    # quoted
    '"a"@b.example',
    '"a b"@b.example',
    '"a@c.example"@b.example',
    '"a\\"b"@b.example',
    '""@b.example',
    'a"b"@b.example',
    '"x\r\nRCPT TO:<z@z.example>"@b.example',
    # routes through other hosts
    "a%c.example@b.example",
    "%@b.example",
    "c.example!a@b.example",
    "!@b.example",
    "@c.example:a@b.example",
    "@c.example,@d.example:a@b.example",
    # injection
    "a@b.example\r\nRCPT TO:<z@z.example>",
    "a@b>\r\nRCPT TO:<z@z.example",
    "a@b.example\r\n",
    "a@b.example\n",
    "a@b.example\r",
    "\na@b.example",
    "a\n@b.example",
    "a\r@b.example",
    "a@\nb.example",
    "a\x00@b.example",
    "a@b\x00.example",
    "a@b.example\x00",
    "a\x1b@b.example",
    "a\x7f@b.example",
    "a\x85@b.example",
    "a@b.example\x85",
    "a\u2028@b.example",
    "a@b\u2028.example",
    "a@b.example\u2029",
    "a@b.example%0d%0aBcc:z@z.example",
    # unseen
    "a\u200bb@c.example",
    "a\u00adb@c.example",
    "a\u202eb@c.example",
    "a\u2066b@c.example",
    "a\ufeff@c.example",
    "\ufeffa@c.example",
    "a\u00a0b@c.example",
    "\u00a0a@c.example",
    "a@b\u202e.example",
    "a@b\u200b\u200b.example\u200b@",
    "\ud800@b.example",
    # characters that need quotes
    "a b@c.example",
    "a@b c.example",
    "a @b.example",
    "a@ b.example",
    "a,b@c.example",
    "a:b@c.example",
    "a;b@c.example",
    "a<b@c.example",
    "a>b@c.example",
    "a[b@c.example",
    "a]b@c.example",
    "a\\b@c.example",
    "a(b@c.example",
    "a)b@c.example",
    # dots
    ".a@b.example",
    "a.@b.example",
    "a..b@c.example",
    ".@b.example",
    "a@.b.example",
    "a@b..example",
    "a@b.example.",
    "a@.",
    "a@b.",
    # domains that are none
    "a@-b.example",
    "a@b-.example",
    "a@b.-example",
    "a@b_c.example",
    "a@b!c.example",
    "a@b/c.example",
    "a@b.example/path",
    "a@b.example:25",
    "a@b.example?subject=x",
    "a@*.example",
    "a@b'c.example",
    "a@😀.example",
    "a@xn--a.example",
    "a@xn--.example",
    "a@xn--bcher-kva-.example",
    "a@ab--cd.example",
    "a@b.123",
    # numbers in place of a name
    "a@127.0.0.1",
    "a@[127.0.0.1]",
    "a@[IPv6:::1]",
    "a@::1",
    "a@2130706433",
    "a@0x7f.1",
    # names that nobody can receive mail at
    "a@localhost",
    "a@b.localhost",
    "a@b.localdomain",
    "a@printer.local",
    "a@b.invalid",
    "a@b.test",
    "a@b.onion",
    "a@b.alt",
    "a@b.internal",
    "é@b.internal",
    "a@bücher.internal",
    "a'b@b.localdomain",
    "a@router.home.arpa",
    "a@1.0.0.127.in-addr.arpa",
    "a@B.TEST",
    # too long
    f"a{LOCAL_64}@b.example",
    f"a'{LOCAL_64}@b.example",
    f"a@b{LABEL_63}.example",
    f"{LOCAL_64}@{LONG_DOMAIN}.example",
    f"{LOCAL_64}@{'d.' * 120}example",
    "é" * 33 + "@readers.example",
    f"a@{'ü' * 60}.example",
    f"{'ΐ' * 32}@{LONG_DOMAIN}.example",
    "a" * 1_000_000,
    f"a@{'b.' * 100_000}example",
]


@pytest.mark.parametrize(
    ("text", "normal"),
    ACCEPTED,
    ids=[f"{number} {text[:40]!a}" for number, (text, _) in enumerate(ACCEPTED)],
)
def test_s13_an_address_has_one_normal_form(text: str, normal: str) -> None:
    assert str(parse_address(text)) == normal


@pytest.mark.parametrize(
    "text", REFUSED, ids=[f"{number} {text[:40]!a}" for number, text in enumerate(REFUSED)]
)
def test_s13_what_is_no_bare_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(AddressError) as refusal:
        parse_address(text)

    assert str(refusal.value)


def test_the_table_holds_two_hundred_addresses() -> None:
    assert len({text for text, _ in ACCEPTED} | set(REFUSED)) >= 200


_LOCALS = st.text(string.ascii_letters + string.digits + "_+-'", min_size=1, max_size=20)
_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
_ADDRESSES = st.builds(lambda local, label: f"{local}@{label}.example", _LOCALS, _LABELS)
_ANYTHING = st.one_of(
    _ADDRESSES,
    st.text(max_size=40),
    st.builds("{}@{}.example".format, st.text(max_size=20), st.text(max_size=20)),
    st.emails(),
)


@given(_ANYTHING)
def test_parsing_is_idempotent_and_never_fails_otherwise(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return

    again = parse_address(str(address))

    assert again == address
    assert again.key == address.key


@given(_ANYTHING)
def test_h30_an_accepted_address_fits_the_wire_and_the_database(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return

    assert len(str(address).encode()) <= LONGEST_ADDRESS
    assert len(address.key) <= LONGEST_ADDRESS
    assert len(address.local.encode()) <= 64
    assert address.domain.isascii()
    assert address.domain == address.domain.lower()
    assert str(address).isprintable()
    assert not set(str(address)) & set(' "(),:;<>[\\]')


@given(_ADDRESSES)
def test_spellings_that_differ_in_case_are_one_person(text: str) -> None:
    lower, upper = parse_address(text.lower()), parse_address(text.upper())

    assert lower.key == upper.key
    assert address_hash(lower) == address_hash(upper)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Readers.example", "ada@readers.example"),
        ("GROSS@readers.example", "groß@readers.example"),
        ("e\u0301@readers.example", "É@readers.example"),
        ("a@bücher.example", "A@xn--bcher-kva.example"),
    ],
)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert parse_address(one).key == parse_address(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@readers.example", "a.da@readers.example"),
        ("ada@readers.example", "ada+x@readers.example"),
        ("ada@readers.example", "аda@readers.example"),
    ],
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert parse_address(one).key != parse_address(other).key


def test_only_a_local_part_in_another_script_needs_smtputf8() -> None:
    assert parse_address("用户@readers.example").needs_smtputf8
    assert not parse_address("a@例子.example").needs_smtputf8


def test_the_hash_is_keyed_so_that_nobody_can_guess_addresses_from_it() -> None:
    address = Address("ada", "readers.example")

    hashed = address_hash(address)

    assert len(hashed) == HASH_BYTES
    assert hashed != hashlib.blake2b(address.key.encode(), digest_size=HASH_BYTES).digest()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ada@readers.example", "a***@r***.example"),
        ("ada@mail.readers.example", "a***@m***.readers.example"),
        ("用户@例子.example", "用***@例***.example"),
        ("ada@localhost", "a***@l***.***"),
        ("ada lovelace", "a***"),
        ("ada.lovelace", "a***"),
        ("Ada <ada@readers.example> 555-0100", "A***@r***.***"),
        ("ada@b.example, bo@readers.example", "a***@r***.example"),
        ("\r\nada@readers.example\r\n", "a***@r***.example"),
        ("ada@readers.example\r\nFORGED line", "a***@r***.***"),
        ("\x1b[31mada@readers.example", "***@r***.example"),
        ("@", "***@***.***"),
        ("", "***"),
    ],
)
def test_s26_a_masked_address_tells_no_more_than_first_letters(text: str, masked: str) -> None:
    assert mask_address(text) == masked


@given(
    st.text(string.ascii_lowercase, min_size=3, max_size=20).map(lambda name: f"q{name}q"),
    st.sampled_from(["readers.example", "x", "", "readers.example\r\nx", "a b.c"]),
)
def test_s26_the_mask_never_shows_the_local_part(local: str, domain: str) -> None:
    masked = mask_address(f"{local}@{domain}")

    assert local not in masked
    assert masked.startswith("q***@")
    assert masked.isprintable()


@given(st.text(max_size=60))
def test_s26_the_mask_of_anything_is_one_printable_line(text: str) -> None:
    masked = mask_address(text)

    assert masked.isprintable()
    assert "***" in masked


@pytest.mark.parametrize(
    ("words", "masked"),
    [
        ("5.1.1 <ada@readers.example>: no such user", "5.1.1 <a***@r***.example>: no such user"),
        ("to=bo@post.example,cy@mail.example", "t***@p***.example,c***@m***.example"),
        ("try again @ noon", "try again @ noon"),
        ("no address in here", "no address in here"),
    ],
)
def test_addresses_in_a_servers_words_are_masked(words: str, masked: str) -> None:
    assert mask_addresses(words) == masked
