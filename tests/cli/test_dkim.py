"""`newsletter dkim` as a person at a terminal meets it."""

import re

import pytest
from click.testing import CliRunner, Result

from newsletter.cli import dkim
from newsletter.errors import StateError

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_database"),
]

DOMAIN = "harbour.example"


def newsletter_dkim(*arguments: str) -> Result:
    return CliRunner().invoke(dkim.command, arguments)


def test_a_new_key_prints_the_record_to_publish() -> None:
    made = newsletter_dkim("create", DOMAIN, "--selector", "s1")

    assert made.exit_code == 0
    assert "Publish this record:" in made.stderr
    assert "retire" not in made.stderr
    assert re.fullmatch(
        r's1\._domainkey\.harbour\.example\. IN TXT \( "v=DKIM1; k=rsa; p=[^"]+" "[^"]+" \)\n',
        made.stdout,
    )
    assert all(len(string) <= 255 for string in re.findall(r'"([^"]+)"', made.stdout))


def test_an_ed25519_record_is_one_short_string() -> None:
    newsletter_dkim("create", DOMAIN, "--selector", "s1")

    made = newsletter_dkim("create", DOMAIN, "--selector", "e1", "--ed25519")

    assert re.search(r'TXT \( "v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=" \)', made.stdout)


def test_a_second_key_says_how_it_takes_over() -> None:
    newsletter_dkim("create", DOMAIN, "--selector", "s1")

    made = newsletter_dkim("create", DOMAIN, "--selector", "s2")

    assert "newsletter dkim retire harbour.example s1" in made.stderr


def test_the_list_says_which_key_signs() -> None:
    newsletter_dkim("create", DOMAIN, "--selector", "s1")
    newsletter_dkim("create", DOMAIN, "--selector", "e1", "--ed25519")
    newsletter_dkim("create", DOMAIN, "--selector", "s2")
    newsletter_dkim("create", DOMAIN, "--selector", "s3")

    retired = newsletter_dkim("retire", DOMAIN, "s1")
    shown = newsletter_dkim("list")

    assert "leave its DNS record in place" in retired.output
    assert [line.rpartition(", made")[0] for line in shown.output.splitlines()] == [
        "harbour.example s1: rsa-sha256, retired",
        "harbour.example e1: ed25519-sha256, signs",
        "harbour.example s2: rsa-sha256, signs",
        "harbour.example s3: rsa-sha256, waits",
    ]


def test_a_selector_in_use_is_a_persons_mistake() -> None:
    newsletter_dkim("create", DOMAIN, "--selector", "s1")

    refused = newsletter_dkim("create", DOMAIN, "--selector", "s1")

    assert isinstance(refused.exception, StateError)
