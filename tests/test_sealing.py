from collections.abc import Iterator

import pytest

from newsletter.errors import SettingError
from newsletter.sealing import seal, unseal
from newsletter.settings import get_settings

OLD, NEW = "1:an-old-secret-that-is-long-enough", "2:a-new-secret-that-is-long-enough"


@pytest.fixture(autouse=True)
def _cleared() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def with_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", ",".join(keys))
    get_settings.cache_clear()


def test_what_is_sealed_is_read_again_and_looks_different_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-25."""
    with_keys(monkeypatch, OLD)

    sealed = seal("pass wörd")

    assert unseal(sealed) == "pass wörd"
    assert b"pass" not in sealed
    assert seal("pass wörd") != sealed


def test_after_a_rotation_old_secrets_are_read_and_new_ones_use_the_newest_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_keys(monkeypatch, OLD)
    before = seal("old password")
    with_keys(monkeypatch, NEW, OLD)
    after = seal("new password")

    assert unseal(before) == "old password"

    with_keys(monkeypatch, NEW)
    assert unseal(after) == "new password"
    with pytest.raises(SettingError, match="NEWSLETTER_SECRET_KEYS"):
        unseal(before)


@pytest.mark.parametrize("sealed", [b"", b"not sealed", b"\xff" * 80])
def test_what_nobody_sealed_is_refused(monkeypatch: pytest.MonkeyPatch, sealed: bytes) -> None:
    with_keys(monkeypatch, OLD)

    with pytest.raises(SettingError):
        unseal(sealed)
