import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from newsletter.clock import utc_now
from newsletter.devmail.received import Received
from newsletter.devmail.store import Counter, Store
from newsletter.errors import InputError

_random = random.Random(1)
LINES = [_random.randbytes(24).hex() for _ in range(900)]
OTHER_LINES = [_random.randbytes(24).hex() for _ in range(900)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


def mail(
    recipient: str = "ada@example.com", subject: str = "Hi", body: str = "Morning"
) -> Received:
    content = (
        f"From: The Desk <desk@news.example>\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n"
        f"{body}\r\n"
    )
    return Received(
        mail_from="bounce@news.example",
        rcpt_to=(recipient,),
        content=content.encode(),
        connection=3,
        at=utc_now(),
    )


def letter(number: int, lines: Sequence[str] = LINES) -> Received:
    """Some 45 kB, of which only the links are each reader's own."""
    token = random.Random(number).randbytes(27).hex()
    links = {n: f"https://news.example/c/{token}/{n}" for n in range(0, 900, 15)}
    body = "\r\n".join(links.get(n, line) for n, line in enumerate(lines))
    return mail(f"reader{number}@example.com", body=body)


def test_mail_is_listed_at_once_newest_first(store: Store) -> None:
    sent = [mail("ada@example.com", "One"), mail("bo@example.com", "Grüße")]

    for received in sent:
        store(received)

    newest, oldest = store.page()
    assert (newest.subject, newest.recipients) == ("Grüße", ("bo@example.com",))
    assert (newest.sender, newest.mail_from) == (
        "The Desk <desk@news.example>",
        "bounce@news.example",
    )
    assert (oldest.size, oldest.connection) == (len(sent[0].content), 3)
    assert abs(oldest.at - sent[0].at).total_seconds() < 0.001
    kept = store.get(oldest.id)
    assert kept is not None
    assert kept.content == sent[0].content
    assert store.get(99) is None


def test_pages_go_by_key_and_by_recipient(store: Store) -> None:
    for number in range(10):
        store(mail(f"reader_{number % 2}@example.com"))

    first = store.page(limit=3, recipient="READER_1")
    second = store.page(limit=3, recipient="reader_1", before=first[-1].id)

    assert [line.id for line in first] == [10, 8, 6]
    assert [line.id for line in second] == [4, 2]
    assert store.page(recipient="reader%") == []
    assert store.page(recipient="readerX1") == []


def test_two_thousand_letters_stay_small_and_survive_a_restart(tmp_path: Path) -> None:
    letters = [letter(number) for number in range(2_000)]
    with Store(tmp_path) as store:
        for received in letters:
            store(received)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())

    with Store(tmp_path) as store:
        assert store.count() == 2_000
        assert len(letters[0].content) > 40_000
        assert size < 0.02 * sum(len(received.content) for received in letters)
        for number in (1, 2, 500, 2_000):
            kept = store.get(number)
            assert kept is not None
            assert kept.content == letters[number - 1].content
        store(mail(subject="After"))
        assert [line.id for line in store.page(limit=2)] == [2_001, 2_000]


def test_editions_that_alternate_each_find_their_own_likeness(tmp_path: Path, store: Store) -> None:
    sent = [letter(n, lines) for n in range(40) for lines in (LINES, OTHER_LINES)]

    for received in sent:
        store(received)

    kept = [store.get(number) for number in range(1, 81)]
    assert [one and one.content for one in kept] == [one.content for one in sent]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 6 * len(sent[0].content)


def test_emptying_deletes_everything_and_numbers_are_not_used_again(store: Store) -> None:
    for number in range(3):
        store(letter(number))
    store.flush()
    store(letter(4))

    store.clear()
    store(letter(5))

    assert store.count() == 1
    assert [line.id for line in store.page()] == [5]
    kept = store.get(5)
    assert kept is not None
    assert kept.content == letter(5).content


def test_a_directory_belongs_to_one_store(tmp_path: Path, store: Store) -> None:
    store(mail())
    store.flush()

    with pytest.raises(InputError, match="another devmail is using it"):
        Store(tmp_path)


def test_a_place_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="cannot keep mail there"):
        Store(tmp_path / "file")


def test_a_counter_counts_and_keeps_nothing() -> None:
    counter = Counter()

    counter(mail())

    assert counter.count() == 1
    assert counter.page() == []
    assert counter.get(1) is None
    counter.clear()
    assert counter.count() == 0
