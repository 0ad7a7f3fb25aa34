from newsletter.compose.matching import stories_of


def test_each_point_finds_the_story_it_announces() -> None:
    headlines = [
        "Gull Opens a New Lab in Osterhamn",
        "Tern Recalls 5,000 Boats",
        "海鸥开设新实验室",
    ]

    assert stories_of(
        [
            "5,000 boats recalled by Tern",
            "Gull’s new lab opens in Osterhamn",
            "海鸥的新实验室开设了",
        ],
        headlines,
    ) == [2, 1, 3]


def test_a_point_without_a_story_finds_none() -> None:
    assert stories_of(["Rain is expected"], ["Gull Opens a New Lab"]) == [None]
    assert stories_of(["Rain"], []) == [None]
