"""Checkpoints of TaskReptile: gone on from bit for bit, read as a start, and refused."""

from dataclasses import replace

import pytest
import torch
from cipher_tasks import IMAGES, LETTERS, OTHERS, WRITERS, Ciphers, Stripes, quiet_trainer, stripe_data
from lightning.pytorch import Callback

import lit_metanas as lm
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.records.record import SearchRecord
from lit_metanas.training.meta_weights import TASKS_KEY, MetaCheckpoint, TaskStart, Vocabularies

RECIPE, STILL = lm.Recipe(epochs=2, batch_size=20), lm.Recipe(epochs=1, learning_rate=0.0)


class Keeps(Callback):
    """The losses and validation scores; leaves a checkpoint after an outer step."""

    def __init__(self, save=None, path=None):
        self.losses, self.scores, self.save, self.path = [], [], save, path

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.losses.append(float(trainer.callback_metrics["train/loss"]))
        if int(pl_module.outer_steps) == self.save:
            trainer.save_checkpoint(self.path)

    def on_validation_end(self, trainer, pl_module):
        self.scores.append(float(trainer.callback_metrics["val/score"]))


def run(space, data, keeps, path=None, **options):
    model = lm.training.TaskReptile(space=space, inner_steps=2, batch_size=8, seed=3, **options)
    limits = {"max_epochs": None} if "flops" in options else {"max_epochs": 2}
    trainer = quiet_trainer(callbacks=[keeps], **limits)
    trainer.fit(model, data, ckpt_path=path)
    return model, trainer


def cipher_data(**options):
    sizes = {"tasks_per_step": 2, "steps_per_epoch": 3, "val_tasks": 1}
    return lm.TrainingTaskDataModule(Ciphers(range(5), train=12), Ciphers(range(90, 92), train=12), **sizes, **options)


@pytest.mark.parametrize("options", [{}, {"flops": 4e7}], ids=["epochs", "budget"])
@pytest.mark.parametrize("after", [2, 3])
def test_a_resumed_training_is_the_uninterrupted_one(after, options, tmp_path):
    space, data = (IMAGES, stripe_data) if options == {} else (WRITERS, cipher_data)
    path = str(tmp_path / "middle.ckpt")
    whole = Keeps(after, path)
    expected, trainer = run(space, data(), whole, **options)
    assert len(whole.losses) > after
    assert len(whole.scores) >= (2 if options == {} else 1)
    torch.manual_seed(99)
    rest = Keeps()
    model, again = run(space, data(), rest, path, **options)
    assert rest.losses == whole.losses[after:]
    assert rest.scores == whole.scores[len(whole.scores) - len(rest.scores) :]
    assert all(torch.equal(value, model.weights()[name]) for name, value in expected.weights().items())
    assert replace(model.cost(), seconds=0.0) == replace(expected.cost(), seconds=0.0)
    assert again.global_step == trainer.global_step


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    model, trainer = run(IMAGES, stripe_data(), Keeps())
    trainer.save_checkpoint(path := tmp_path_factory.mktemp("images") / "end.ckpt")
    return model, path


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    model, trainer = run(WRITERS, cipher_data(), Keeps())
    trainer.save_checkpoint(path := tmp_path_factory.mktemp("texts") / "end.ckpt")
    return model, path


def test_a_start_tells_everything(texts):
    model, path = texts
    found = TaskStart.read(path)
    theirs = {**found.weights, **found.outputs}
    assert all(torch.equal(value, theirs[name]) for name, value in model.weights().items())
    assert {"head.weight", "head.bias"} == found.outputs.keys()
    assert (found.shape, found.cost, found.space) == (LETTERS.shape, model.cost(), "EncoderDecoderSpace")
    assert found.vocabularies == Vocabularies.of(Ciphers(range(1))[0])
    assert found.vocabularies.inputs.preprocessing == found.vocabularies.outputs.preprocessing == LETTERS
    torch.load(path, weights_only=True)


def test_a_model_is_read_from_its_checkpoint_alone(images):
    model, path = images
    again = lm.training.TaskReptile.load_from_checkpoint(path, space=IMAGES, weights_only=True)
    assert all(torch.equal(value, again.weights()[name]) for name, value in model.weights().items())
    assert again.cost() == model.cost()


def test_every_candidate_begins_with_the_start(texts):
    task, path = Ciphers(range(70, 71))[0], str(texts[1])
    estimator = lm.estimators.TrainingEstimator(task, WRITERS, 0, STILL, start=path)
    weights = texts[0].weights()
    for number in range(3):
        found = estimator(WRITERS.sample(torch.Generator().manual_seed(number)), fidelity=1.0).weights
        assert all(torch.equal(value, found[name]) for name, value in weights.items())
    assert estimator.meta_cost == texts[0].cost()
    assert estimator.settings["start"]
    assert "start" not in lm.estimators.TrainingEstimator(task, WRITERS, 0, RECIPE).settings
    assert estimator.with_recipe({"epochs": 3}).meta_cost == estimator.meta_cost


def test_further_rungs_go_on_from_what_was_trained(images):
    task = Stripes(1, first=70)[0]
    estimator = lm.estimators.TrainingEstimator(task, IMAGES, 0, lm.Recipe(epochs=1), start=str(images[1]))
    architecture = IMAGES.sample(torch.Generator().manual_seed(0))
    first = estimator(architecture, fidelity=1.0).weights
    still = lm.estimators.TrainingEstimator(task, IMAGES, 0, STILL, start=str(images[1]))
    again = still(architecture, fidelity=1.0, start=first).weights
    assert torch.equal(again["head.weight"], first["head.weight"])
    assert not torch.equal(first["head.weight"], images[0].weights()["head.weight"])


@pytest.mark.parametrize(
    "kind", [lm.searchers.QuerySearcher, lm.searchers.SuccessiveHalving, lm.searchers.EvolvingHalving]
)
def test_the_cost_of_the_start_is_in_the_results_of_any_query_search(kind, texts):
    def started(task, space, seed):
        return lm.estimators.TrainingEstimator(task, space, seed, RECIPE, start=str(texts[1]))

    few = {"trials": 1} if kind is lm.searchers.QuerySearcher else {"candidates": 2}
    if kind is lm.searchers.EvolvingHalving:
        few = {"candidates": (1,), "rungs": (0.5,)}
    method = kind(estimator=started, **few)
    task = Ciphers(range(70, 71))[0]
    result = lm.search(task, WRITERS, method=method, flops=1e9, recipe=STILL, seed=0, progress=False)
    assert result.meta_cost == texts[0].cost()
    assert isinstance(result.record, SearchRecord)


def start(path, task, space):
    return lm.estimators.TrainingEstimator(task, space, 0, RECIPE, start=str(path))


def test_a_start_of_something_else_is_refused(images, texts):
    cipher = Ciphers(range(1))[0]
    with pytest.raises(ValueError, match="is of the search space LayeredSpace, the model of EncoderDecoderSpace: give"):
        start(images[1], cipher, WRITERS)
    with pytest.raises(ValueError, match=r"another search space: for 'layer1.kernel' the model has 3, 5, the checkp"):
        start(images[1], Stripes()[0], lm.LayeredSpace(kernels=(3, 5), depths=(2,), widths=(4,), pools=("max",)))
    larger = lm.task_from_arrays(torch.rand(20, 9, 9), torch.arange(20) % 2)
    with pytest.raises(ValueError, match=r"is for images of shape \(1, 8, 8\), the model for images of shape \(1"):
        start(images[1], larger, IMAGES)
    with pytest.raises(ValueError, match="of inputs than task 'cipher/0' has: give the task the preproc"):
        start(texts[1], Ciphers(range(1), letters=OTHERS)[0], WRITERS)
    other = Ciphers(range(1))[0]
    other.objective = lm.Translation(OTHERS)
    with pytest.raises(ValueError, match="with another vocabulary of outputs than task 'cipher/0' has: give the"):
        start(texts[1], other, WRITERS)


def test_a_classifier_of_another_number_of_classes_stays_fresh(images):
    task = lm.task_from_arrays(torch.rand(40, 8, 8), torch.arange(40) % 4)
    assert "head.weight" not in start(images[1], task, IMAGES)._initial
    assert "head.weight" in start(images[1], Stripes()[0], IMAGES)._initial


DAMAGE = {
    "no weights": lambda content: content["state_dict"].clear(),
    "large image": lambda content: content[TASKS_KEY].update(shape=[1, 2**13, 2**14]),
    "not finite": lambda content: content["state_dict"]["outputs.head.bias"].fill_(torch.inf),
    "vocabularies": lambda content: content[TASKS_KEY]["vocabularies"].update(
        inputs={**InputMeaning.of(LETTERS).to_plain(), "digest": "of something else"}
    ),
}


@pytest.mark.parametrize("damage", ["truncated", "list", *DAMAGE])
def test_a_damaged_file_is_named(damage, images, tmp_path):
    path = tmp_path / "bad.ckpt"
    content = torch.load(images[1], weights_only=True)
    if damage == "truncated":
        path.write_bytes(images[1].read_bytes()[:1000])
    elif damage == "list":
        torch.save([1, 2], path)
    else:
        DAMAGE[damage](content)
        torch.save(content, path)
        with pytest.raises(ValueError, match="The checkpoint is damaged: give one that `fit` of TaskReptile"):
            lm.training.TaskReptile(space=IMAGES).on_load_checkpoint(content)
    sentence = r"bad.ckpt' is damaged or was not written by TaskReptile: give one that `fit`"
    with pytest.raises(ValueError, match=sentence):
        start(path, Stripes()[0], IMAGES)


def test_missing_newer_and_foreign_files_are_named(images, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint '.*none.ckpt'"):
        start(tmp_path / "none.ckpt", Stripes()[0], IMAGES)
    content = torch.load(images[1], weights_only=True)
    content[TASKS_KEY]["schema"] = TaskStart.schema + 1
    torch.save(content, tmp_path / "newer.ckpt")
    with pytest.raises(ValueError, match=r"newer.ckpt' was written by a newer version of lit_metanas: upgrade"):
        start(tmp_path / "newer.ckpt", Stripes()[0], IMAGES)
    with pytest.raises(ValueError, match="was written by a newer version of lit_metanas: upgrade"):
        run(IMAGES, stripe_data(), Keeps(), str(tmp_path / "newer.ckpt"))
    with pytest.raises(ValueError, match="is damaged or was not written by MetaSearch"):
        MetaCheckpoint.read(images[1])
    content.pop(TASKS_KEY)
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="The checkpoint was not written by TaskReptile: give one that `fit`"):
        run(IMAGES, stripe_data(), Keeps(), str(tmp_path / "foreign.ckpt"))


def test_another_model_does_not_go_on(images, texts):
    with pytest.raises(ValueError, match="is of the search space EncoderDecoderSpace, the model of LayeredSpace"):
        run(IMAGES, stripe_data(), Keeps(), str(texts[1]))
    narrow = lm.LayeredSpace(
        kernels=(1, 3), depths=(2,), widths=(4,), activations=("ReLU", "Tanh"), pools=("max",), dropouts=(0.0,)
    )
    with pytest.raises(ValueError, match="is damaged or of another configuration"):
        run(narrow, stripe_data(), Keeps(), str(images[1]))
    data = lm.TrainingTaskDataModule(Ciphers(range(4), letters=OTHERS))
    with pytest.raises(ValueError, match="with another vocabulary or preprocessing of inputs than the tasks have"):
        run(WRITERS, data, Keeps(), str(texts[1]))
