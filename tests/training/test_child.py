"""The training of a child against a plain loop."""

import copy
import math

import pytest
import torch
from counting import MultiplyAdds
from torch.nn.functional import cross_entropy

from lit_metanas.records import Cost
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split
from lit_metanas.tasks.task import Portion
from lit_metanas.training import Child, Recipe
from lit_metanas.training.child import fit_child, score

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), depths=(2,), widths=(4, 8), dropouts=(0.0, 0.2), pools=("max",))
LABELS = {choice.name: choice.labels[-1] for choice in SPACE.choices}
PLAIN = {**LABELS, "layer1.dropout": "0", "layer2.dropout": "0", "layer1.activation": "ReLU"}


def split(examples=24, way=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(examples) % way
    stripes = torch.sin(torch.arange(8) * (0.5 + labels[:, None])).view(-1, 1, 1, 8).expand(-1, 1, 8, 8)
    return Split((0.5 + 0.2 * stripes + 0.3 * torch.rand(examples, *SHAPE, generator=generator)).clamp(0, 1), labels)


def child(architecture=LABELS, seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"recipe": Recipe(epochs=3, batch_size=8), **options}
        return Child(space=SPACE, architecture=architecture, shape=SHAPE, way=3, **options)


def weights_of(one):
    return torch.cat([value.detach().flatten() for value in one.network.parameters()])


def test_training_is_a_function_of_the_seed_and_leaves_the_random_state():
    torch.manual_seed(11)
    state = torch.get_rng_state()
    results = []
    for noise, seed in ((1, 5), (2, 5), (1, 6)):
        one = child()
        torch.rand(noise)
        before = torch.get_rng_state()
        fit_child(one, split(), seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        results.append(weights_of(one))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(torch.get_rng_state(), state)


def test_training_against_a_plain_loop():
    recipe = Recipe(epochs=4, batch_size=10, learning_rate=0.02, weight_decay=0.1, label_smoothing=0.1)
    one = child(PLAIN, recipe=recipe)
    network = copy.deepcopy(one.network)
    train = split(24)
    fit_child(one, train, seed=3)

    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02, weight_decay=0.1)
    generator = torch.Generator().manual_seed(3)
    for epoch in range(4):
        for batch, places in enumerate(torch.randperm(24, generator=generator).split(10)):
            for group in optimizer.param_groups:
                group["lr"] = 0.02 * (1 + math.cos(math.pi * (3 * epoch + batch) / 12)) / 2
            optimizer.zero_grad()
            cross_entropy(network(train.inputs[places]), train.labels[places], label_smoothing=0.1).backward()
            optimizer.step()
        torch.randperm(24, generator=generator)  # torch's random sampler draws once more for what is left over
    expected = torch.cat([value.detach().flatten() for value in network.parameters()])
    torch.testing.assert_close(weights_of(one), expected, rtol=1e-3, atol=1e-4)


def test_each_step_knows_its_place(monkeypatch):
    places, plain = [], Child.step_loss

    def noted(self, *batch, **place):
        places.append(place)
        return plain(self, *batch, **place)

    monkeypatch.setattr(Child, "step_loss", noted)
    fit_child(child(), split(25), seed=5)  # a last batch of one is left out
    assert places == [{"seed": 5, "epoch": epoch, "step": step} for epoch in range(3) for step in range(3)]


@pytest.mark.parametrize(("examples", "seen", "steps"), [(24, 24, 3), (25, 24, 3), (20, 20, 3), (5, 5, 1)])
def test_the_account_is_what_was_computed(examples, seen, steps):
    one = child()
    images = []
    one.network.register_forward_pre_hook(lambda module, inputs: images.append(len(inputs[0])))
    with MultiplyAdds() as counter:
        cost = fit_child(one, split(examples), seed=0)
    assert sum(images) == 3 * seen
    assert min(images) > 1  # batch-norm needs two
    assert cost == Cost(steps=3 * steps, images=3 * seen, flops=3 * counter.total)


def test_accuracy_against_a_plain_loop(monkeypatch):
    one = child(recipe=Recipe(epochs=20, batch_size=8))
    fit_child(one, split(), seed=0)
    test = split(31, seed=4)
    one.network.eval()
    right = 0
    with torch.no_grad():
        for image, label in zip(test.inputs, test.labels, strict=True):
            right += int(one.network(image[None]).argmax()) == int(label)
    assert score(one, test) == right / 31
    monkeypatch.setattr("lit_metanas.training.child.SCORED_AT_ONCE", 7)
    assert score(one, test) == right / 31
    assert right > 20


def test_inherited_weights_are_where_the_training_starts():
    first = child()
    fit_child(first, split(), seed=0)
    second = child(seed=9, weights=SPACE.supernet_weights(first.network))
    images = split(seed=2).inputs
    with torch.no_grad():
        torch.testing.assert_close(second.network.eval()(images), first.network.eval()(images))


def test_a_child_can_be_trained_within_a_prediction():
    train, free, bound = split(), child(), child()
    fit_child(free, train, seed=0)
    with torch.inference_mode():
        fit_child(bound, Split(train.inputs.clone(), train.labels.clone()), seed=0)
    assert torch.equal(weights_of(bound), weights_of(free))


@pytest.mark.parametrize("augmentation", ["none", "light"])
@pytest.mark.parametrize("bits", [8, 32])
def test_a_portion_is_trained_on_as_a_copy_of_it_is(augmentation, bits):
    whole, places = split(40), torch.randperm(40, generator=torch.Generator().manual_seed(2))[:25]
    if bits == 8:
        whole.inputs = whole.inputs.mul(255).byte()
    recipe = Recipe(epochs=2, batch_size=8, augmentation=augmentation)
    first, second = child(recipe=recipe), child(recipe=recipe)
    costs = [fit_child(first, Portion(whole, places), seed=3), fit_child(second, whole.at(places), seed=3)]
    assert costs[0] == costs[1]
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.equal(weights_of(first), weights_of(child(recipe=recipe)))


NO_MEMORY = [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]


@pytest.mark.parametrize("error", [*NO_MEMORY, MemoryError()])
def test_batches_are_halved_where_memory_runs_out(monkeypatch, error):
    right = child(recipe=Recipe(epochs=2, batch_size=6, average=0.1))
    cost = fit_child(right, split(), seed=0)
    plain = Child.step_loss

    def large_batches_fail(self, inputs, *others, epoch, **given):
        if len(inputs) > 6 and epoch == 1:  # after an epoch, which is lost
            raise error
        return plain(self, inputs, *others, epoch=epoch, **given)

    monkeypatch.setattr(Child, "step_loss", large_batches_fail)
    one = child(recipe=Recipe(epochs=2, batch_size=100, average=0.1))
    with (
        pytest.warns(UserWarning, match="run out in a training with batches of 24 examples: it goes on with 12."),
        pytest.warns(UserWarning, match="batches of 12 examples: it goes on with 6."),
    ):
        found = fit_child(one, split(), seed=0)
    assert found == cost
    assert torch.equal(weights_of(one), weights_of(right))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("mat1 and mat2 shapes cannot be multiplied")])
def test_other_errors_and_the_smallest_batch_are_not_tried_again(monkeypatch, error):
    monkeypatch.setattr(Child, "step_loss", lambda self, *given, **more: exec("raise error", {"error": error}))
    with pytest.raises(type(error)):
        fit_child(child(recipe=Recipe(batch_size=2)), split(), seed=0)
