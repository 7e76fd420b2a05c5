"""What is said where a checkpoint does not fit, and that none is executed."""

import pickle

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from meta_toys import SHAPE, SPACE, adapting, fit, make_data, make_model, make_trainer

from lit_metanas import DARTSSearcher, Recipe, search
from lit_metanas.inputs import SeriesShape, TokenShape
from lit_metanas.meta import LinearHead
from lit_metanas.records import Cost
from lit_metanas.spaces import LayeredSpace, SequenceSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training.meta_weights import META_KEY, MetaCheckpoint, write_meta_checkpoint

SCALE = "body.layers.1.conv.norm.batch.scale"
PART = Split(torch.zeros(2, *SHAPE), torch.arange(2))
TASK = Task("own", 2, PART, PART, PART)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = make_model()
    trainer, _ = fit(model)
    path = tmp_path_factory.mktemp("saved") / "end.ckpt"
    trainer.save_checkpoint(path)
    return model, path


def changed(path, folder, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, folder / "changed.ckpt")
    return folder / "changed.ckpt"


def resume(path, **options):
    make_trainer().test(make_model(**options), make_data(), ckpt_path=path, verbose=False)


def test_a_checkpoint_tells_everything(saved):
    model, path = saved
    found = MetaCheckpoint.read(path)
    assert found.architecture() == dict(model.space.derive(model.logits.tree()))
    assert found.shape == SHAPE
    assert found.cost == model.cost()
    assert found.head == {}
    assert all(torch.equal(found.weights[name], value) for name, value in model.supernet.named_parameters())
    assert all(torch.equal(found.statistics[name], value) for name, value in model.statistics.values.items())
    parameters = MetaCheckpoint.read(path).for_task(SPACE, TASK)
    assert all(torch.equal(parameters.logits[name], value) for name, value in model.logits.tree().items())


def test_parameters_are_cut_to_a_restricted_space(saved):
    model, path = saved
    small = SPACE.restricted({"layer1.width": "4", "layer2.kernel": "3"})
    parameters = MetaCheckpoint.read(path).for_task(small, TASK)
    whole = dict(model.supernet.named_parameters())
    assert torch.equal(parameters.weights[SCALE], whole[SCALE][:4])
    assert torch.equal(parameters.weights["body.layers.2.conv.3.weight"], whole["body.layers.2.conv.3.weight"][:, :4])
    assert "body.layers.2.conv.1.weight" not in parameters.weights
    assert torch.equal(parameters.logits["layer2.kernel"], model.logits.tree()["layer2.kernel"][1:])


def test_a_linear_head_is_cut_with_the_features(tmp_path):
    large, small = (LayeredSpace(widths=widths, depths=(2,)) for widths in ((4, 8), (4,)))
    model = make_model(space=large, **adapting(head=LinearHead(way=2)))
    trainer, _ = fit(model, make_data(way=2))
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    features = small.supernet(SHAPE).features
    weight = dict(model.head)["weight"]
    assert weight.shape[1] > features
    head = MetaCheckpoint.read(tmp_path / "end.ckpt").for_task(small, TASK).head
    assert torch.equal(head["weight"], weight[:, :features])
    assert torch.equal(head["bias"], model.head["bias"])
    searcher = DARTSSearcher(epochs=1, start=str(tmp_path / "end.ckpt"), head=LinearHead())
    assert search(TASK, small, method=searcher, recipe=Recipe(epochs=1), progress=False).test_score >= 0


def test_a_start_is_written_and_read(tmp_path):
    weights, head = {SCALE: torch.rand(3)}, {"w": torch.ones(2)}
    choices = {"logits": {"a": torch.tensor([1.0, 2.0])}, "labels": {"a": ["x", "y"]}}
    more = {"statistics": {"s": torch.ones(1)}, "shape": SHAPE, "cost": Cost(flops=7), "head": head}
    written = MetaCheckpoint(weights=weights, **choices, **more)
    write_meta_checkpoint(tmp_path / "start.ckpt", written)
    read = MetaCheckpoint.read(tmp_path / "start.ckpt")
    assert read.architecture() == {"a": "y"}
    assert torch.equal(read.weights[SCALE], weights[SCALE])
    assert (read.labels, read.shape, read.cost) == (written.labels, written.shape, written.cost)
    assert torch.equal(read.head["w"], torch.ones(2))


OTHER = LayeredSpace(kernels=(5,), depths=(2,), widths=(4, 6), pools=("max",), dropouts=(0.0, 0.2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (3, 8, 8)}, r"is for images of shape \(3, 8, 8\), and the data module has images of shape \(1"),
        ({"space": OTHER}, "another search space: for 'layer1.kernel' the model has 5, the checkpoint only 1, 3"),
        ({"architecture": {"layer1.kernel": "3"}}, "search space is larger than the model's: give .* model's start"),
        (adapting(), "another head than the model"),
    ],
)
def test_other_models_are_refused(options, sentence, saved):
    with pytest.raises(ValueError, match=sentence):
        resume(saved[1], **options)


def test_a_checkpoint_of_tokens_is_not_taken_for_one_of_series():
    # Their shapes are the same numbers, and a network's tensors may be of the same sizes.
    parts = {"weights": {}, "logits": {}, "labels": {}, "statistics": {}}
    tokens = MetaCheckpoint(**parts, shape=TokenShape(12, 7), cost=Cost())
    with pytest.raises(ValueError, match="checkpoint is for sequences of up to 7 of 12 tokens, the model for"):
        tokens.check_fits(SequenceSpace(readouts=("max",)), SeriesShape(12, 7))


def test_a_newer_schema_is_named(saved, tmp_path):
    path = changed(saved[1], tmp_path, lambda content: content[META_KEY].update(schema=2))
    with pytest.raises(ValueError, match="written by a newer version of lit_metanas: upgrade"):
        resume(path)
    with pytest.raises(ValueError, match=r"changed.ckpt' was written by a newer version of lit_metanas: upgrade"):
        make_model(start=str(path))


def test_a_foreign_checkpoint_is_refused(tmp_path):
    trainer = make_trainer(limit_train_batches=1, limit_val_batches=0)
    trainer.fit(BoringModel())
    trainer.save_checkpoint(tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="was not written by MetaSearch: give one that `fit` of MetaSearch wrote"):
        resume(tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match=r"foreign.ckpt' is damaged or was not written by MetaSearch"):
        make_model(start=str(tmp_path / "foreign.ckpt"))


def test_a_start_cannot_be_resumed(saved, tmp_path):
    def shorten(content):
        del content[META_KEY]["own"]

    with pytest.raises(ValueError, match="give it as the model's start"):
        resume(changed(saved[1], tmp_path, shorten))


@pytest.mark.parametrize("damage", ["truncated", "list", "fields"])
def test_a_damaged_file_is_named(damage, saved, tmp_path):
    path = tmp_path / "bad.ckpt"
    whole = saved[1].read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    if damage == "list":
        torch.save([1, 2], path)
    elif damage == "fields":
        torch.save({META_KEY: {"schema": 1}, "state_dict": {}}, path)
    with pytest.raises(ValueError, match=r"bad.ckpt' is damaged or was not written by MetaSearch"):
        make_model(start=str(path))


class Malice:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_hostile_pickle_is_not_executed(tmp_path):
    mark, path = tmp_path / "executed", tmp_path / "hostile.ckpt"
    content = {META_KEY: Malice(str(mark)), "state_dict": {}, "pytorch-lightning_version": "2.6.0"}
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"hostile.ckpt' is damaged or was not written by MetaSearch"):
        make_model(start=str(path))
    with pytest.raises(pickle.UnpicklingError):
        resume(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)[META_KEY].close()  # it could have been
    assert mark.exists()


DAMAGE = {
    "no schema": lambda entry: entry.pop("schema"),
    "a schema of words": lambda entry: entry.update(schema="1"),
    "fewer logits": lambda entry: entry.update(logits={name: row[1:] for name, row in entry["logits"].items()}),
    "an unknown cost": lambda entry: entry.update(cost={"pounds": 3}),
    "an image without pixels": lambda entry: entry.update(shape=[1, 0, 8]),
    "labels of numbers": lambda entry: entry["labels"].update({name: [1, 2] for name in entry["labels"]}),
    "logits that are not numbers": lambda entry: next(iter(entry["logits"].values())).fill_(torch.nan),
    "an architecture of numbers": lambda entry: entry.update(derived={"a": 1}),
    "no images": lambda entry: entry["own"].pop("images"),
    "an unknown earlier cost": lambda entry: entry["own"].update(earlier={"pounds": 3}),
    "a task of other images": lambda entry: entry["own"].update(tasks=[torch.zeros(2, 1, 9, 9)]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_said_in_a_sentence(damage, saved, tmp_path):
    path = changed(saved[1], tmp_path, lambda content: DAMAGE[damage](content[META_KEY]))
    with pytest.raises(ValueError, match=r"The checkpoint is damaged: give one that `fit` of MetaSearch wrote\."):
        resume(path)
