"""The search space that the tutorial shows is the one that the tests of bodies know."""

from pathlib import Path

from fenced import blocks

ROOT = Path(__file__).parents[2]


def test_it_is_thirty_lines_that_the_toys_have_too():
    (code,) = (one.code for one in blocks(ROOT / "docs/tutorials/own_space.md") if one.rest == "my_space.py")
    assert code == (ROOT / "tests/spaces/toys/blocks.py").read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
