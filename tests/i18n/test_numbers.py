import pytest

from orangecontrib.imageanalytics.i18n.numbers import Spaced, space_numbers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('f"{n:,} images"', "1\N{NO-BREAK SPACE}536 images"),
        ("f'{n:,.0f} MB'", "1\N{NO-BREAK SPACE}536 MB"),
        ('f"{n - 1:,} of {n:,}"', "1\N{NO-BREAK SPACE}535 of 1\N{NO-BREAK SPACE}536"),
        ('f"{part:.0%}"', "20\N{NO-BREAK SPACE}%"),
        ('f"{part:.{0 if part >= 0.1 else 1}%}"', "20\N{NO-BREAK SPACE}%"),
        ('f"{n / 100:,.{0 if n < 1 else 1}f}/s"', "15.4/s"),
        ('f"{n}, {part:.1f}, {part!r} and {{n:,}}"', "1536, 0.2, 0.2 and {n:,}"),
    ],
)
def test_numbers_have_spaces(text, shown):
    assert (
        eval(space_numbers(text), {"Spaced": Spaced, "n": 1536, "part": 0.2}) == shown
    )


@pytest.mark.parametrize("text", ["German", "{n:,} of Message", 'f"{a}"', "f{n:,}"])
def test_other_texts_stay(text):
    assert space_numbers(text) == text
