"""One architecture for a whole source: what candidates cost, and what is written."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import yaml
from meta_toys import SHAPE, Patterns, make_trainer

from lit_metanas.comparisons import SourceSearch
from lit_metanas.estimators import fresh_weights
from lit_metanas.estimators.meta_training import MetaTrainingEstimator
from lit_metanas.kinds import ImageAugmentation
from lit_metanas.meta import PrototypeHead, PrototypeLoss
from lit_metanas.records import read_architectures, read_record_lines
from lit_metanas.searchers import SuccessiveHalving
from lit_metanas.spaces import LayeredSpace, inherit, one_hot
from lit_metanas.tasks import EpisodeDataModule
from lit_metanas.training import MetaRecipe, MetaSearch
from lit_metanas.training.meta_weights import MetaCheckpoint

SPACE = LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(2, 4), activations=("ReLU",), dropouts=(0.0,))

DATA = {"way": 3, "shot": 2, "query": 4, "tasks_per_step": 2, "steps_per_epoch": 3, "val_episodes": 4}


def make_estimator(flops):
    data = EpisodeDataModule(Patterns(), **DATA)
    return MetaTrainingEstimator(data=data, space=SPACE, flops=flops, seed=0)


def step_by_hand(architecture):
    """Two tasks of three classes, two support and four query images each, forwards and backwards."""
    forward = SPACE.supernet(SHAPE).flops(one_hot(SPACE.choices, architecture))
    return 3 * forward * 2 * 3 * (2 + 4)


@pytest.mark.parametrize(("steps", "expected"), [(0.3, 1), (1.0, 1), (3.9, 3), (4.0, 4)])
def test_what_was_spent_is_charged_and_no_more_than_foretold(steps, expected):
    architecture = SPACE.sample(torch.Generator().manual_seed(2))
    step = step_by_hand(architecture)
    estimator = make_estimator(10 * step)
    assert estimator.step_flops(architecture) == step
    score = estimator(architecture, fidelity=steps / 10)
    assert score.cost.flops == expected * step
    assert (score.cost.steps, score.cost.queries) == (expected, 1)
    assert score.cost.images == expected * 2 * 3 * (2 + 4)
    assert score.cost.flops <= estimator.cost(architecture, steps / 10).flops


def search(directory, **options):
    searcher = SuccessiveHalving(candidates=2, rungs=(0.5, 0.5))
    return SourceSearch(space=SPACE, searcher=searcher, flops=1e6, directory=str(directory), **options)


def end_state(folder):
    """All files but for times."""
    (record,) = read_record_lines(folder / "records.jsonl")
    (chosen,) = read_architectures(folder / "architectures.json")
    untimed = [replace(trial, cost=replace(trial.cost, seconds=0.0)) for trial in record.trials]
    checkpoint = MetaCheckpoint.read(folder / "start.ckpt")
    weights = {name: tensor.tolist() for name, tensor in checkpoint.weights.items()}
    assert sorted(file.name for file in folder.iterdir()) == [
        ".change.lock", ".search.lock", "architectures.json", "finished.json", "recipe.yaml", "records.jsonl",
        "start.ckpt"
    ]  # fmt: skip
    return replace(record, trials=untimed), replace(chosen, cost=replace(chosen.cost, seconds=0.0)), weights


def counted(monkeypatch, fail_at=None):
    """Calls of the estimator, the last of which is interrupted."""
    calls, train = [], TRAIN

    def call(self, architecture, **options):
        calls.append(architecture)
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        return train(self, architecture, **options)

    monkeypatch.setattr(MetaTrainingEstimator, "__call__", call)
    return calls


TRAIN = MetaTrainingEstimator.__call__


def test_an_interrupted_search_goes_on_from_its_last_training(tmp_path, monkeypatch, capsys):
    whole, parts = search(tmp_path / "whole"), search(tmp_path / "parts")
    data = EpisodeDataModule(Patterns(), **DATA)
    calls = counted(monkeypatch)
    whole.search(data)
    assert len(calls) == 3
    counted(monkeypatch, fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        parts.search(data)
    first, second = sorted((tmp_path / "parts" / "trainings").iterdir())
    first.write_bytes(second.read_bytes()[:100])  # a damaged one counts as absent
    again = counted(monkeypatch)
    found = parts.search(data)
    assert len(again) == 2
    assert found.record.trials[0].cost.seconds > 0
    assert end_state(tmp_path / "parts") == end_state(tmp_path / "whole")
    assert end_state(tmp_path / "whole")[0].method == "halving"
    capsys.readouterr()
    before = (tmp_path / "whole" / "records.jsonl").read_bytes()
    known = whole.search(data)
    assert known.architecture == found.architecture
    assert [trial.value for trial in known.record.trials] == [trial.value for trial in found.record.trials]
    assert capsys.readouterr().out == f"The search in '{tmp_path / 'whole'}' was already finished: nothing was done.\n"
    assert (tmp_path / "whole" / "records.jsonl").read_bytes() == before
    assert len(again) == 2
    for change in ({"shot": 1}, {"val_episodes": 2}):
        whole.search(EpisodeDataModule(Patterns(), **{**DATA, **change}))
    assert len(again) == 2 + 3 + 3


VALUES = {"learning_rate": [1e-3, 1e-2], "distance": ["plain", "cosine"], "label_smoothing": [0.0, 0.2], "way": [2, 3]}


def searched_recipe(directory):
    searcher = SuccessiveHalving(candidates=4, rungs=(0.6, 0.4), train=VALUES)
    module = SourceSearch(space=SPACE, searcher=searcher, flops=3e6, recipe=START, directory=str(directory))
    return module, module.search(EpisodeDataModule(Patterns(), **DATA))


START = MetaRecipe(weight_decay=0.05)


def test_a_recipe_is_searched_and_written_as_a_configuration(tmp_path):
    module, found = searched_recipe(tmp_path)
    assert found.recipe.keys() == VALUES.keys()
    best = max(found.record.trials[-2:], key=lambda trial: trial.value)
    assert (best.architecture, best.recipe) == (found.architecture, found.recipe)
    assert len({tuple(sorted(trial.recipe.items())) for trial in found.record.trials}) > 1
    (chosen,) = read_architectures(tmp_path / "architectures.json")
    assert chosen.recipe == found.recipe
    written = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert written == START.replace(found.recipe).configuration()
    assert written["data"] == {"init_args": {"way": found.recipe["way"]}}
    assert module.search(EpisodeDataModule(Patterns(), **DATA)).recipe == found.recipe  # of the finished search


def test_an_interrupted_search_of_recipes_goes_on(tmp_path, monkeypatch):
    _, whole = searched_recipe(tmp_path / "whole")
    counted(monkeypatch, fail_at=4)
    with pytest.raises(KeyboardInterrupt):
        searched_recipe(tmp_path / "parts")
    again = counted(monkeypatch)
    _, found = searched_recipe(tmp_path / "parts")
    assert len(again) == len(whole.record.trials) - 3
    assert end_state(tmp_path / "parts") == end_state(tmp_path / "whole")
    assert found.recipe == whole.recipe


def test_a_meta_training_by_a_recipe_is_that_of_its_parts():
    """Against a training that is written out: heads, smoothing, AdamW, sizes and changes of episodes."""
    architecture = SPACE.sample(torch.Generator().manual_seed(2))
    data = EpisodeDataModule(Patterns(), **DATA)
    options = {"space": SPACE, "flops": 5 * step_by_hand(architecture), "seed": 0}
    changes = {"learning_rate": 0.02, "weight_decay": 0.1, "label_smoothing": 0.2, "distance": "scaled", "query": 2}
    changes["augmentation"] = "colour"
    score = MetaTrainingEstimator(data=data, **options).with_recipe(changes)(architecture, fidelity=1.0)
    model = MetaSearch(
        architecture=architecture.to_json(),
        shape=SHAPE,
        head=PrototypeHead(scale=1.0, learned=True),
        meta_gradient=PrototypeLoss(label_smoothing=0.2),
        weight_optimizer=partial(torch.optim.AdamW, lr=0.02, weight_decay=0.1),
        **{**options, "flops": score.cost.flops},
    )
    model.supernet.load_state_dict(inherit(fresh_weights(SPACE, SHAPE, 0), model.supernet.state_dict()))
    trainer = make_trainer(max_epochs=-1, limit_val_batches=0)
    augmentation = ImageAugmentation(flip=0.5, zoom=0.5, colour=0.4)
    trainer.fit(model, EpisodeDataModule(Patterns(), **{**DATA, "query": 2}, augmentation=augmentation))
    trained = {name: parameter for name, parameter in model.supernet.named_parameters() if name in score.weights}
    assert len(trained) > 2
    for name, parameter in trained.items():
        own = score.weights[name][tuple(map(slice, parameter.shape))]
        # Parts of larger tensors lie elsewhere in memory, and some processors round the same sums differently there.
        torch.testing.assert_close(parameter.detach(), own, rtol=1e-4, atol=1e-6, msg=name)
    assert score.weights["head.log_scale"] != 0
    assert (data.way, data.query, data.augmentation) == (3, 4, None)


def test_several_processes_are_refused(tmp_path, monkeypatch):
    module = search(tmp_path)
    monkeypatch.setattr(SourceSearch, "trainer", SimpleNamespace(world_size=2))
    with pytest.raises(ValueError, match="runs in one process, not in 2"):
        module.on_predict_start()
