from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.errors import SettingError
from newsletter.settings import (
    PREFIX,
    SAMPLE_SECRET,
    Settings,
    get_settings,
    read_settings,
    use_settings,
)

SECRET, OTHER = "x" * 32, "y" * 32
PRODUCTION = {
    "env": "production",
    "secret_keys": f"1:{SECRET}",
    "address_key": OTHER,
    "base_url": "https://news.harbour.example",
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def setenv(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)


def test_without_an_environment_it_runs_on_a_laptop() -> None:
    settings = read_settings()

    assert settings.env == "development"
    assert settings.database_url.startswith("sqlite:///")
    assert settings.secret_keys == ((0, SAMPLE_SECRET),)


def test_keys_are_read_in_the_order_given_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, secret_keys=f"2:{SECRET}, 1:a:colon")

    assert read_settings().secret_keys == ((2, SECRET), (1, "a:colon"))


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("secret_keys", "secret", "number:secret"),
        ("secret_keys", "256:secret", "0 to 255"),
        ("secret_keys", "1:", "number:secret"),
        ("secret_keys", "", "number:secret"),
        ("secret_keys", "1:a,1:b", "the same number"),
        ("secret_keys", "¹:a", "number:secret"),
        ("base_url", "news.harbour.example", "like https://"),
        ("base_url", "ftp://harbour.example", "like https://"),
        ("base_url", "https://harbour.example?x=1", "like https://"),
        ("base_url", "http://[::1", "like https://"),
        ("base_url", "https://harbour.example:99999", "like https://"),
        ("desk_addresses", "desk", "desk@example.org,chief@example.org"),
        ("desk_addresses", "desk@example.org;chief@example.org", "desk@example.org,chief"),
        ("desk_addresses", "desk@example.org,", "desk@example.org,chief"),
        ("test_sends_per_minute", "0", "greater than or equal to 1"),
        ("database_url", "mysql://news@host/x", "postgresql://"),
        ("env", "staging", "production"),
        ("log_level", "LOUD", "DEBUG"),
        ("lease_seconds", "0", "greater than 0"),
        ("dot_timeout_seconds", "long", "number"),
    ],
)
def test_a_mistake_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    setenv(monkeypatch, **{name: value})

    with pytest.raises(SettingError) as caught:
        read_settings()

    assert str(caught.value).startswith(f"NEWSLETTER_{name.upper()}: ")
    assert complaint in str(caught.value)


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, log_level="LOUD", lease_seconds="-1", base_url="nowhere")

    with pytest.raises(SettingError) as caught:
        read_settings()

    names = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(names) == [
        "NEWSLETTER_BASE_URL",
        "NEWSLETTER_LEASE_SECONDS",
        "NEWSLETTER_LOG_LEVEL",
    ]


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    setenv(monkeypatch, address_key_file=str(file))

    assert read_settings().address_key == SECRET


def test_the_variable_itself_comes_before_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    setenv(monkeypatch, address_key_file=str(file), address_key=OTHER)

    assert read_settings().address_key == OTHER


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, address_key_file="/nowhere/key")

    with pytest.raises(SettingError, match="NEWSLETTER_ADDRESS_KEY_FILE: cannot read /nowhere/key"):
        read_settings()


def test_production_starts_with_secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, **PRODUCTION)

    assert read_settings().env == "production"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"secret_keys": f"0:{SAMPLE_SECRET}"}, "newsletter secret"),
        ({"secret_keys": f"1:{SECRET},0:{SAMPLE_SECRET}"}, "newsletter secret"),
        ({"address_key": SAMPLE_SECRET}, "newsletter secret"),
        ({"address_key": "change-me" + SECRET}, "newsletter secret"),
        ({"address_key": "short"}, "at least 32 characters"),
        ({"base_url": "http://news.harbour.example"}, "must be https"),
    ],
)
def test_production_refuses_samples_and_plain_http(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], complaint: str
) -> None:
    setenv(monkeypatch, **(PRODUCTION | change))

    with pytest.raises(SettingError, match=complaint):
        read_settings()


def test_an_error_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, secret_keys="hunter2hunter2", address_key="hunter3")

    with pytest.raises(SettingError) as caught:
        read_settings(env="production")

    assert "hunter" not in str(caught.value)


def test_a_child_process_gets_these_very_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARBOUR", "open")
    settings = Settings(
        secret_keys=((2, SECRET), (1, OTHER)),
        state_dir=tmp_path,
        base_url="https://news.harbour.example/",
        lease_seconds=2.5,
    )

    environment = settings.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert environment["HARBOUR"] == "open"
    assert read_settings() == settings
    assert settings.base_url == "https://news.harbour.example"


def test_chosen_settings_come_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("newsletter.settings._chosen", None)
    chosen = Settings(state_dir=tmp_path)
    assert get_settings() != chosen

    use_settings(chosen)

    assert get_settings() is chosen
