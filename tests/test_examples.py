"""The examples in the docstrings of public names give what they say."""

import doctest
from importlib import import_module

import pytest

import lit_metanas as lm

WHOLE = ("callbacks", "comparisons", "estimators", "records", "report", "searchers", "surrogates", "tasks")
"""Rooms all of whose classes have an example."""
ALL = {name: getattr(lm, name) for name in lm.__all__}
SHOWN = [name for name, value in ALL.items() if callable(value) and "\n    Example:\n" in (value.__doc__ or "")]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_an_example_gives_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(ALL[name].__doc__, {}, name, None, 0)
    assert test.examples
    told = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert not told, "".join(told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_ends_its_docstring(name):
    lines = ALL[name].__doc__.split("\n    Example:\n")[1].rstrip().splitlines()
    assert all(line.startswith("        ") for line in lines)


@pytest.mark.parametrize("room", WHOLE)
def test_each_class_of_a_room_has_an_example(room):
    names = import_module(f"lit_metanas.{room}").__all__
    classes = {name for name in names if isinstance(getattr(lm, name), type)}
    assert classes - set(SHOWN) == set()
