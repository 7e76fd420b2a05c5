"""A search that keeps its incumbent unless a challenger leads, against trainings one by one and plain loops."""

import math
from dataclasses import replace

import pytest
import torch

from lit_metanas.comparisons import search
from lit_metanas.inputs import ImageShape
from lit_metanas.objectives.objective import Judged
from lit_metanas.records import Budget, Cost
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.searchers import FixedArchitecture, GuardedSearcher, Searcher
from lit_metanas.searchers.guarded import example_values
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import Child, Recipe
from lit_metanas.training.child import fit_child, score

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Sigmoid"), dropouts=(0.0,), depths=(1, 2), widths=(4, 8))
RECIPE = Recipe(epochs=3, batch_size=16)
GOOD = {"depth": "2", "layer1.kernel": "3", "layer2.kernel": "3", "layer1.width": "8", "layer2.width": "8"}
POOR = {"depth": "1", "layer1.kernel": "1", "layer1.width": "4", "layer1.activation": "Sigmoid"}


def split(seed, each=40):
    """Three textures of the same brightness, which a kernel of one pixel does not tell apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat_interleave(each)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    textures = torch.stack([rows % 2, columns % 2, (rows + columns) % 2]).float().unsqueeze(1)
    noise = torch.rand(len(labels), *SHAPE, generator=generator)
    return Split(0.4 * textures[labels] + 0.6 * noise, labels)


TASK = Task("textures", 3, split(0), split(1), split(2))


def labels(given):
    return FixedArchitecture(given)


def guarded(incumbent, challenger, **options):
    return GuardedSearcher(incumbent, challenger, **{"recipe": RECIPE, **options})


def trained(given):
    """Which validation examples a network tells rightly, trained by hand."""
    torch.manual_seed(0)
    architecture = FixedArchitecture(given).search(TASK, SPACE, Budget(), 0).architecture
    child = Child(space=SPACE, architecture=architecture, shape=ImageShape(*SHAPE), way=3, recipe=RECIPE)
    fit_child(child, TASK.train, seed=0)
    with torch.no_grad():
        right = (child.eval()(TASK.val.inputs).argmax(1) == TASK.val.labels).tolist()
    return architecture, right, score(child, TASK.val)


@pytest.mark.parametrize("margin", [0.0, 4.0, 9.0])
@pytest.mark.parametrize(("first", "second"), [(POOR, GOOD), (GOOD, POOR)])
def test_it_finds_what_plain_counts_decide(first, second, margin):
    (kept, mine, mean), (other, theirs, _) = trained(first), trained(second)
    ahead = sum(1 for a, b in zip(mine, theirs, strict=True) if b and not a)
    behind = sum(1 for a, b in zip(mine, theirs, strict=True) if a and not b)
    leads = ahead > behind and (ahead - behind) / math.sqrt(ahead + behind) > margin
    found = guarded(labels(first), labels(second), margin=margin).search(TASK, SPACE, Budget(), 0)
    assert found.architecture == (other if leads else kept)
    assert found.record.trials[0].value == pytest.approx(mean)
    assert [trial.architecture for trial in found.record.trials] == [kept, other]
    if first is POOR:
        assert leads == (margin < 9)  # or both would be decided alike


def test_what_is_kept_ends_exactly_as_without_the_guard():
    options = {"flops": 1e9, "recipe": RECIPE, "refit": False, "progress": False}
    plain = search(TASK, SPACE, method=labels(GOOD), **options)
    kept = search(TASK, SPACE, method=guarded(labels(GOOD), labels(POOR)), **options)
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, kept.network.state_dict()[name])


def test_a_budget_is_not_overdrawn_and_the_incumbent_stays():
    big = guarded(labels(POOR), labels(GOOD))._price(TASK, SPACE, labels(GOOD).search(TASK, SPACE, Budget(), 0)).flops
    small = guarded(labels(POOR), labels(GOOD))._price(TASK, SPACE, labels(POOR).search(TASK, SPACE, Budget(), 0)).flops
    for flops, tried in ((small - 1, 0), (small, 1), (small + big - 1, 1), (small + big, 2)):
        budget = Budget(flops=flops)
        found = guarded(labels(POOR), labels(GOOD)).search(TASK, SPACE, budget, 0)
        assert budget.spent.flops <= flops
        assert budget.spent.queries == tried
        assert (found.architecture["depth"] == "2") == (tried == 2)
        assert found.untried == (tried < 2)


class Failing(Searcher):
    """Spends something, and finds nothing."""

    def __init__(self, error):
        self.error = error

    def search(self, task, space, budget, seed):
        budget.charge(Cost(flops=10))
        raise self.error


def test_a_challenger_that_fails_is_charged_and_the_incumbent_stays():
    plain = labels(GOOD).search(TASK, SPACE, Budget(), 0)
    searcher, budget = guarded(labels(GOOD), Failing(FailedWorkError("no"))), Budget()
    with pytest.warns(UserWarning, match="its incumbent on task 'textures', as the challenger found nothing: no"):
        found = searcher.search(TASK, SPACE, budget, 0)
    assert (found.architecture, found.untried) == (plain.architecture, plain.untried + 1)
    assert [trial.architecture for trial in found.record.trials] == [plain.architecture]
    assert budget.spent.flops == searcher._price(TASK, SPACE, plain).flops + 10


class Diverging(Searcher):
    """Finds a network whose weights are no numbers."""

    def search(self, task, space, budget, seed):
        found = labels(GOOD).search(task, space, budget, seed)
        weights = {name: math.nan * each.detach() for name, each in space.supernet(task.shape).named_parameters()}
        return replace(found, weights=weights)


def test_a_challenger_whose_training_diverges_loses():
    found = guarded(labels(GOOD), Diverging()).search(TASK, SPACE, Budget(), 0)
    assert found.weights is None
    assert bool(found.record.trials[1].failure)


class MetaTrained(Searcher):
    """Tells what a meta-training has made."""

    def __init__(self, flops, shape):
        self.flops, self.shape = flops, shape

    @property
    def meta_cost(self):
        return Cost(flops=self.flops)

    @property
    def input_shape(self):
        return self.shape

    def search(self, task, space, budget, seed):
        return labels(POOR).search(task, space, budget, seed)


def test_it_tells_the_meta_trainings_of_both():
    searcher = guarded(labels(POOR), MetaTrained(5, ImageShape(*SHAPE)))
    assert (searcher.meta_cost.flops, searcher.input_shape) == (5, SHAPE)
    searcher = guarded(MetaTrained(3, ImageShape(3, 8, 8)), MetaTrained(5, ImageShape(*SHAPE)))
    assert (searcher.meta_cost.flops, searcher.input_shape) == (8, (3, 8, 8))
    assert searcher.preprocessing is None


def test_parts_of_a_ratio_have_its_mean_and_its_variance():
    judged = Judged(torch.tensor([3.0, 1.0, 0.0, 5.0]), torch.tensor([4.0, 2.0, 1.0, 5.0]))
    values = example_values(judged)
    assert float(values.mean()) == pytest.approx(judged.value)
    assert 1.959964 * float(values.std()) / 2 == pytest.approx(judged.half)
    plain = Judged(torch.tensor([1.0, 0.0, 1.0]), torch.ones(3))
    assert example_values(plain).tolist() == [1.0, 0.0, 1.0]


class Knowing(FixedArchitecture):
    """Has learned from searches that cost so many FLOPs."""

    def __init__(self, given, flops):
        super().__init__(given)
        self.flops = flops

    def search(self, task, space, budget, seed):
        return replace(super().search(task, space, budget, seed), meta_cost=Cost(flops=self.flops))


@pytest.mark.parametrize(("first", "second"), [(POOR, GOOD), (GOOD, POOR)])
def test_what_the_loser_knew_has_its_cost(first, second):
    searcher = guarded(Knowing(first, 3), Knowing(second, 5))
    assert searcher.search(TASK, SPACE, Budget(), 0).meta_cost.flops == 8
    price = searcher._price(TASK, SPACE, labels(first).search(TASK, SPACE, Budget(), 0)).flops
    unpaid = searcher.search(TASK, SPACE, Budget(flops=price - 1), 0)
    assert unpaid.meta_cost.flops == 3  # the challenger was not asked


def test_numbers_and_tasks_that_do_not_do():
    with pytest.raises(ValueError, match="GuardedSearcher: margin is -1"):
        guarded(labels(POOR), labels(GOOD), margin=-1)
    with pytest.raises(ValueError, match="has no validation examples"):
        guarded(labels(POOR), labels(GOOD)).search(Task("t", 3, split(0), None, split(2)), SPACE, Budget(), 0)
