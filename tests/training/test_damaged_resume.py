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
    "fewer logits": lambda entry: entry.update(logits={name: row[1:] for name, row in entry["logits"].items()}),
    "an unknown cost": lambda entry: entry.update(cost={"pounds": 3}),
    "an image without pixels": lambda entry: entry.update(shape=[1, 0, 8]),
    "labels of numbers": lambda entry: entry["labels"].update({name: [1, 2] for name in entry["labels"]}),
    "logits that are not numbers": lambda entry: next(iter(entry["logits"].values())).fill_(torch.nan),
    "an architecture of numbers": lambda entry: entry.update(derived={"a": 1}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said_in_a_sentence(damage):
    damaged = content()
    resumable(damaged)
    DAMAGE[damage](damaged[META_KEY])
    with pytest.raises(ValueError, match=r"The checkpoint is damaged: give one that `fit` of MetaSearch wrote\."):
        resumable(damaged)


OWN = {
    "no images": lambda own: own.pop("images"),
    "an unknown earlier cost": lambda own: own.update(earlier={"pounds": 3}),
    "a task of other images": lambda own: own.update(tasks=[torch.zeros(2, 1, 9, 9)]),
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
