import json
from pathlib import Path

import pytest

from newsletter.devmail.script import (
    Close,
    Delay,
    Performance,
    Phase,
    Reply,
    Rule,
    Script,
    Withhold,
    load_script,
)
from newsletter.errors import InputError

LATER = Reply(code=450, enhanced="4.2.1", text="Later")


def perform(rule: Rule, times: int = 1, *, recipients: tuple[str, ...] = ()) -> list[bool]:
    performance = Performance(Script(rules=(rule,)))
    return [
        performance.at(rule.phase, connection=1, recipients=recipients)[1] is not None
        for _ in range(times)
    ]


def test_the_nth_time_alone() -> None:
    rule = Rule(phase=Phase.MAIL, action=LATER, after=2, times=1)

    assert perform(rule, 5) == [False, False, True, False, False]


def test_counting_on_each_connection() -> None:
    rule = Rule(phase=Phase.MAIL, action=LATER, after=1, per_connection=True)
    performance = Performance(Script(rules=(rule,)))

    fired = [performance.at(Phase.MAIL, connection=n)[1] is not None for n in (1, 2, 1, 2, 2)]

    assert fired == [False, False, True, True, True]
    performance.forget(1)
    assert performance.at(Phase.MAIL, connection=1) == (0.0, None)


@pytest.mark.parametrize(
    ("recipient", "domain", "address", "concerned"),
    [
        (None, "example.com", "ada@EXAMPLE.com", True),
        (None, "example.com", "ada@mail.example.com", False),
        ("^ada@", None, "Ada@example.com", True),
        ("^ada@", None, "bo@example.com", False),
        ("^ada@", "example.org", "ada@example.com", False),
    ],
)
def test_matching_a_recipient(
    recipient: str | None, domain: str | None, address: str, concerned: bool
) -> None:
    rule = Rule(phase=Phase.RCPT, action=LATER, recipient=recipient, domain=domain)

    assert perform(rule, recipients=(address,)) == [concerned]
    assert perform(rule, recipients=()) == [False]


def test_the_same_seed_gives_the_same_faults() -> None:
    rule = Rule(phase=Phase.RCPT, action=LATER, probability=0.3)

    first, second = perform(rule, 1_000), perform(rule, 1_000)

    assert first == second
    assert 230 < sum(first) < 370


def test_delays_add_up_and_the_first_other_rule_decides() -> None:
    rules = (
        Rule(phase=Phase.DOT, action=Delay(seconds=1)),
        Rule(phase=Phase.DOT, action=Delay(seconds=2)),
        Rule(phase=Phase.DOT, action=LATER),
        Rule(phase=Phase.DOT, action=Close()),
    )

    assert Performance(Script(rules=rules)).at(Phase.DOT, connection=1) == (3.0, LATER)


def test_a_script_is_read_from_json(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    rule = {"phase": "after-dot", "after": 49, "times": 1, "action": {"do": "close"}}
    file.write_text(json.dumps({"seed": 7, "rules": [rule]}))

    script = load_script(file)

    assert script == Script(
        seed=7, rules=(Rule(phase=Phase.AFTER_DOT, after=49, times=1, action=Close()),)
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "Invalid JSON"),
        ('{"rules": [{"phase": "lunch", "action": {"do": "close"}}]}', "rules.0.phase"),
        ('{"rules": [{"phase": "rcpt", "action": {"do": "dance"}}]}', "rules.0.action"),
        ('{"rules": [{"phase": "rcpt", "action": {"do": "close"}, "x": 1}]}', "rules.0.x"),
        (
            '{"rules": [{"phase": "rcpt", "recipient": "(", "action": {"do": "close"}}]}',
            "not a regular expression",
        ),
        ('{"rules": [{"phase": "body", "action": {"do": "drip"}}]}', "nothing is answered"),
        (
            '{"rules": [{"phase": "rcpt", "action": {"do": "withhold", "extension": "DSN"}}]}',
            "at phase ehlo only",
        ),
    ],
)
def test_a_script_that_cannot_be_used_is_named_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    file = tmp_path / "script.json"
    file.write_text(text)

    with pytest.raises(InputError, match=r"script\.json: ") as caught:
        load_script(file)

    assert place in str(caught.value)


def test_a_missing_script_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the script"):
        load_script(tmp_path / "nowhere.json")


def test_withheld_extensions() -> None:
    rule = Rule(phase=Phase.EHLO, action=Withhold(extension="PIPELINING"), times=1)
    performance = Performance(Script(rules=(rule,)))

    assert performance.withheld(1) == {"PIPELINING"}
    assert performance.withheld(2) == set()
