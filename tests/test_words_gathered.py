"""No sentence for people is made where translators' tools do not see it."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from string import Formatter

import pytest
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from newsletter.audience.rows import Rejection
from newsletter.compose.findings import Severity
from newsletter.models import (
    ConsentKind,
    DeliveryState,
    EditionState,
    Evidence,
    ImportState,
    LeavingReason,
    Reason,
    Role,
    SuppressionReason,
)
from newsletter.settings import PROJECT_ROOT
from newsletter.web.newsroom.vocabulary import named
from newsletter.words import Words

PACKAGE = PROJECT_ROOT / "newsletter"
# What is said there is for a terminal or a program: English.
NOT_ON_PAGES = (
    "bench",
    "cli",
    "demo",
    "devmail",
    "drill",
    "seed",
    "stack",
    "settings.py",
    "web/api",
)
# The words of another library, or the error that was kept with an import.
NOT_OURS = {
    "addresses.py: AddressError(str(error))",
    "cli/imports.py: InputError(_report(import_id).error)",
    "devmail/script.py: InputError('\\n'.join(lines))",
    "fetch.py: FetchError(str(error))",
    "settings.py: SettingError('\\n'.join(lines))",
}
# Their literals are in the vocabulary, or are of the language that segments are written in.
NAMED = {
    "audience/rows.py: super().__init__(reason, field=field)",
    "audience/segments/language.py: Words(word)",
    "models/edition.py: Words(self.value.replace('_', ' '))",
}
# What errors and notices take beside the values of their words.
NO_VALUES = {"field", "undo", "headers", "reply"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Told:
    """A call that makes words for people: an error, a notice, or `Words` themselves."""

    path: str
    call: ast.Call
    words: ast.expr
    function: Function | None

    def __str__(self) -> str:
        return f"{self.path}: {ast.unparse(self.call)}"

    @property
    def literal(self) -> str | None:
        """None where something else stands for the words."""
        return _literal(self.words)

    @property
    def is_on_pages(self) -> bool:
        return not self.path.startswith(NOT_ON_PAGES)


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def modules() -> Mapping[str, ast.Module]:
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
        if "migrations" not in path.parts
    }


@cache
def error_places() -> Mapping[str, int]:
    """By the name of an error of the tree, which of its arguments is the words."""
    classes = [each for tree in modules().values() for each in ast.walk(tree)]
    known: dict[str, int | None] = {"NewsletterError": 0}
    found = True
    while found:
        found = False
        for each in classes:
            if isinstance(each, ast.ClassDef) and each.name not in known:
                bases = [base.id for base in each.bases if isinstance(base, ast.Name)]
                parent = next((base for base in bases if base in known), None)
                if parent is not None:
                    known[each.name] = _place_in(each, known[parent])
                    found = True
    return {name: place for name, place in known.items() if place is not None}


def _place_in(error: ast.ClassDef, inherited: int | None) -> int | None:
    for each in error.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            names = [argument.arg for argument in (*each.args.posonlyargs, *each.args.args)]
            return names.index("words") - 1 if "words" in names else None
    return inherited


@cache
def told() -> tuple[Told, ...]:
    return tuple(found for path, tree in modules().items() for found in _told_in(path, tree, None))


def _told_in(path: str, node: ast.AST, function: Function | None) -> Iterator[Told]:
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, Function) else function
        if isinstance(child, ast.Call):
            place = _place_of_words(child, path, inner)
            if place is not None and place < len(child.args):
                yield Told(path, child, child.args[place], inner)
        yield from _told_in(path, child, inner)


def _place_of_words(call: ast.Call, path: str, function: Function | None) -> int | None:
    match call.func:
        case ast.Name("Words"):
            return 0
        case ast.Name("refuse"):
            return 1
        case ast.Name(name):
            return error_places().get(name)
        case ast.Attribute(_, "then"):
            return 0
        case ast.Attribute(ast.Name("visit"), "go"):
            return 1
        case ast.Attribute(ast.Call(ast.Name("super")), "__init__"):
            return 0 if _is_error(path, function) else None
    return None


def _is_error(path: str, function: Function | None) -> bool:
    names = {"RefusedApproval", "UnfitBriefing", "TransportRefused", "RejectedError"}
    names |= error_places().keys()
    return any(
        isinstance(each, ast.ClassDef) and each.name in names and function in each.body
        for each in ast.walk(modules()[path])
    )


def is_seen(words: ast.expr, function: Function | None) -> bool:
    """It is a literal, or is made of one in a call that is looked at by itself."""
    match words:
        case ast.Constant(str()):
            return True
        case ast.IfExp(_, either, other):
            return is_seen(either, function) and is_seen(other, function)
        case ast.Attribute(_, "words" | "message" | "trouble"):
            return True
        case ast.Call(ast.Name(name)) | ast.Call(ast.Attribute(_, name)):
            return name in {"Words", "then", "lines"} or name in functions_of_words()
        case ast.Name(name):
            return name in constants() or _is_handed_on(name, function)
    return False


def _is_handed_on(name: str, function: Function | None) -> bool:
    """A function's own words: whoever calls it is looked at, or mypy wants `Words` of them."""
    if function is None:
        return False
    arguments = function.args
    if any(each.arg == name for each in arguments.posonlyargs):
        return True
    for each in (*arguments.args, *arguments.kwonlyargs):
        if each.arg == name:
            return _is_words(each.annotation)
    values = [
        each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name) and target.id == name
    ]
    return bool(values) and all(is_seen(value, function) for value in values)


@cache
def constants() -> frozenset[str]:
    return frozenset(
        target.id
        for tree in modules().values()
        for each in tree.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name)
        and isinstance(each.value, ast.Call)
        and ast.unparse(each.value.func) == "Words"
    )


@cache
def functions_of_words() -> frozenset[str]:
    return frozenset(
        each.name
        for tree in modules().values()
        for each in ast.walk(tree)
        if isinstance(each, Function) and _is_words(each.returns)
    )


def _is_words(annotation: ast.expr | None) -> bool:
    return annotation is not None and "Words" in ast.unparse(annotation).split(" | ")


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """What `make messages` lists."""
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    keywords = re.search(r"^WORDS := ((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    assert keywords is not None
    options = [f"-k{each}" for each in keywords[1].replace("\\", "").split()]
    template = tmp_path_factory.mktemp("words") / "newsletter.pot"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT_ROOT)
        CommandLineInterface().run(  # type: ignore[no-untyped-call]
            [*("pybabel", "--quiet", "extract", "-F", "pyproject.toml"), *options]
            + ["-o", str(template), "."]
        )
    with template.open("rb") as file:
        return frozenset(
            text
            for message in read_po(file)
            for text in ([message.id] if isinstance(message.id, str) else message.id)
        )


def test_every_error_and_every_notice_is_made_of_words_that_can_be_gathered() -> None:
    unseen = {str(each) for each in told() if not is_seen(each.words, each.function)}

    assert unseen == NOT_OURS | NAMED


def test_there_is_much_to_tell() -> None:
    assert len(told()) > 700
    assert {"InputError", "QueryError", "RefusedError", "ConnectionLost"} <= error_places().keys()
    assert error_places()["RefusedError"] == 1
    assert "RefusedApproval" not in error_places()


def test_all_of_them_are_gathered(gathered: frozenset[str]) -> None:
    literals = {each.literal for each in told() if each.is_on_pages}

    assert literals - gathered == {None}
    assert {"Sign out", "Daily slots", "It waits for somebody to look at it."} <= gathered


def test_what_is_for_terminals_alone_is_not_gathered(gathered: frozenset[str]) -> None:
    assert "--json goes with --once." not in gathered
    assert "Choose --at or --local, not both." not in gathered


def test_the_places_of_words_are_those_of_their_values() -> None:
    for each in told():
        if each.literal is None:
            continue
        values = {keyword.arg for keyword in each.call.keywords} - NO_VALUES
        if None in values:
            continue
        if not values:
            assert not re.search(r"\{\w+[!:}]", each.literal), str(each)
            continue
        places = {name for _, name, _, _ in Formatter().parse(each.literal) if name is not None}
        assert places == values, str(each)


def test_no_page_shows_an_error_as_it_is() -> None:
    """`said(error)` is in the site's language, `str(error)` is English."""
    as_they_are = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.startswith("web/newsroom/")
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler)
        for node in ast.walk(handler)
        if isinstance(node, ast.Call) and ast.unparse(node) == f"str({handler.name})"
    ]

    assert as_they_are == []


def test_the_fields_that_errors_name_are_gathered(gathered: frozenset[str]) -> None:
    shown = [each.call for each in told() if each.is_on_pages]
    fields = {
        _literal(keyword.value)
        for call in shown
        for keyword in call.keywords
        if keyword.arg == "field"
    }
    fields |= {_literal(call.args[0]) for call in shown if ast.unparse(call.func) == "refuse"}

    assert fields - gathered == {None}


@pytest.mark.parametrize(
    "kind",
    [
        ConsentKind,
        DeliveryState,
        EditionState,
        Evidence,
        ImportState,
        LeavingReason,
        Reason,
        Rejection,
        Role,
        Severity,
        SuppressionReason,
    ],
)
def test_the_names_of_states_and_reasons_are_gathered(kind: type[Enum]) -> None:
    assert all(isinstance(named(member), Words) for member in kind)


def test_what_is_not_ours_is_named_as_it_is() -> None:
    assert named("hard.bad_mailbox") == "hard.bad mailbox"
