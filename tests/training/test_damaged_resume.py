"""A damaged checkpoint, handed to the Trainer to go on from, gets a sentence."""

import pytest
import torch
from meta_toys import SHAPE, SPACE, make_data, make_model, make_trainer

from lit_metanas.records import Cost
from lit_metanas.training.meta_search.meta_checkpoint import META_KEY, meta_entry, resumable


def content():
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in SPACE.choices}
    return {META_KEY: {**meta_entry(SPACE, SHAPE, logits, {}, Cost()), "own": {}}, "state_dict": {}}


DAMAGE = {
    "no schema": lambda entry: entry.pop("schema"),
    "no labels": lambda entry: entry.pop("labels"),
    "labels that are none": lambda entry: entry.update(labels=3),
    "no shape": lambda entry: entry.pop("shape"),
    "a short shape": lambda entry: entry.update(shape=[1]),
    "fewer logits": lambda entry: entry.update(logits={name: row[1:] for name, row in entry["logits"].items()}),
    "an unknown cost": lambda entry: entry.update(cost={"pounds": 3}),
    "a word for a schema": lambda entry: entry.update(schema="1"),
    "a shape of words": lambda entry: entry.update(shape=["1", "8", "8"]),
    "an image without pixels": lambda entry: entry.update(shape=[1, 0, 8]),
    "labels of numbers": lambda entry: entry["labels"].update({name: [1, 2] for name in entry["labels"]}),
    "logits that are not numbers": lambda entry: next(iter(entry["logits"].values())).fill_(torch.nan),
    "logits that are a list": lambda entry: entry.update(logits={name: [0.0] for name in entry["logits"]}),
    "statistics that are a text": lambda entry: entry.update(statistics={"layer.mean": "x"}),
    "a cost that is a text": lambda entry: entry["cost"].update(flops="x"),
    "an architecture of numbers": lambda entry: entry.update(derived={"a": 1}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said_in_a_sentence(damage):
    damaged = content()
    resumable(damaged)
    DAMAGE[damage](damaged[META_KEY])
    with pytest.raises(ValueError, match=r"The checkpoint is damaged: give one that `fit` of MetaSearch wrote\."):
        resumable(damaged)


def test_the_trainer_says_it_too(tmp_path):
    path = tmp_path / "bad.ckpt"
    torch.save({"pytorch-lightning_version": "2.6.0", "state_dict": {}, META_KEY: {"schema": 1}}, path)
    with pytest.raises(ValueError, match="The checkpoint is damaged"):
        make_trainer().test(make_model(), make_data(), ckpt_path=path, verbose=False)


OWN = {
    "no images": lambda own: own.pop("images"),
    "an unknown earlier cost": lambda own: own.update(earlier={"pounds": 3}),
    "tasks that are none": lambda own: own.update(tasks=3),
    "seconds that are a list": lambda own: own.update(seconds=[1.0]),
    "half an image": lambda own: own.update(images=0.5),
    "a task without images": lambda own: own.update(tasks=[torch.zeros(())]),
    "a task of other images": lambda own: own.update(tasks=[torch.zeros(2, 1, 9, 9)]),
    "a task that is a text": lambda own: own.update(tasks=["x"]),
}


@pytest.mark.parametrize("damage", OWN)
def test_a_damaged_account_is_said_in_a_sentence(damage, tmp_path):
    trainer, path = make_trainer(), tmp_path / "bad.ckpt"
    trainer.fit(make_model(), make_data(steps_per_epoch=1))
    trainer.save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    OWN[damage](checkpoint[META_KEY]["own"])
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"The checkpoint is damaged: give one that `fit` of MetaSearch wrote\."):
        make_trainer().test(make_model(), make_data(), ckpt_path=path, verbose=False)
