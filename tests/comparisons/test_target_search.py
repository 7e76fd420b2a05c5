"""All methods on all tasks: rows, files, resume, one seed one answer."""

import signal
from dataclasses import asdict, replace

import pytest
import torch
from lightning import pytorch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from sharing_toys import make_task
from torch.utils.data import DataLoader

from lit_metanas import training
from lit_metanas.comparisons import TargetSearch
from lit_metanas.estimators import TrainingEstimator
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.records import Cost, read_architectures, read_record_lines, read_results
from lit_metanas.records.statistics import wilson_reach
from lit_metanas.searchers import DARTSSearcher, FixedArchitecture, QuerySearcher, RandomArchitecture, Searcher
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training import Child, Recipe

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU",), depths=(1, 2), widths=(2, 4))
RECIPE = Recipe(epochs=3, batch_size=8)
QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
TASKS = [replace(make_task(each=6, seed=seed), id=f"glyphs/{seed}", classes=("a", "b", "c")) for seed in (0, 1)]


class Counting(Searcher):
    """Passes searches on, counts them, and stops the run at one of them."""

    def __init__(self, searcher):
        self.searcher = searcher
        self.calls = []
        self.fail_at = None

    @property
    def meta_cost(self):
        return Cost(flops=77)

    def search(self, task, space, budget, seed):
        if len(self.calls) == self.fail_at:
            raise RuntimeError("pulled the plug")
        self.calls.append(task.id)
        return self.searcher.search(task, space, budget, seed)


def brief_training(task, space, seed):
    return TrainingEstimator(task, space, seed, Recipe(epochs=1, batch_size=8))


def methods():
    return {
        "fixed": FixedArchitecture({}),
        "random": RandomArchitecture(),
        "queries": QuerySearcher(estimator=brief_training),
        "darts": DARTSSearcher(epochs=2, batch_size=8),
    }


def run(directory, searchers=None, inference_mode=True, tasks=None, **options):
    given = {"space": SPACE, "recipe": RECIPE, "flops": 2e6, "seed": 1, **options}
    module = TargetSearch(methods=searchers or methods(), directory=str(directory), **given)
    loader = DataLoader(tasks or TASKS, batch_size=None, collate_fn=lambda task: task)
    scores = Trainer(**QUIET, inference_mode=inference_mode).predict(module, loader)
    if inference_mode:
        assert [score for one in scores for score in one.values()] == [row.value for row in module.results]
    return module


def plain(rows):
    return [replace(row, cost=replace(row.cost, seconds=0.0)) for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("search")
    run(directory)
    return directory


def test_each_method_has_a_row_on_each_task(finished):
    rows = read_results(finished / "results.json")
    assert [(row.task_id, row.method) for row in rows] == [(task.id, name) for task in TASKS for name in methods()]
    for row in rows:
        assert row.cost.flops <= 2e6
        assert (row.cost.flops > 0) == (row.method in ("queries", "darts"))
        assert (row.protocol.way, row.protocol.shot, row.protocol.name) == (3, 6, "target")
        assert row.recipe == asdict(RECIPE)
        assert row.flops == SPACE.cost(row.architecture, (1, 8, 8), 3).flops
        assert row.ci95 == pytest.approx(wilson_reach(row.value, 18))
        assert bool(row.curve) == (row.method in ("queries", "darts"))


def test_the_same_seed_gives_the_same_rows_with_and_without_inference_mode(finished, tmp_path):
    run(tmp_path, inference_mode=False)
    for read, name in ((read_results, "results.json"), (read_architectures, "architectures.json")):
        assert repr(plain(read(tmp_path / name))) == repr(plain(read(finished / name)))  # NaN is not equal to itself


def test_an_interrupted_search_goes_on_where_it_stopped(finished, tmp_path):
    counting = Counting(FixedArchitecture({}))
    counting.fail_at = 1
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run(tmp_path, {"fixed": counting, "random": RandomArchitecture()})
    assert not (tmp_path / "results.json").exists()
    again = Counting(FixedArchitecture({}))
    run(tmp_path, {"fixed": again, "random": RandomArchitecture()})
    assert (counting.calls, again.calls) == (["glyphs/0"], ["glyphs/1"])
    rows = read_results(tmp_path / "results.json")
    expected = [row for row in read_results(finished / "results.json") if row.method in ("fixed", "random")]
    assert [row.meta_cost.flops for row in rows] == [77, 0, 77, 0]
    assert plain(replace(row, meta_cost=Cost()) for row in rows) == plain(expected)


def test_a_pair_is_searched_anew_where_its_method_or_data_changed(tmp_path):
    def count(labels, tasks=None, **options):
        counting = Counting(FixedArchitecture(labels))
        run(tmp_path, {"fixed": counting}, tasks=tasks, **options)
        return counting.calls

    first, second = TASKS
    kernel = {"layer1.kernel": "3"}
    assert count({}) == ["glyphs/0", "glyphs/1"]
    assert count({}) == []
    assert count(kernel) == ["glyphs/0", "glyphs/1"]
    assert read_results(tmp_path / "results.json")[0].architecture["layer1.kernel"] == "3"
    other = replace(second, train=replace(second.train, inputs=second.train.inputs.flip(0)))
    assert count(kernel, [first, other]) == ["glyphs/1"]
    other = replace(other, classes=("a", "b", "d"))
    assert count(kernel, [first, other]) == ["glyphs/1"]
    assert count(kernel, [first, other]) == []
    assert count(kernel, [first, other], export=True) == ["glyphs/0", "glyphs/1"]


@pytest.mark.parametrize("name", ["README.md", "predict.py"])
def test_a_file_of_anothers_is_told_before_the_search(name, tmp_path):
    folder = tmp_path / "children" / "glyphs%2F0" / "fixed"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    counting = Counting(FixedArchitecture({}))
    with pytest.raises(ValueError, match=f"fixed/{name}' is there already, and no export has written it"):
        run(tmp_path, {"fixed": counting}, export=True)
    assert counting.calls == []


def test_a_directory_of_another_search_is_refused(finished):
    with pytest.raises(ValueError, match="holds a search with another space, recipe, budget or seed"):
        run(finished, seed=2)
    with pytest.raises(ValueError, match="holds a search with another"):
        run(finished, recipe=Recipe(epochs=4))


def test_methods_that_cannot_be_compared_are_refused(tmp_path):
    """Of two methods with one study the second would find the trials of the first, and spend nothing."""
    methods = {
        "a": QuerySearcher(storage="sqlite:///studies.db", study="same"),
        "b": QuerySearcher(storage="sqlite:///other.db", study="same"),
        "c": QuerySearcher(study="same"),
    }
    TargetSearch(space=SPACE, methods=methods, directory=str(tmp_path))
    methods["d"] = QuerySearcher(storage="sqlite:///studies.db", study="same")
    with pytest.raises(ValueError, match="no methods"):
        TargetSearch(space=SPACE, methods={}, directory=str(tmp_path))
    with pytest.raises(ValueError, match="TargetSearch: seed = -1 must be at least 0"):
        TargetSearch(space=SPACE, methods=methods, seed=-1, directory=str(tmp_path))
    with pytest.raises(ValueError, match=r"^Methods 'a' and 'd' have one study in one storage: give each another name"):
        TargetSearch(space=SPACE, methods=methods, directory=str(tmp_path))


def test_children_inherit_only_if_the_recipe_says_so(tmp_path):
    still = replace(RECIPE, epochs=1, learning_rate=0.0, weight_decay=0.0)
    kept = {}
    for inherit in (True, False):
        directory = tmp_path / str(inherit)
        run(directory, {"darts": DARTSSearcher(epochs=2, batch_size=8)}, recipe=replace(still, inherit=inherit))
        row = read_architectures(directory / "architectures.json")[0]
        kept[inherit] = row, read_weights(directory / row.weights)
    assert kept[True][0].architecture == kept[False][0].architecture
    name = f"body.layers.1.conv.{kept[True][0].architecture['layer1.kernel']}.weight"
    assert not torch.equal(kept[True][1][name], kept[False][1][name])


def test_what_a_search_finds_beside_the_architecture_lands_in_its_rows(tmp_path):
    searchers = {
        "recipe": QuerySearcher(estimator=brief_training, train={"learning_rate": RecipeRange(0.02, 0.05, log=True)}),
        "front": QuerySearcher(estimator=brief_training, objectives=("accuracy", "parameters")),
    }
    run(tmp_path, searchers, tasks=TASKS[:1], refit=False)
    recipe, front = read_results(tmp_path / "results.json")
    folder = tmp_path / "children" / "glyphs%2F0"
    (tried,), (both,) = (read_record_lines(folder / name / "record.jsonl") for name in ("recipe", "front"))
    assert recipe.recipe == asdict(replace(RECIPE, **tried.best.recipe))
    assert 0.02 <= recipe.recipe["learning_rate"] <= 0.05
    assert read_architectures(tmp_path / "architectures.json")[0].recipe == recipe.recipe
    assert (recipe.front, front.front) == ((), both.front)
    assert both.objectives == ("accuracy", "parameters")
    assert both.best in front.front
    for trial in front.front:
        assert trial.measures == {"parameters": SPACE.cost(trial.architecture, (1, 8, 8), 3).parameters}


def fixed_search(directory, trainer):
    """A search that does nothing but train one network, 9 steps."""
    options = {"recipe": RECIPE, "refit": False, "directory": str(directory)}
    module = TargetSearch(space=SPACE, methods={"fixed": FixedArchitecture({})}, **options)
    loader = DataLoader(TASKS[:1], batch_size=None, collate_fn=lambda task: task)
    return trainer(**QUIET, default_root_dir=directory).predict(module, loader)


@pytest.mark.parametrize("trainer", [training.Trainer, pytorch.Trainer], ids=["ours", "Lightning's"])
def test_sigterm_ends_a_training_under_any_trainer(trainer, tmp_path, monkeypatch):
    before, calls, loss = signal.getsignal(signal.SIGTERM), [], Child.step_loss

    def step(self, *args, **more):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return loss(self, *args, **more)

    monkeypatch.setattr(Child, "step_loss", step)
    told = r"^Stopped by a signal; the same command goes on after what is finished"
    with pytest.raises(SIGTERMException, match=told):
        fixed_search(tmp_path, trainer)
    assert len(calls) == 2
    assert signal.getsignal(signal.SIGTERM) is before
