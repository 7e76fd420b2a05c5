"""Every public class and function ends its docstring in an example, which runs after two imports."""

import doctest
import inspect
import io
import re
import time
from pathlib import Path

import pytest
import torch

import lit_metanas as lm
from lit_metanas.cli.errors import public_names

PUBLIC = {name: one for name, one in public_names().items() if inspect.isclass(one) or inspect.isfunction(one)}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS: dict[str, float] = {}


def example(name: str) -> str:
    """The example at the end of a docstring; empty where it ends in something else."""
    found = PUBLIC[name]
    text = inspect.cleandoc(found.__doc__ or "")
    sections = re.split(r"^(\w[\w ]*):\n", text, flags=re.MULTILINE)
    inherited = any(found.__doc__ == base.__doc__ for base in getattr(found, "__mro__", ())[1:])
    return sections[-1] if len(sections) > 1 and sections[-2] == "Example" and not inherited else ""


@pytest.mark.parametrize("name", PUBLIC)
def test_the_docstring_ends_in_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = example(name)
    assert ">>> " in text
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(text, {"lm": lm, "torch": torch}, name, None, None)
    told = io.StringIO()
    begin = time.process_time()
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.write)
    SECONDS[name] = time.process_time() - begin
    assert not told.getvalue(), told.getvalue()


def test_the_examples_are_quick() -> None:
    assert sum(SECONDS.values()) < 60, sorted(SECONDS.items(), key=lambda pair: -pair[1])[:10]
