"""Numbers in sentences."""

import pytest

from lit_metanas.io.text import number_of


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
