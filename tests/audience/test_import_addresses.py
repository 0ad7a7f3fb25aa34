"""The quick reader of addresses says what the strict one says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.addresses import parse_address
from newsletter.audience import import_addresses
from newsletter.audience.import_addresses import AddressReader
from newsletter.errors import AddressError

_LOCALS = st.one_of(
    st.text(alphabet="abzAZ09._+-", min_size=1, max_size=70),
    st.text(max_size=12),
    st.sampled_from(["x" * 64, "x" * 65, "ΐ" * 20, "a..b", ".a", "user%host", '"a b"']),
)
_DOMAINS = st.one_of(
    st.sampled_from(
        [
            *("readers.example", "Readers.EXAMPLE", "bücher.example", "xn--bcher-kva.example"),
            *("localhost", "a.test", "ab--c.example", "[127.0.0.1]", "readers.example.", ""),
            ".".join(["x" * 63] * 3) + ".example",
            ".".join(["x" * 63] * 4),
            ".".join(["x" * 60] * 4) + ".example",
        ]
    ),
    st.text(alphabet="abzAZ09.-", max_size=20).map(lambda name: f"{name}.example"),
    st.text(max_size=12),
)


def strictly(text: str) -> tuple[str, str, str] | None:
    try:
        address = parse_address(text)
    except AddressError:
        return None
    return str(address), address.key, address.domain


def quickly(reader: AddressReader, text: str) -> tuple[str, str, str] | None:
    try:
        return reader.read(text)
    except AddressError:
        return None


@settings(deadline=None)
@given(st.lists(st.tuples(_LOCALS, _DOMAINS), min_size=1, max_size=6))
def test_s13_it_agrees_with_the_strict_reader_on_every_address(
    parts: list[tuple[str, str]],
) -> None:
    reader = AddressReader()

    for local, domain in parts:
        text = f"{local}@{domain}".strip()
        assert quickly(reader, text) == strictly(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_s13_it_agrees_on_any_text(text: str) -> None:
    assert quickly(AddressReader(), text.strip()) == strictly(text.strip())


def test_it_forgets_domains_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_addresses, "MOST_REMEMBERED", 3)
    reader = AddressReader()

    for number in range(10):
        assert reader.read(f"a@d{number}.example")[2] == f"d{number}.example"
