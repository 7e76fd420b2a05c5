"""Trainers with the defaults of this package."""

import logging
import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import pytorch
from lightning.fabric.accelerators import CUDAAccelerator as FabricCUDA
from lightning.pytorch import Callback
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.demos.boring_classes import BoringModel
from meta_toys import QUIET, adapting, make_data, make_model
from torch import Tensor

import lit_metanas as lm
from lit_metanas.meta import FOMAML, MetaGradient
from lit_metanas.training import precision
from lit_metanas.training.trainers import quiet_trainer


def watching(threads: list[int]) -> Callback:
    def note(*args: Any) -> None:
        threads.append(torch.get_num_threads())

    return LambdaCallback(on_train_batch_start=note, on_test_batch_start=note)


@pytest.fixture
def _two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("_two_threads")
def test_small_images_get_one_thread_while_a_run_lasts() -> None:
    seen: list[int] = []
    trainer = lm.Trainer(callbacks=watching(seen), **QUIET)
    assert torch.get_num_threads() == 2
    trainer.fit(make_model(), make_data())
    assert torch.get_num_threads() == 2
    trainer.test(trainer.lightning_module, make_data(), verbose=False)
    assert torch.get_num_threads() == 2
    assert set(seen) == {1}


@pytest.mark.usefixtures("_two_threads")
def test_threads_can_be_chosen_or_left() -> None:
    for threads, found in ((None, 2), (3, 3)):
        seen: list[int] = []
        data = make_data(steps_per_epoch=1)
        lm.Trainer(threads=threads, callbacks=[watching(seen)], **QUIET).fit(make_model(), data)
        assert set(seen) == {found}
    for threads, said in ((0, "0"), (10**30, "1e+30")):
        with pytest.raises(ValueError, match=f"threads is {re.escape(said)}; give 1 to 4096, or none"):
            lm.Trainer(threads=threads)


@pytest.mark.parametrize(("fast", "taken"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_the_precision_that_the_device_has_units_for(
    fast: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "fast_bf16", lambda device: fast and device.type == "cpu")
    assert lm.Trainer(precision="auto", **QUIET).precision == taken
    assert lm.Trainer(precision="auto", **QUIET | {"accelerator": CPUAccelerator()}).precision == taken
    assert lm.Trainer(**QUIET).precision == "32-true"
    assert lm.Trainer(precision="bf16-mixed", **QUIET).precision == "bf16-mixed"
    assert lm.Trainer(precision=64, **QUIET).precision == "64-true"


def test_a_training_in_bf16_is_resumed_bit_for_bit_and_in_another_precision_with_a_word(tmp_path: Path) -> None:
    little = partial(make_data, steps_per_epoch=1, val_episodes=1, test_episodes=1)
    first, again = lm.Trainer(precision="bf16-mixed", **QUIET), QUIET | {"max_epochs": 2, "precision": "bf16-mixed"}
    first.fit(make_model(), little())
    first.save_checkpoint(tmp_path / "last.ckpt")
    uninterrupted, resumed = make_model(), make_model()
    lm.Trainer(**again).fit(uninterrupted, little())
    lm.Trainer(**again).fit(resumed, little(), ckpt_path=tmp_path / "last.ckpt")
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in uninterrupted.state_dict().items())
    assert {value.dtype for value in resumed.supernet.state_dict().values()} == {torch.float32}
    said = "was trained in precision bf16-mixed, and this run has 32-true: set the"
    with pytest.warns(UserWarning, match=said):
        lm.Trainer(**again | {"precision": None}).fit(make_model(), little(), ckpt_path=tmp_path / "last.ckpt")


@pytest.mark.filterwarnings("ignore:.*not supported by the model summary")
@pytest.mark.parametrize("meta_gradient", [None, FOMAML()])
@pytest.mark.parametrize("name", ["32-true", "bf16-mixed"])
def test_lightnings_own_trainer_gives_the_same_numbers(name: str, meta_gradient: MetaGradient | None) -> None:
    def trained(kind: type[pytorch.Trainer]) -> tuple[dict[str, Tensor], list[float]]:
        model = make_model() if meta_gradient is None else make_model(**adapting(meta_gradient))
        trainer = kind(precision=name, **QUIET)  # in Lightning's defaults adaptation would have no gradients
        trainer.fit(model, make_data())
        trainer.test(model, make_data(), verbose=False)
        return model.state_dict(), model.test_values

    (ours, our_values), (theirs, their_values) = trained(lm.Trainer), trained(pytorch.Trainer)
    assert our_values == their_values
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_bf16_on_a_cpu_takes_one_task_after_another() -> None:
    model = make_model(**adapting(FOMAML(task_map="vmap")))
    with pytest.raises(ValueError, match=r"^task_map 'vmap' has no gradients in bf16 on a CPU: use 'loop', or"):
        lm.Trainer(precision="bf16-mixed", **QUIET).fit(model, make_data())


@pytest.mark.parametrize("options", [{}, adapting()])
def test_bf16_is_refused_before_a_checkpoint_where_its_gradients_would_be_wrong(
    options: dict[str, Any], tmp_path: Path
) -> None:
    space = lm.LayeredSpace(kernels=(7,), depths=(2,), widths=(4,), dropouts=(0.0,))  # its second map has 4 x 4 pixels
    kept, data = QUIET | {"enable_checkpointing": True, "default_root_dir": tmp_path}, make_data(steps_per_epoch=1)
    lm.Trainer(precision="bf16-mixed", **QUIET).fit(make_model(space=space, **options), data)
    small = lm.LayeredSpace(kernels=(7,), depths=(3,), widths=(4,), dropouts=(0.0,))
    with pytest.raises(ValueError, match=r"^MetaSearch has convolutions .* set the trainer's precision to 32-true, or"):
        lm.Trainer(precision="bf16-mixed", **kept).fit(make_model(space=small, **options), data)
    assert not [*tmp_path.rglob("*.ckpt")]
    lm.Trainer(**QUIET).fit(make_model(space=small, **options), data)


def without_limit(**settings: Any) -> lm.Trainer:
    return lm.Trainer(**{**QUIET, "max_epochs": None, "limit_val_batches": 0, **settings})


def test_a_budget_is_limit_enough() -> None:
    model = make_model(flops=1e6)
    trainer = without_limit()
    trainer.fit(model, make_data(steps_per_epoch=1))
    assert trainer.current_epoch > 1
    assert int(model.spent) >= 1e6


def test_what_nothing_ends_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Nothing ends the training of MetaSearch: set the model's flops, or the "):
        without_limit().fit(make_model(), make_data())
    with pytest.raises(ValueError, match=r"^Nothing ends the training of BoringModel: set the Trainer's max_epochs, "):
        without_limit().fit(BoringModel())


@pytest.mark.parametrize("debug", ["0", "1"])
def test_what_lightning_says_on_every_run_is_said_on_demand(
    debug: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_METANAS_DEBUG", debug)
    settings = QUIET | {"enable_checkpointing": True, "logger": True, "log_every_n_steps": 50}
    module, data = make_model(batch_norm="support"), make_data()
    with (
        caplog.at_level("INFO", "lightning.pytorch"),
        caplog.at_level("INFO", "lightning.fabric"),
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        trainer = lm.Trainer(**settings, default_root_dir=tmp_path)
        trainer.fit(module, data)
        trainer.test(module, data, verbose=False)
        assert logging.getLogger("lightning.pytorch").level == logging.INFO
    said = [record.getMessage() for record in caplog.records]
    few_steps = [each for each in warned if "The number of training batches" in str(each.message)]
    if debug == "1":
        assert any("GPU available" in line for line in said)
        assert any("`max_epochs=1` reached" in line for line in said)
        assert few_steps
    else:
        assert said == []
        assert few_steps == []


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Lightning believe that the machine has a GPU, which it then prefers."""
    for kind in (FabricCUDA, CUDAAccelerator):
        monkeypatch.setattr(kind, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 1))
    monkeypatch.setattr(CUDAAccelerator, "parse_devices", staticmethod(lambda devices: [0]))
    monkeypatch.setattr(CUDAAccelerator, "get_parallel_devices", staticmethod(lambda devices: [torch.device("cuda:0")]))


@pytest.mark.usefixtures("_gpu")
def test_a_search_on_the_cpu_of_a_machine_with_a_gpu_trains_on_the_cpu() -> None:
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.strategy.setup_environment()  # where an accelerator refuses a foreign device
        assert isinstance(trainer.accelerator, CPUAccelerator)
        assert trainer.strategy.root_device == torch.device("cpu")


def test_without_checkpoints_or_with_another_preemption_none_is_added(tmp_path: Path) -> None:
    def guards(**settings: Any) -> list[lm.training.Preemption]:
        callbacks = lm.Trainer(**{**QUIET, **settings}).callbacks  # type: ignore[attr-defined]
        return [each for each in callbacks if isinstance(each, lm.training.Preemption)]

    mine = lm.training.Preemption(str(tmp_path / "mine.ckpt"))
    assert guards(enable_checkpointing=False) == []
    assert len(guards(enable_checkpointing=True)) == len(guards(enable_checkpointing=None)) == 1
    assert guards(enable_checkpointing=True, callbacks=[mine]) == guards(callbacks=mine) == [mine]


class Stops(Callback):
    def on_train_batch_end(self, trainer: pytorch.Trainer, *args: Any) -> None:
        trainer.should_stop = trainer.global_step == 25


@pytest.mark.parametrize(
    ("settings", "steps"), [({"max_epochs": -1, "callbacks": [Stops()]}, 25), ({"max_time": {"seconds": 0}}, 0)]
)
def test_every_other_limit_is_lightnings(settings: dict[str, Any], steps: int) -> None:
    trainer = without_limit(**settings)
    trainer.fit(BoringModel())
    assert trainer.global_step == steps
