"""A training that was interrupted and resumed is the uninterrupted one, bit for bit."""

import signal

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from meta_toys import adapting, assert_same, fit, make_data, make_model, make_trainer, state_of

from lit_metanas.meta import MAML, LinearHead
from lit_metanas.relaxations import GumbelSoftmax
from lit_metanas.training import ArchitectureSchedule, Preemption
from lit_metanas.training.meta_search.meta_search import default_weight_optimizer

# Lightning remarks that a resumed run writes into the folder that it resumes from.
pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
METHODS = {
    "sampled": lambda: {"schedule": ArchitectureSchedule(warm_up=0.1, prune_below=0.47)},
    "maml": lambda: adapting(MAML(), shape=None, relaxation=GumbelSoftmax(), head=LinearHead(), gradient_clip=1.0),
}


class AtEpochEnds(Callback):
    def __init__(self):
        self.states = {}

    def on_train_epoch_end(self, trainer, pl_module):
        accuracy = trainer.callback_metrics["val/accuracy"].clone()
        self.states[trainer.current_epoch] = {**state_of(pl_module), "accuracy": accuracy}


@pytest.mark.parametrize("method", METHODS)
def test_resumed_at_an_epoch_end(method, tmp_path):
    whole = AtEpochEnds()
    _, expected = fit(make_model(**METHODS[method]()), max_epochs=4, callbacks=[whole])

    saver = ModelCheckpoint(tmp_path, save_last=True, save_top_k=-1, filename="{epoch}", every_n_epochs=1)
    fit(make_model(**METHODS[method]()), max_epochs=4, callbacks=[saver], enable_checkpointing=True)
    rest = AtEpochEnds()
    # Other initial weights and another global state: everything comes from the checkpoint.
    resumed = make_model(weights_seed=99, **METHODS[method]())
    torch.manual_seed(123)
    again = ModelCheckpoint(tmp_path, save_last=True, save_top_k=-1, filename="again {epoch}", every_n_epochs=1)
    options = {"max_epochs": 4, "enable_checkpointing": True}
    _, losses = fit(resumed, callbacks=[rest, again], ckpt_path=tmp_path / "epoch=1.ckpt", **options)
    assert losses == expected[8:]
    assert set(rest.states) == {2, 3}
    for epoch, state in rest.states.items():
        assert_same(state, whole.states[epoch])
    assert any(name.startswith("statistics") for name in whole.states[3])


@pytest.mark.parametrize("method", METHODS)
def test_resumed_in_the_middle_of_an_epoch(method, tmp_path):
    whole = AtEpochEnds()
    _, expected = fit(make_model(**METHODS[method]()), max_epochs=2, callbacks=[whole])

    class Save(Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            if pl_module.outer_steps == 6:  # the second of four steps of the second epoch
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    fit(make_model(**METHODS[method]()), max_epochs=2, callbacks=[Save()])
    rest = AtEpochEnds()
    resumed = make_model(weights_seed=99, **METHODS[method]())
    _, losses = fit(resumed, max_epochs=2, callbacks=[rest], ckpt_path=tmp_path / "middle.ckpt")
    assert losses == expected[6:]
    assert_same(rest.states[1], whole.states[1])


@pytest.fixture(scope="module")
def uninterrupted():
    """What a training of two epochs keeps at each epoch's end, and its losses."""
    whole = AtEpochEnds()
    _, losses = fit(make_model(), max_epochs=2, callbacks=[whole])
    return whole, losses


HOOKS = {
    "batch start": "on_train_batch_start",
    "batch end": "on_train_batch_end",
    "validation": "on_validation_batch_end",
    "epoch end": "on_train_epoch_end",
}


@pytest.mark.parametrize("moment", [*HOOKS, "forward", "weights", "logits"])
def test_interrupted_at_any_moment(moment, uninterrupted, tmp_path):
    (whole, expected), model = uninterrupted, make_model()
    done = []

    def interrupt(name):
        before = name in ("batch start", "forward", "weights", "logits")  # the step is counted
        if name == moment and not done and int(model.outer_steps) + before >= 4:
            done.append(name)
            signal.raise_signal(signal.SIGINT)

    hooks = LambdaCallback(**{hook: lambda *args, name=name: interrupt(name) for name, hook in HOOKS.items()})
    gradient, prune = model.meta_gradient, model.logits.prune

    def finished(*args, **options):
        found = gradient(*args, **options)
        interrupt("forward")
        return found

    finished.flops = gradient.flops

    def pruned(below):
        interrupt("logits")
        prune(below)

    def optimizer(parameters):
        adam = default_weight_optimizer(parameters)
        adam.register_step_pre_hook(lambda *_: interrupt("weights"))
        return adam

    model.meta_gradient, model.logits.prune, model.weight_optimizer = finished, pruned, optimizer
    saver, again = (ModelCheckpoint(tmp_path, save_last=False, save_top_k=0, save_on_exception=True) for _ in range(2))
    guard, handler = Preemption(str(tmp_path / "stopped" / "last.ckpt")), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):
            fit(model, max_epochs=2, callbacks=[hooks, saver, guard], enable_checkpointing=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert done == [moment]
    (checkpoint,) = tmp_path.glob("*.ckpt")
    rest = AtEpochEnds()
    resumed = make_model(weights_seed=99)
    _, losses = fit(
        resumed, max_epochs=2, callbacks=[rest, again, Preemption()], enable_checkpointing=True, ckpt_path=checkpoint
    )
    assert losses == expected[len(expected) - len(losses) :]
    assert 4 <= len(losses) <= 5
    assert_same(rest.states[1], whole.states[1])


def test_an_account_survives_several_interruptions(tmp_path):
    model = make_model()
    trainer, _ = fit(model, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "1.ckpt")
    first = before = model.cost()
    for epoch in (2, 3):
        model = make_model()
        trainer, _ = fit(model, max_epochs=epoch, ckpt_path=tmp_path / f"{epoch - 1}.ckpt")
        trainer.save_checkpoint(tmp_path / f"{epoch}.ckpt")
        assert model.cost().steps == 4 * epoch
        assert model.cost().images == epoch * first.images
        assert model.cost().seconds > before.seconds
        before = model.cost()
    begun = make_model(start=str(tmp_path / "3.ckpt"))
    fit(begun, max_epochs=1)
    assert begun.cost().steps == 16
    assert begun.cost().flops == model.cost().flops + int(begun.spent)
    begun.trainer.save_checkpoint(tmp_path / "4.ckpt")
    again = make_model()
    make_trainer().test(again, make_data(), ckpt_path=tmp_path / "4.ckpt", verbose=False)
    assert again.cost() == begun.cost()
