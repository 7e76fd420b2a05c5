"""What a model does not know of its data, the data module tells it; the numbers are the same."""

from typing import Any

import pytest
import torch
from meta_toys import SHAPE, SPACE, adapting, assert_same, fit, make_data, make_model, make_trainer

import lit_metanas as lm

HEADS = {"prototypes": lambda: {}, "linear": lambda: adapting(head=lm.meta.LinearHead(), batch_norm="support")}


@pytest.mark.parametrize(("head", "precision"), [("prototypes", "64-true"), ("linear", "32-true")])
def test_a_model_that_is_built_late_starts_and_trains_as_one_that_knows(head: str, precision: str) -> None:
    known = {**HEADS[head](), **({"head": lm.meta.LinearHead(way=3)} if head == "linear" else {})}
    early, late = make_model(**known), make_model(shape=None, **HEADS[head]())
    assert early.built
    assert not late.built
    torch.rand(1000)  # what is drawn between the model's making and its training changes nothing
    _, losses = fit(late, limit_train_batches=0, precision=precision)
    assert losses == []
    reference = make_model(**known)
    fit(reference, limit_train_batches=0, precision=precision)
    assert_same(late.state_dict(), reference.state_dict())
    _, expected = fit(early, precision=precision)
    _, losses = fit(late, precision=precision)
    assert losses == expected
    assert len(set(losses)) > 1
    assert_same(late.state_dict(), early.state_dict())
    assert late.shape == SHAPE


@pytest.mark.parametrize("head", HEADS)
def test_checkpoints_load_before_a_shape_is_known(head: str, tmp_path: Any) -> None:
    trained = make_model(**{**HEADS[head](), "shape": None})
    trainer, _ = fit(trained)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    make_trainer().test(trained, make_data(), verbose=False)

    blank = make_model(**{**HEADS[head](), "shape": None})
    make_trainer().test(blank, make_data(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert blank.test_values == trained.test_values
    make_trainer().validate(make_model(**{**HEADS[head](), "shape": None}), make_data(), tmp_path / "last.ckpt")

    options = {**HEADS[head](), "space": SPACE}
    if head == "prototypes":
        options |= {"meta_gradient": lm.meta.PrototypeLoss(), "relaxation": lm.relaxations.SampledChild()}
    loaded = lm.MetaSearch.load_from_checkpoint(tmp_path / "last.ckpt", **options)
    assert loaded.shape == SHAPE
    assert_same(loaded.state_dict(), trained.state_dict())
    assert loaded.architecture() == trained.architecture()
    assert loaded.cost() == trained.cost()
    make_trainer().test(loaded, make_data(), verbose=False)
    assert loaded.test_values == trained.test_values


def test_a_start_waits_for_the_data(tmp_path: Any) -> None:
    trained = make_model(shape=None)
    trainer, _ = fit(trained)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    late = make_model(shape=None, start=str(tmp_path / "last.ckpt"))
    fit(late, limit_train_batches=0)
    assert_same(
        {name: value for name, value in late.state_dict().items() if name.startswith("supernet")},
        {name: value for name, value in trained.state_dict().items() if name.startswith("supernet")},
    )
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint 'absent\.ckpt'"):
        make_model(shape=None, start="absent.ckpt")


def test_a_model_without_data_that_tell_says_what_is_missing() -> None:
    loader = make_data().train_dataloader()
    with pytest.raises(ValueError, match="MetaSearch does not know the shape of its inputs: give it as 'shape', or a"):
        make_trainer().fit(make_model(shape=None), loader, loader)
    with pytest.raises(ValueError, match="LinearHead does not know the number of classes: give it as 'way'"):
        make_model(**adapting(head=lm.meta.LinearHead()))
