"""Tasks without a finite loss and gradient are left out of their step, counted, and too many of them named."""

import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from meta_toys import adapting, fit, make_data, make_model, state_of
from ranks import run_ranks

from lit_metanas.meta import FOMAML, MAML, PrototypeLoss
from lit_metanas.records.record import FailedWorkError
from lit_metanas.relaxations import GumbelSoftmax, Softmax
from lit_metanas.tasks import draw_episode
from lit_metanas.tasks.episode_data import EpisodeDataModule
from lit_metanas.training import MetaSearch

METHODS = {
    "prototypes": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": GumbelSoftmax()},
    "sampled": dict,
    "maml": lambda: adapting(MAML()),
    "vmap": lambda: adapting(FOMAML(task_map="vmap")),
}


class Spoiled(EpisodeDataModule):
    """One epoch's batches for ever, with no number in a query image of some of its episodes."""

    def __init__(self, *indices):
        super().__init__(make_data().source, way=3, shot=2, query=3, tasks_per_step=4, val_episodes=4)
        self.indices = indices

    def train_dataloader(self):
        episodes = [self.stream("train")[0, index] for index in range(12)]
        for index in self.indices:
            episodes[index].query.inputs[0, 0, 0, 0] = float("nan")
        return loader([episodes[start : start + 4] for start in (0, 4, 8)])


def noise_of(model, places, parameters, episode, place):
    return MetaSearch._noise(model, parameters, episode, places[episode.id])


def loader(batches):
    return torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_that_of_its_finite_tasks(method):
    batch = [make_data().stream("train")[0, index] for index in range(4)]
    batch[1].query.inputs[0] = float("inf")
    states = []
    for episodes in (batch, [batch[0], *batch[2:]]):
        model = make_model(gradient_clip=1.0, **METHODS[method]())
        model._noise = partial(noise_of, model, {episode.id: place for place, episode in enumerate(batch)})
        data = make_data()
        data.train_dataloader = lambda episodes=episodes: loader([episodes])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            trainer, (loss,) = fit(model, data)
        told = [str(each.message) for each in said if "no finite loss" in str(each.message)]
        states.append((state_of(model), loss, told, trainer.callback_metrics.get("train/skipped")))
    (first, one, told, skipped), (second, two, nothing, none) = states
    assert one == pytest.approx(two, rel=1e-6)
    assert len(told) == 1 == int(skipped)
    assert (nothing, none) == ([], None)
    for name, value in first.items():
        if name.startswith("module ") and "spent" not in name:
            torch.testing.assert_close(value, second[name], rtol=1e-5, atol=1e-6)
        assert value.isfinite().all(), name


def test_a_step_without_a_finite_task_changes_nothing():
    states, model = [], make_model()
    watch = LambdaCallback(on_train_batch_end=lambda *args: states.append(state_of(model)))
    with pytest.warns(UserWarning, match="left out"):
        fit(model, Spoiled(*range(4, 8)), callbacks=[watch])
    assert model.account.skipped == 4
    for name, value in states[0].items():
        if name not in ("module outer_steps", "module spent"):
            assert torch.equal(value, states[1][name]), name
    assert not torch.equal(states[1]["module logits.values"], states[2]["module logits.values"])
    assert [int(state["module outer_steps"]) for state in states] == [1, 2, 3]


def test_too_many_are_named_so_that_they_can_be_drawn_again():
    model = make_model(skipped=1)
    told = pytest.warns(UserWarning, match=r"index 2, .* at step 0: it is left out \(1 of at most 1\)")
    with told, pytest.raises(FailedWorkError, match="and 1 were left out before it") as caught:
        fit(model, Spoiled(2, 9))
    said = str(caught.value)
    episode = draw_episode(make_data().source, "train", seed=0, epoch=0, index=9, way=3, shot=2, query=3)
    classes = ", ".join(episode.classes)
    assert f"Episode '{episode.id}' (seed 0, epoch 0, index 9, classes {classes}) has no finite loss" in said
    assert "at step 2, and" in said


def test_a_training_that_diverges_stops():
    options = {"meta_gradient": PrototypeLoss(), "relaxation": Softmax(), "anneal": False, "skipped": 3}
    model = make_model(weight_optimizer=partial(torch.optim.SGD, lr=1e30), **options)
    error = pytest.raises(FailedWorkError, match=r"Episode 'patterns/train/0/[4-7]' .* and 3 were left out before it")
    with pytest.warns(UserWarning, match="left out"), error:
        fit(model)


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_two_processes_leave_out_the_same_tasks_and_stop_together(tmp_path):
    script = Path(__file__).with_name("toys") / "spoiled_episodes.py"
    (one,) = run_ranks(script, tmp_path, "1", 1, seconds=900)
    first, second = run_ranks(script, tmp_path, "2", 2, seconds=900)
    assert one["said"] == first["said"] == second["said"]
    assert "index 13, classes " in one["said"]
    assert "at step 3, and 2 were left out before it" in one["said"]
    assert one["skipped"] == first["skipped"] == second["skipped"] == 3
    assert int(one["state"]["outer_steps"]) == 3
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name]), name
        torch.testing.assert_close(value, one["state"][name], rtol=0, atol=1e-5, msg=lambda m, n=name: n + m)
