"""Public classes stand in configurations by their names alone."""

import inspect
import re

import pytest
from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch import Callback, LightningDataModule, LightningModule

from lit_metanas.cli.errors import UsageError, public_names
from lit_metanas.cli.program import Program

CLASSES = [each for each in public_names().values() if inspect.isclass(each)]
BASES = [each for each in CLASSES if inspect.isabstract(each)] + [Callback, LightningDataModule, LightningModule]
NAMED = [
    (base, each)
    for base in BASES
    for each in CLASSES
    if issubclass(each, base) and not inspect.isabstract(each) and not getattr(each, "_is_protocol", False)
]


@pytest.mark.parametrize(("base", "kind"), NAMED, ids=lambda each: each.__name__)
def test_a_public_class_is_found_by_its_name(base: type, kind: type):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "value", required=False, instantiate=False)
    try:
        found = parser.parse_args([f"--value={kind.__name__}"]).value.class_path
    except ArgumentError as error:  # it is found, and has arguments without which it is nothing
        found = re.search(r"class_path '([\w.]+)':\s+the following arguments are required", str(error))[1]
    assert re.fullmatch(rf"lit_metanas\.(\w+\.)?{kind.__name__}", found)


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["--model=MetaSerch"], "did you mean 'MetaSearch'?"),
        (["--model=MetaSearch", "--model.space=LayeredSpaces"], "did you mean 'LayeredSpace'?"),
    ],
)
def test_another_name_gets_the_nearest_one(args: list[str], near: str):
    with pytest.raises(UsageError) as caught:
        Program(args, run=False)
    assert str(caught.value).endswith(near)
