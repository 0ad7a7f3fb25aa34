"""The sample newsroom: its list, two briefings of an invented day and readers around the world."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from newsletter.audience.lists import NewList
from newsletter.errors import InputError
from newsletter.models import Archive

_DATA = Path(__file__).resolve().parent / "data"
SAMPLE_BRIEFING = _DATA / "briefing.txt"
SAMPLE_BRIEFING_ZH = _DATA / "briefing-zh.txt"

SAMPLE_LIST = NewList(
    slug="harbour-morning",
    name="Harbour Morning",
    tagline="What happened while the port slept",
    description="The morning briefing of the Harbour Courier: six minutes, five days a week.",
    is_public=True,
    archive=Archive.PUBLIC,
    send_time="07:00",
    accent="#0f5c6e",
    language="en",
    zone="Europe/London",
    sender_name="Harbour Courier",
    sender_address="morning@courier.example",
    reply_to="desk@courier.example",
    postal_address="The Harbour Courier, 4 Ropewalk Lane, Port Ellery PE1 4RW",
)

_SEED = 20261123
_HEADER = ("email", "name", "zone", "language", "status", "joined_at")
_INTERNATIONAL_DOMAIN = "bücher.example"
_PLAIN_DOMAINS = (
    "readers.example",
    "mail.example",
    "post.example",
    "correio.example",
    "inbox.example",
    "uni.example",
    "office.example",
)
_FIRST_DAY = date(2019, 1, 1)
_DAYS = 2_100
_SPECIAL_STATUSES = ("unsubscribed", "pending", "bounced")


@dataclass(frozen=True, slots=True)
class _Place:
    """Names are pairs: as they are written there, and as they stand in an address."""

    zone: str
    language: str
    given: tuple[tuple[str, str], ...]
    family: tuple[tuple[str, str], ...]
    separator: str = " "
    is_family_first: bool = False


def write_sample_csv(path: Path, subscribers: int) -> None:
    """Write a file of exactly so many people, the same at every call, and eight bad lines."""
    if subscribers < 1:
        raise InputError("the sample needs at least one subscriber")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        bad_lines = _bad_lines(subscribers)
        first = ""
        for position, person in enumerate(_people(subscribers)):
            writer.writerow(person)
            first = first or person[0]
            while bad_lines and bad_lines[-1][0] <= position:
                file.write(bad_lines.pop()[1].format(first=first.upper()))


def _people(subscribers: int) -> Iterator[tuple[str, ...]]:
    rng = random.Random(_SEED)  # noqa: S311
    statuses = _special_statuses(rng, subscribers)
    for position in range(subscribers):
        place = _PLACES[position % len(_PLACES)]
        given, given_ascii = rng.choice(place.given)
        family, family_ascii = rng.choice(place.family)
        parts = (family, given) if place.is_family_first else (given, family)
        domain = rng.choice(_PLAIN_DOMAINS) if position % 40 else _INTERNATIONAL_DOMAIN
        joined = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
        yield (
            f"{given_ascii}.{family_ascii}{position + 1}@{domain}",
            place.separator.join(parts),
            place.zone,
            place.language,
            statuses.get(position, "subscribed"),
            joined.isoformat(),
        )


def _special_statuses(rng: random.Random, subscribers: int) -> dict[int, str]:
    """One in a hundred of each kind, but three at least where there are people enough for it."""
    each = min(max(3, subscribers // 100), subscribers // 10)
    positions = rng.sample(range(subscribers), each * len(_SPECIAL_STATUSES))
    return {
        position: _SPECIAL_STATUSES[number % len(_SPECIAL_STATUSES)]
        for number, position in enumerate(positions)
    }


def _bad_lines(subscribers: int) -> list[tuple[int, str]]:
    """After which person each of them stands, the last one first."""
    lines = (
        "edda.example,Edda Wren,Europe/London,en,subscribed,2023-04-01\r\n",
        "finn@localhost,Finn Oake,Europe/London,en,subscribed,2023-04-02\r\n",
        "gil@readers.example,Gil Tarn,Mars/Olympus_Mons,en,subscribed,2023-04-03\r\n",
        "{first},The Same Again,Europe/London,en,subscribed,2023-04-04\r\n",
        "hana@readers.example,Hana Lind\r\n",
        "ivo@readers.example,Ivo Marsh,Europe/London,en,perhaps,2023-04-06\r\n",
        'jun@readers.example,"Jun\r\nBcc: everyone",Asia/Tokyo,ja,subscribed,2023-04-07\r\n',
        'kit@readers.example,"Kit" Moor,Europe/London,en,subscribed,2023-04-08\r\n',
    )
    step = len(lines) + 1
    placed = [(number * subscribers // step, line) for number, line in enumerate(lines, start=1)]
    placed.reverse()
    return placed


_ENGLISH_GIVEN = (
    ("Ada", "ada"),
    ("Bo", "bo"),
    ("Cy", "cy"),
    ("Dorothea", "dorothea"),
    ("Eliot", "eliot"),
    ("Florence", "florence"),
    ("Niamh", "niamh"),
    ("Owen", "owen"),
    ("Priscilla", "priscilla"),
    ("Zoë", "zoe"),
)

_PLACES = (
    _Place(
        "Europe/London",
        "en",
        _ENGLISH_GIVEN,
        (
            ("Ashdown", "ashdown"),
            ("Lovelace", "lovelace"),
            ("O’Rourke", "orourke"),
            ("Pemberton", "pemberton"),
            ("Siân-Jones", "sian-jones"),
            ("Whitlock", "whitlock"),
        ),
    ),
    _Place(
        "America/New_York",
        "en",
        _ENGLISH_GIVEN,
        (
            ("Abernathy", "abernathy"),
            ("Brooks", "brooks"),
            ("Castellano", "castellano"),
            ("Goldfarb", "goldfarb"),
            ("Okafor", "okafor"),
            ("Washington", "washington"),
        ),
    ),
    _Place(
        "America/Los_Angeles",
        "es",
        (
            ("Álvaro", "alvaro"),
            ("Begoña", "begona"),
            ("Inés", "ines"),
            ("Joaquín", "joaquin"),
            ("Lucía", "lucia"),
            ("Raúl", "raul"),
        ),
        (
            ("Castañeda", "castaneda"),
            ("Ibáñez", "ibanez"),
            ("Núñez", "nunez"),
            ("Quiñones", "quinones"),
            ("Villaseñor", "villasenor"),
        ),
    ),
    _Place(
        "America/Sao_Paulo",
        "pt-BR",
        (
            ("Antônio", "antonio"),
            ("Cecília", "cecilia"),
            ("Conceição", "conceicao"),
            ("João", "joao"),
            ("Letícia", "leticia"),
            ("Thaís", "thais"),
        ),
        (
            ("Araújo", "araujo"),
            ("Brandão", "brandao"),
            ("Gonçalves", "goncalves"),
            ("Magalhães", "magalhaes"),
            ("Simões", "simoes"),
        ),
    ),
    _Place(
        "Europe/Berlin",
        "de",
        (
            ("Anneliese", "anneliese"),
            ("Björn", "bjoern"),
            ("Jürgen", "juergen"),
            ("Käthe", "kaethe"),
            ("Sören", "soeren"),
            ("Ute", "ute"),
        ),
        (
            ("Groß", "gross"),
            ("Hölderlin", "hoelderlin"),
            ("Krüger", "krueger"),
            ("Schäfer", "schaefer"),
            ("Weiß", "weiss"),
        ),
    ),
    _Place(
        "Europe/Paris",
        "fr",
        (
            ("Anaïs", "anais"),
            ("Chloé", "chloe"),
            ("Françoise", "francoise"),
            ("Gaël", "gael"),
            ("Hélène", "helene"),
            ("Loïc", "loic"),
        ),
        (
            ("Béranger", "beranger"),
            ("Châtelain", "chatelain"),
            ("Lefèvre", "lefevre"),
            ("Maître", "maitre"),
            ("Préjean", "prejean"),
        ),
    ),
    _Place(
        "Europe/Kyiv",
        "uk",
        (
            ("Андрій", "andrii"),
            ("Богдана", "bohdana"),
            ("Ївга", "yivha"),
            ("Леся", "lesia"),
            ("Оксана", "oksana"),
            ("Тарас", "taras"),
        ),
        (
            ("Бондаренко", "bondarenko"),
            ("Ґудзь", "gudz"),
            ("Ковальчук", "kovalchuk"),
            ("Левченко", "levchenko"),
            ("Щербина", "shcherbyna"),
        ),
    ),
    _Place(
        "Africa/Cairo",
        "ar",
        (
            ("أحمد", "ahmad"),
            ("سلمى", "salma"),
            ("طارق", "tarek"),
            ("ليلى", "layla"),
            ("مريم", "maryam"),
            ("يوسف", "youssef"),
        ),
        (
            ("البدري", "elbadry"),
            ("الشريف", "elsherif"),
            ("حسنين", "hassanein"),
            ("عبد الرحمن", "abdelrahman"),
            ("منصور", "mansour"),
        ),
    ),
    _Place(
        "Asia/Kolkata",
        "hi",
        (
            ("आरव", "aarav"),
            ("ईशा", "isha"),
            ("कविता", "kavita"),
            ("नीरज", "neeraj"),
            ("मीरा", "meera"),
            ("रोहन", "rohan"),
        ),
        (
            ("अग्रवाल", "agrawal"),
            ("चतुर्वेदी", "chaturvedi"),
            ("मिश्रा", "mishra"),
            ("शर्मा", "sharma"),
            ("सक्सेना", "saxena"),
        ),
    ),
    _Place(
        "Asia/Shanghai",
        "zh",
        (
            ("晨曦", "chenxi"),
            ("海涛", "haitao"),
            ("静怡", "jingyi"),
            ("明远", "mingyuan"),
            ("思齐", "siqi"),
            ("雨桐", "yutong"),
        ),
        (
            ("陈", "chen"),
            ("欧阳", "ouyang"),
            ("王", "wang"),
            ("谢", "xie"),
            ("张", "zhang"),
        ),
        separator="",
        is_family_first=True,
    ),
    _Place(
        "Asia/Tokyo",
        "ja",
        (
            ("あかり", "akari"),
            ("健太", "kenta"),
            ("さくら", "sakura"),
            ("拓海", "takumi"),
            ("美咲", "misaki"),
            ("涼", "ryo"),
        ),
        (
            ("伊藤", "ito"),
            ("小林", "kobayashi"),
            ("佐々木", "sasaki"),
            ("髙橋", "takahashi"),
            ("渡辺", "watanabe"),
        ),
        is_family_first=True,
    ),
    _Place(
        "Australia/Sydney",
        "en",
        _ENGLISH_GIVEN,
        (
            ("Birrell", "birrell"),
            ("Kowalski", "kowalski"),
            ("McAllister", "mcallister"),
            ("Nguyễn", "nguyen"),
            ("Papadopoulos", "papadopoulos"),
            ("Tane", "tane"),
        ),
    ),
)
