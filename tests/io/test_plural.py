"""Numbers and texts of others in sentences."""

import pytest

from lit_metanas.io.text import number_of, plain_number, printable


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (1, "search", "1 search"),
        (2, "search", "2 searches"),
        (0, "task", "0 tasks"),
        (3, "query", "3 queries"),
        (3, "key", "3 keys"),
        (2, "class", "2 classes"),
        (2, "class folder", "2 class folders"),
        (1, "query", "1 query"),
    ],
)
def test_one_is_singular(number: int, noun: str, expected: str) -> None:
    assert number_of(number, noun) == expected


@pytest.mark.parametrize(("number", "text"), [(20000.0, "20000"), (0.005, "0.005"), (0.1 + 0.2, f"{0.1 + 0.2!r}")])
def test_a_number_is_short_and_read_as_itself(number: float, text: str) -> None:
    assert plain_number(number) == text


def test_joiners_within_words_are_printed_and_codes_are_not() -> None:
    word = "\u0645\u06cc\u200c\u0631\u0648\u0645"  # Persian, with a joiner that is no space
    assert printable(word) == word
    assert printable("a\u202eb\x1bc\td") == "\N{REPLACEMENT CHARACTER}".join("abcd")
