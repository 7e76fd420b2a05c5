"""Reptile over whole tasks: its update against plain loops, its budget, and what it refuses."""

import pytest
import torch
from cipher_tasks import IMAGES, LETTERS, OTHERS, WRITERS, Ciphers, Stripes, quiet_trainer, stripe_data, stripe_model

import lit_metanas as lm
from lit_metanas.meta.learner import task_generator

EPSILON, RATE, STEPS, SIZE, SEED = 0.5, 0.01, 3, 7, 5


def draw(space, step, place):
    """The architecture of a task, and what its batches are drawn by."""
    generator = task_generator(SEED, step, place)
    return space.sample(generator), generator


def adam(network, loss, images, labels):
    """Adam by hand, a batch a step (Kingma and Ba 2015, Algorithm 1)."""
    first, second = ({name: torch.zeros_like(own) for name, own in network.named_parameters()} for _ in range(2))
    for step, (inputs, targets) in enumerate(zip(images, labels, strict=True), start=1):
        network.zero_grad()
        loss(network, inputs, targets).backward()
        with torch.no_grad():
            for name, own in network.named_parameters():
                gradient = torch.zeros_like(own) if own.grad is None else own.grad
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient**2
                mean, variance = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                if own.grad is not None:
                    own -= RATE * mean / (variance.sqrt() + 1e-8)


def reptile(space, data, weights, loss, steps):
    """Nichol et al. 2018, section 3, over the tasks of each step, in plain loops."""
    theta = {name: value.clone() for name, value in weights.items()}
    for step, batch in enumerate(list(data.train_dataloader())[:steps]):
        moves = {name: [] for name in theta}
        for place, task in enumerate(each.task for each in batch):
            architecture, generator = draw(space, step, place)
            torch.randint(2**62, (), generator=generator)  # of dropout, which these spaces do not have
            network = space.child(architecture, task.shape, task.way, theta).double().train()
            inputs, labels = task.train.inputs, task.train.labels
            inputs = inputs.double() if inputs.is_floating_point() else inputs
            batches = [torch.randperm(len(labels), generator=generator)[:SIZE] for _ in range(STEPS)]
            adam(network, loss, [inputs[each] for each in batches], [labels[each] for each in batches])
            for name, phi in space.supernet_weights(network).items():
                if name in theta:
                    moves[name].append(phi)
        epsilon = EPSILON * (1 - step / steps)
        for name, found in moves.items():
            total, count = torch.zeros_like(theta[name]), torch.zeros_like(theta[name])
            for phi in found:
                part = tuple(slice(size) for size in phi.shape)
                total[part] += phi - theta[name][part]
                count[part] += 1
            theta[name] += epsilon * torch.where(count > 0, total / count.clamp(min=1), 0.0)
    return theta


def classify(network, inputs, labels):
    return torch.nn.functional.cross_entropy(network(inputs), labels)


def write(network, inputs, targets):
    """Each token and the end, given those before."""
    scores = network(inputs, targets)
    wanted = torch.cat([targets, torch.zeros_like(targets[:, :1])], 1)
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())


@pytest.mark.parametrize(
    ("space", "tasks", "loss"),
    [(IMAGES, Stripes(), classify), (WRITERS, Ciphers(range(6), train=10), write)],
    ids=["images", "texts"],
)
def test_the_update_is_that_of_plain_loops(space, tasks, loss):
    torch.set_default_dtype(torch.float64)
    try:
        own = {"inner_steps": STEPS, "inner_rate": RATE, "batch_size": SIZE, "epsilon": EPSILON, "seed": SEED}
        model = stripe_model(space=space, **own)
        trainer = quiet_trainer(precision="64-true")
        data = lm.TrainingTaskDataModule(tasks, tasks_per_step=3, steps_per_epoch=4)
        begun = {}
        model.on_fit_start = lambda: begun.update({name: value.clone() for name, value in model.weights().items()})
        trainer.fit(model, data)
        again = lm.TrainingTaskDataModule(tasks, tasks_per_step=3, steps_per_epoch=4)
        expected = reptile(space, again, begun, loss, steps=4)
    finally:
        torch.set_default_dtype(torch.float32)
    found = model.weights()
    assert found.keys() == expected.keys() >= {"head.weight", "head.bias"}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-10, msg=lambda m, n=name: n + m)
    assert sum(not torch.equal(value, begun[name]) for name, value in found.items()) > len(found) / 2
    assert all(not value.requires_grad for value in found.values())


def test_weights_begin_as_a_search_begins():
    model = stripe_model()
    quiet_trainer(limit_train_batches=0, limit_val_batches=0).fit(model, stripe_data())
    fresh = lm.estimators.fresh_weights(IMAGES, Stripes.shape, seed=3)
    assert {name for name in model.weights() if name not in fresh} == {"head.weight", "head.bias"}
    assert all(torch.equal(value, model.weights()[name]) for name, value in fresh.items())


def test_a_budget_ends_the_training_and_is_what_the_children_cost():
    data, model = stripe_data(steps_per_epoch=100, val_tasks=1), stripe_model(flops=1.0)
    quiet_trainer(max_epochs=None, limit_val_batches=0).fit(model, data)
    one = model.cost()
    tasks = [one.task for one in next(iter(data.train_dataloader()))]
    drawn = [IMAGES.sample(task_generator(3, 0, place)) for place in range(2)]
    costs = [IMAGES.cost(each, task.shape, task.way).flops for each, task in zip(drawn, tasks, strict=True)]
    assert (one.steps, one.images, one.flops) == (1, 2 * 2 * 8, sum(3 * cost * 2 * 8 for cost in costs))
    model = stripe_model(flops=4.5 * one.flops)
    quiet_trainer(max_epochs=None, limit_val_batches=0).fit(model, data)
    assert 4.5 * one.flops <= model.cost().flops
    assert 2 < model.cost().steps < 20
    assert model.progress == 1.0


def test_all_tasks_are_taken_before_one_is_taken_again():
    data = stripe_data(steps_per_epoch=6)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(1)
    second = [one.task.id for batch in loader for one in batch]
    loader.sampler.set_epoch(0)
    both = [one.task.id for batch in loader for one in batch] + second
    passes = [both[start : start + 6] for start in range(0, 24, 6)]
    assert [sorted(each) for each in passes] == [[f"stripes/{number}" for number in range(6)]] * 4
    assert len(set(map(tuple, passes))) == 4
    other = [one.task.id for batch in stripe_data(seed=1).train_dataloader() for one in batch]
    assert other != both[:6]


def test_validation_scores_the_start_after_inner_steps():
    data, scores = stripe_data(), []
    for rate in (1e-9, 0.03):
        model = stripe_model(inner_steps=20, inner_rate=rate)
        trainer = quiet_trainer(max_epochs=1, limit_train_batches=0, limit_val_batches=0)
        trainer.fit(model, data)
        for _ in range(2):
            scores.append(quiet_trainer().validate(model, data, verbose=False)[0]["val/score"])
    assert scores[0] == scores[1]
    assert scores[2] == scores[3]
    assert scores[2] > scores[0] + 0.1


def test_a_task_without_a_finite_loss_is_left_out():
    weights = []
    for tasks in (Stripes(2, broken=(1,)), Stripes(1)):
        data, model = in_their_order(tasks), stripe_model()
        if len(tasks) == 2:
            with pytest.warns(UserWarning, match="Task 'stripes/1' has no finite loss or weights at step 0: it is"):
                quiet_trainer().fit(model, data)
            assert model.account.skipped == 1
        else:
            quiet_trainer().fit(model, data)
        weights.append(model.weights())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert model.cost().images == 16
    broken = lm.TrainingTaskDataModule(Stripes(1, broken=(0,)), steps_per_epoch=1)
    with pytest.raises(lm.records.Exhausted.__mro__[1], match="and 0 were left out before it: lower inner_rate, or"):
        quiet_trainer().fit(stripe_model(skipped=0), broken)


def in_their_order(tasks):
    """All tasks in one step, from the first one on."""
    for seed in range(9):
        data = lm.TrainingTaskDataModule(tasks, tasks_per_step=len(tasks), steps_per_epoch=1, seed=seed)
        if next(iter(data.train_dataloader()))[0].task.id == "stripes/0":
            return data
    raise AssertionError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"inner_steps": 0}, "TaskReptile: inner_steps is 0; give at least 1"),
        ({"batch_size": 1}, "TaskReptile: batch_size is 1; give at least 2"),
        ({"flops": -1.0}, "TaskReptile: flops is -1.0; give a positive number"),
        ({"seed": -1}, "TaskReptile: seed is -1; give a number from 0"),
        ({"skipped": -1}, "TaskReptile: skipped is -1; give the number of tasks that may be left out, or 0"),
        ({"inner_rate": float("nan")}, "TaskReptile: inner_rate is nan; give a positive number"),
    ],
)
def test_arguments_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        stripe_model(**options)


class Mixed(Ciphers):
    def __getitem__(self, index):
        return Ciphers(self.numbers, letters=(LETTERS, OTHERS)[index % 2])[index]


@pytest.mark.parametrize(
    ("space", "data", "sentence"),
    [
        (IMAGES, lm.TrainingTaskDataModule(Ciphers(range(2))), "wants scores for each step of a text to be written"),
        (WRITERS, lm.TrainingTaskDataModule(Mixed(range(2))), "has another vocabulary or preprocessing of inputs than"),
        (IMAGES, lm.TrainingTaskDataModule(Ciphers(range(0))), "'train' has no task: give other tasks"),
        (WRITERS, lm.TrainingTaskDataModule(Ciphers(range(2), train=1)), "has 1 training examples: give at least two"),
        (IMAGES, lm.TrainingTaskDataModule(Stripes(), Ciphers(range(2))), "the tasks of validation have sequences of"),
        (
            IMAGES,
            lm.EpisodeDataModule(lm.kinds.ArraySource(torch.rand(120, 8, 8), torch.arange(120) % 12), way=2),
            "learns from whole tasks: give a data module of such, TrainingTaskDataModule",
        ),
    ],
)
def test_tasks_that_do_not_fit_are_refused(space, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        quiet_trainer().fit(lm.training.TaskReptile(space=space, inner_steps=1), data)


class TwoWays(Stripes):
    """Tasks of three classes, and of two of them."""

    def __getitem__(self, index):
        task = super().__getitem__(index)
        if index % 2 == 0:
            return task
        return lm.Task(task.id, 2, *(part.at(part.labels < 2) for part in (task.train, task.val, task.test)))


def test_a_task_of_fewer_classes_leaves_the_classifier_alone():
    found = []
    for tasks in (TwoWays(2), Stripes(1)):
        model = stripe_model()
        quiet_trainer().fit(model, in_their_order(tasks))
        found.append(model.weights())
    both, one = found
    assert torch.equal(both["head.weight"], one["head.weight"])
    assert any(not torch.equal(value, one[name]) for name, value in both.items())
