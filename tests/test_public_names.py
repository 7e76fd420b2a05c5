"""The names that most programs need stand at the top of the package, and cost nothing until they are used."""

import ast
import inspect
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

import lit_metanas as lm
from lit_metanas.cli.errors import public_names

ROOT = Path(lm.__file__).parent
FACES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"cli"}


def test_few_names_stand_at_the_top():
    assert len(lm.__all__) == len(set(lm.__all__)) <= 60
    assert set(lm.ROOMS) == FACES


def test_a_name_leads_to_what_its_room_has():
    public = public_names()
    assert [name for name in lm.__all__ if getattr(lm, name) is not public[name]] == []


def test_no_two_rooms_have_the_same_name():
    names = Counter(name for room in FACES for name in import_module(f"lit_metanas.{room}").__all__)
    assert names == Counter(public_names().keys())


def test_type_checkers_see_the_names_and_all_rooms():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen: dict[str, object] = {}
    exec("\n".join(map(ast.unparse, checked.body)), seen)
    aliases = [alias for node in checked.body for alias in node.names]
    assert [alias.name for alias in aliases if alias.asname != alias.name] == []  # which makes a name public
    assert {alias.name: seen[alias.name] for alias in aliases} == {
        name: getattr(lm, name) for name in (*lm.__all__, *lm.ROOMS)
    }


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lit_metanas' has no attribute 'LayeredSpaces'"):
        _ = lm.LayeredSpaces


def test_a_configuration_can_state_the_defaults_of_every_class():
    """What it could not state would be a text in the configuration that a run leaves, which no run reads again."""
    stated = {}
    for name, own in public_names().items():
        if isinstance(own, type) and not inspect.isabstract(own) and not issubclass(own, Exception):
            parser = ArgumentParser()
            parser.add_class_arguments(own, "own", fail_untyped=False)
            stated[name] = parser.dump(parser.get_defaults(), skip_validation=True)
    assert [name for name, text in stated.items() if "Unable" in text] == []
    assert "cells: 8" in stated["DARTSCell"]


def test_the_names_and_the_rooms_are_listed_and_nothing_else():
    listed = [name for name in dir(lm) if not name.startswith("__")]
    assert listed == sorted([*lm.__all__, *lm.ROOMS])
    assert "__version__" in dir(lm)


def fresh(code: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_import_is_light():
    heavy = {"torch", "lightning", "numpy", "optuna", "matplotlib"}
    loaded = fresh("import sys; import lit_metanas; dir(lit_metanas); print(*sys.modules)").split()
    assert "lit_metanas" in loaded
    assert not heavy & set(loaded)


def test_the_import_takes_less_than_a_tenth_of_a_second():
    code = "import time; began = time.process_time(); import lit_metanas; print(time.process_time() - began)"
    assert float(fresh(code)) <= 0.1


@pytest.mark.parametrize("used", ["lm.Architecture", "lm.spaces.NASBench201"])
def test_one_name_loads_its_room_only(used):
    loaded = fresh(f"import sys; import lit_metanas as lm; {used}; print(*sys.modules)").split()
    assert "lit_metanas.spaces" in loaded
    assert "lit_metanas.kinds" not in loaded
    assert "lightning" not in loaded


def test_a_star_brings_the_names_alone():
    names: dict[str, object] = {}
    exec("import io; before = io; from lit_metanas import *", names)
    assert names["io"] is names["before"]
    assert names.keys() - {"__builtins__", "io", "before"} == {*lm.__all__}


EXTRAS = """
import sys, torch, lit_metanas as lm
space = lm.LayeredSpace(depths=(1,), widths=(4,))
network = space.child(space.sample(torch.Generator()), (1, 8, 8), way=2)
lm.export_child(network, sys.argv[1], architecture={}, classes=("a", "b"), shape=(1, 8, 8))
lm.load(sys.argv[1])
lm.search, lm.SearchResult, lm.MLPSpace
data = torch.rand(40, 1, 8, 8), ["a", "b"] * 20
lm.auto(data, flops=(2e7, 1e7), space=lm.LayeredSpace(widths=(4,), depths=(1,)), progress=False, workers=1)
extras = "onnx", "onnxscript", "onnxruntime", "huggingface_hub", "sklearn", "plotly", "wandb"
print([name for name in extras if name in sys.modules])
sys.modules["sklearn"] = None
try:
    lm.AutoClassifier()
except ValueError as error:
    print(error)
"""


def test_what_extras_bring_is_imported_for_its_users_alone(tmp_path):
    imported, told = fresh(EXTRAS, str(tmp_path)).splitlines()
    assert imported == "[]"
    assert told.startswith("AutoClassifier needs the package sklearn (")
    assert told.endswith(": pip install 'lit-metanas[sklearn]'.")
