"""Evaluation of meta-learned parameters against plain networks, and what goes from one training to the next."""

import copy
import math
from collections import Counter
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback
from meta_toys import SHAPE, SPACE, adapting, fit, make_data, make_model, make_trainer

from lit_metanas.meta import FOMAML, JointInnerLoop, LinearHead, PrototypeLinearHead
from lit_metanas.meta.inner_loop import Adaptation, evaluate
from lit_metanas.meta.learner import task_generator
from lit_metanas.records import ArchitectureRow, write_architectures
from lit_metanas.relaxations import AnnealedSoftmax, Argmax
from lit_metanas.spaces import Architecture
from lit_metanas.training import ArchitectureSchedule
from lit_metanas.training.meta_search.episode_evaluation import RunningStatistics


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after 12 steps of 2 tasks, and its checkpoint."""
    model = make_model()
    trainer, _ = fit(model, make_data(steps_per_epoch=12))
    path = tmp_path_factory.mktemp("trained") / "end.ckpt"
    trainer.save_checkpoint(path)
    return model, str(path)


def child_of(model, **batch_norm):
    """The plain network of the derived architecture, with the trained weights, dropout off."""
    weights = {**model.meta_parameters().weights, **batch_norm}
    child = model.space.child(model.architecture(), SHAPE, 3, weights).train()
    for module in child.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.eval()
    return child


def batch_statistics(child, images):
    """Means and biased variances of what reaches each batch-norm of a network in training mode."""
    found = {}

    def note(name, module, given):
        found[f"{name}.mean"] = given[0].mean((0, 2, 3))
        found[f"{name}.var"] = given[0].var((0, 2, 3), correction=0)

    norms = {name: module for name, module in child.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    hooks = [norm.register_forward_pre_hook(partial(note, name)) for name, norm in norms.items()]
    with torch.no_grad():
        child.embed(images)
    for hook in hooks:
        hook.remove()
    return found


def images_of_tasks(last):
    """Of the last sixteen training tasks before a place."""
    episodes = [make_data().stream("train")[0, index] for index in range(last - 16, last)]
    return torch.cat([torch.cat([e.support.inputs, e.query.inputs]) for e in episodes])


def nearest(support, queries):
    return torch.cdist(queries, support.view(3, 2, -1).mean(1)).argmin(1)


@pytest.mark.parametrize("mode", ["transductive", "support", "running"])
def test_batch_norm_modes_against_the_plain_child(mode, trained):
    _, path = trained
    model = make_model(batch_norm=mode)
    data = make_data()
    make_trainer().test(model, data, ckpt_path=path, verbose=False)
    expected = []
    for index in range(6):
        episode = data.stream("test")[0, index]
        if mode == "running":
            child = child_of(model, **model.statistics.values).eval()
        elif mode == "support":
            child = child_of(model, **batch_statistics(child_of(model), episode.support.inputs)).eval()
        else:
            child = child_of(model)
        with torch.no_grad():
            support, queries = child.embed(episode.support.inputs), child.embed(episode.query.inputs)
        expected.append((nearest(support, queries) == episode.query.labels).double().mean().item())
    assert model.test_values == pytest.approx(expected, abs=1e-12)
    assert model.result_fields()["protocol"].batch_norm == mode


def test_running_statistics_are_those_of_the_last_tasks_under_the_present_weights(trained):
    model, _ = trained
    expected = batch_statistics(child_of(model), images_of_tasks(24))
    assert model.statistics.values.keys() == expected.keys()
    for name, value in model.statistics.values.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


def test_a_checkpoint_within_an_epoch_holds_the_statistics_of_its_weights(tmp_path):
    class Save(Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            if trainer.global_step == 10:
                trainer.save_checkpoint(tmp_path / "10.ckpt")

    fit(make_model(), make_data(steps_per_epoch=12), callbacks=[Save()], val_check_interval=8)
    model = make_model()
    make_trainer().test(model, make_data(), ckpt_path=tmp_path / "10.ckpt", verbose=False)
    for name, value in batch_statistics(child_of(model), images_of_tasks(20)).items():
        torch.testing.assert_close(model.statistics.values[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("images", [(torch.arange(64) % 12).view(1, *SHAPE) / 255, torch.randn(1, *SHAPE)])
def test_kept_images_are_exact(images):
    class Alone:
        world_size, global_rank = 1, 0

    model = make_model()
    statistics = RunningStatistics(model.supernet, SHAPE, model.space)
    statistics._mine.append((images,))
    state = copy.deepcopy(statistics.state(Alone()))
    assert state["tasks"][0].dtype == (torch.uint8 if images.max() < 0.1 else torch.float32)
    again = RunningStatistics(model.supernet, SHAPE, model.space)
    again.restore(state, {}, 0, rank=0, world=1)
    assert torch.equal(again._mine[0][0], images)


@pytest.mark.parametrize("world", [2, 8])
def test_kept_images_go_round_any_number_of_processes(world):
    class Rank:
        world_size, strategy = world, None  # there is nobody to gather from

        def __init__(self, rank):
            self.global_rank = rank

    model = make_model()
    tasks = [torch.full((1, *SHAPE), place / 255) for place in range(5)]
    kept = []
    for rank in map(Rank, range(world)):
        statistics = RunningStatistics(model.supernet, SHAPE, model.space)
        statistics.restore({"tasks": tasks}, {}, 0, rank.global_rank, world)
        like = next(model.supernet.parameters())
        assert torch.equal(statistics.images(rank, like), torch.cat(tasks))  # of all, before training goes on
        assert len(statistics.state(rank)["tasks"]) == 5
        kept.append([int(255 * torch.cat(task).max()) for task in statistics._mine])
    rounds = [place for one in zip(*kept, strict=True) for place in one]  # as many on each process
    assert rounds == list(range(5 % world, 5))


def inner(**options):
    loop = JointInnerLoop(steps=2, learning_rate=0.1)
    return adapting(**{"inner_loop": loop, "head": PrototypeLinearHead(), "batch_norm": "support", **options})


@pytest.mark.parametrize("inference_mode", [True, False])
def test_adaptation_works_in_a_test_whatever_the_mode(inference_mode):
    model = make_model(**inner())
    data = make_data()
    trainer = make_trainer(inference_mode=inference_mode)
    trainer.test(model, data, verbose=False)
    learner = copy.copy(model.learner)
    object.__setattr__(learner, "relaxation", Argmax())
    expected = []
    for index in range(6):
        episode = data.stream("test")[0, index]
        generator = task_generator(0, -1, index)
        before = model.meta_parameters()
        scores = evaluate(learner, model.inner_loop, before, episode, generator)
        expected.append((scores.argmax(1) == episode.query.labels).double().mean().item())
        noise = learner.draw_noise(before.logits, episode, generator, steps=model.inner_loop.steps)
        adapted = model.inner_loop.adapt(before, Adaptation(learner, episode, noise)).weights
        assert any(not torch.equal(value, before.weights[name]) for name, value in adapted.items())
    assert model.test_values == pytest.approx(expected, abs=1e-12)
    trainer.validate(model, data, verbose=False)
    trainer.fit(model, data)  # the parameters are still trainable


def test_adaptation_with_restored_statistics(tmp_path):
    model = make_model(**inner(batch_norm="running"))
    trainer, _ = fit(model)
    (first,) = trainer.test(model, make_data(), verbose=False)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    again = make_model(weights_seed=7, **inner(batch_norm="running"))
    (second,) = make_trainer().test(again, make_data(), ckpt_path=tmp_path / "end.ckpt", verbose=False)
    assert second == first
    assert again.test_values == model.test_values


def test_a_restricted_model_starts_from_the_checkpoint_with_the_same_function(trained):
    model, path = trained
    architecture = model.architecture()
    small = make_model(weights_seed=8, architecture=architecture.to_json(), start=path)
    assert not small.logits.open
    assert small.architecture() == architecture
    theirs = dict(model.supernet.named_parameters())
    for name, value in small.supernet.named_parameters():
        assert torch.equal(value, theirs[name][tuple(slice(size) for size in value.shape)])
    assert sum(p.numel() for p in small.supernet.parameters()) < sum(p.numel() for p in model.supernet.parameters())
    data = make_data(test_episodes=12)
    for one in (model, small):
        make_trainer().test(one, data, verbose=False)
    assert small.test_values == model.test_values
    assert small.cost() == model.cost()
    before = model.cost()
    fit(small, make_data(steps_per_epoch=2))
    assert small.cost().steps == before.steps + 2
    assert small.cost().flops == before.flops + int(small.spent)


def test_a_start_brings_its_head_and_what_it_has_pruned(tmp_path):
    options = inner(head=LinearHead(way=3), schedule=ArchitectureSchedule(prune_below=0.499))
    model = make_model(**options)
    trainer, _ = fit(model)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    assert bool(model.logits.pruned.any())
    again = make_model(weights_seed=8, seed=9, start=str(tmp_path / "end.ckpt"), **options)
    assert torch.equal(again.head["weight"], model.head["weight"])
    assert torch.equal(again.logits.pruned, model.logits.pruned)
    assert again.probabilities().keys() == model.probabilities().keys()
    for name, row in again.probabilities().items():
        torch.testing.assert_close(row, model.probabilities()[name])


def test_statistics_of_another_architecture_are_not_taken_over(trained):
    model, path = trained
    other = {
        choice.name: next(label for label in choice.labels[::-1] if label != model.architecture()[choice.name])
        for choice in SPACE.choices
        if len(choice.labels) > 1
    }
    small = make_model(architecture=other, start=path)
    with pytest.raises(ValueError, match="'running' needs statistics"):
        make_trainer().test(small, make_data(), verbose=False)


def test_the_best_architecture_of_a_file_is_taken(tmp_path):
    labels = {choice.name: choice.labels[0] for choice in SPACE.choices}
    rows = [
        ArchitectureRow("task", "a", "LayeredSpace", Architecture({**labels, "layer1.kernel": "1"}), 0.4),
        ArchitectureRow("task", "b", "LayeredSpace", Architecture({**labels, "layer1.kernel": "3"}), 0.6),
        ArchitectureRow("task", "c", "LayeredSpace", Architecture(labels), math.nan),
        ArchitectureRow("task", "d", "OtherSpace", Architecture({"a": "b"}), 0.9),
    ]
    write_architectures(tmp_path / "architectures.json", rows)
    model = make_model(architecture=str(tmp_path / "architectures.json"))
    assert model.architecture() == rows[1].architecture
    write_architectures(tmp_path / "others.json", rows[3:])
    with pytest.raises(ValueError, match=r"others.json' holds no architecture of LayeredSpace"):
        make_model(architecture=str(tmp_path / "others.json"))
    with pytest.raises(FileNotFoundError, match="There is no file"):
        make_model(architecture=str(tmp_path / "none.json"))


def test_the_relaxed_architecture_is_judged_where_its_schedule_is():
    seen = []

    class Watched(AnnealedSoftmax):
        def __call__(self, logits, noise, progress):
            seen.append(progress)
            return super().__call__(logits, noise, progress)

    model = make_model(relaxation=Watched(), meta_gradient=FOMAML())
    fit(model, make_data(steps_per_epoch=2), max_epochs=2)
    places = Counter(seen)
    assert places[1.0] == 4  # of the last validation alone, one an episode
    assert places[0.5] > 4  # of the validation in the middle, and of the step after it
    seen.clear()
    make_trainer().validate(model, make_data(), verbose=False)
    assert seen == [1.0] * 4
