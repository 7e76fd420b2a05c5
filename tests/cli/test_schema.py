"""The schema of configurations: every shipped one meets it, and one with a misspelt key does not."""

import gc
import json
from pathlib import Path

import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.cli.schema import configuration_schema

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    made = configuration_schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def test_every_shipped_configuration_meets_it_and_none_with_a_misspelt_key(validator):
    files = sorted(CONFIGS.rglob("*.yaml"))
    assert len(files) > 90
    tried = set()
    for file in files:
        tree = yaml.safe_load(file.read_text())
        assert not [error.message for error in validator.iter_errors(tree)], file
        for key in {key for key in tree if (file.parent, key) not in tried}:
            tried.add((file.parent, key))
            renamed = {f"{name}x" if name == key else name: value for name, value in tree.items()}
            assert not validator.is_valid(renamed), (file, key)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("model: {class_path: MetaSearch, init_args: {flops: 1.0e+9}}", "flop"),
        ("model: {init_args: {methods: {mine: {class_path: DARTSSearcher, init_args: {epochs: 2}}}}}", "epoch"),
        ("model: {init_args: {weight_optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1}}}}", "learning"),
        ("trainer: {callbacks: [{class_path: ReplicaCheck, init_args: {every_n_steps: 5}}], devices: 1}", "every"),
        ("{data: photos, minutes: 5, shape: 64, class_weight: balanced}", "side"),
        ("{model: out, examples: [photo.jpg], kind: images, output: said.csv}", "table"),
        ("{phases: [{verb: fit, name: first, config: [a.yaml]}], directory: runs/mine}", "files"),
        ("{class_path: LayeredSpace, init_args: {widths: [4]}}", "width"),
    ],
)
def test_a_wrong_key_is_found_at_each_depth(validator, right, wrong):
    def rename_last(tree):
        """A copy in which the last key of the deepest mapping is another one."""
        if isinstance(tree, list):
            return [*tree[:-1], rename_last(tree[-1])]
        *others, (last, value) = tree.items()
        if isinstance(value, dict) or (isinstance(value, list) and isinstance(value[-1], dict)):
            return {**dict(others), last: rename_last(value)}
        return {**dict(others), wrong: value}

    tree = yaml.safe_load(right)
    assert validator.is_valid(tree)
    assert not validator.is_valid(rename_last(tree))


def test_a_class_of_somebodys_own_is_taken_by_its_path_and_a_wrong_name_is_not(validator):
    assert validator.is_valid({"model": {"class_path": "mine.Model", "init_args": {"anything": 1}}})
    assert not validator.is_valid({"model": {"class_path": "MetaSerch", "init_args": {}}})
    assert not validator.is_valid({"trainer": {"max_epochs": "many"}})


def test_the_verb_writes_it_and_replaces_nothing_else(here, capsys, refusal):
    gc.collect()  # classes within earlier tests are known until then
    for _ in range(2):
        assert main(["schema", "schema.json"]) == 0
    assert "$schema=schema.json" in capsys.readouterr().out
    made = json.loads(Path("schema.json").read_text())
    assert made == configuration_schema()
    assert made["$defs"]["arguments.MetaSearch"]["properties"]["space"]["description"]
    Path("mine.json").write_text("{}")
    assert "'mine.json' is there already, and holds no schema" in refusal("schema", "mine.json")
    assert Path("mine.json").read_text() == "{}"
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == made
