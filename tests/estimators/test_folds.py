"""Scores in folds against plain loops over tasks."""

from dataclasses import replace

import pytest
import torch
from sharing_toys import make_task

import lit_metanas as lm
from lit_metanas.estimators.folds import Fold, folds_of, most_folds, targets_of, weights_of_fold
from lit_metanas.tasks.task import Portion, Split, Task

SPACE = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0.2,), depths=(2,), widths=(4,))
ONE = SPACE.canonical({choice.name: choice.labels[-1] for choice in SPACE.choices})
RECIPE = lm.Recipe(epochs=4, batch_size=10, learning_rate=0.02)
FOLDS = 3


@pytest.fixture
def task() -> Task:
    """Patterns, six of each class to learn from, two of each to choose by; some count twice."""
    found = make_task(each=6)
    weights = torch.ones(len(found.train))
    weights[::5] = 2
    return replace(found, train=replace(found.train, weights=weights), val=found.test.at(slice(0, None, 3)))


def plain_split(part: Split | Portion) -> Split:
    """A portion as examples of its own."""
    return part.split.at(part.places) if isinstance(part, Portion) else part


def own_task(task: Task, fold: Fold) -> Task:
    return replace(task, train=plain_split(fold.train), val=fold.val)


def test_each_example_is_chosen_by_at_most_once(task: Task) -> None:
    everything = {inputs.numpy().tobytes() for part in (task.train, task.val) for inputs in part.inputs}
    chosen = list[bytes]()
    folds = folds_of(task, most_folds(task))
    assert len(folds) == 1 + len(task.train) // 6
    assert (folds[0].train, folds[0].val) == (task.train, task.val)
    for fold in folds:
        own = [inputs.numpy().tobytes() for inputs in fold.val.inputs]
        learned = {inputs.numpy().tobytes() for inputs in plain_split(fold.train).inputs}
        assert len(learned) == len(fold.train)
        assert (learned | {*own}, learned & {*own}) == (everything, set())
        assert fold.val.labels.bincount(minlength=task.way).tolist() == [2] * task.way
        chosen += own
    assert len(chosen) == len({*chosen})


def test_numbers_are_divided_by_their_size() -> None:
    numbers = torch.arange(40.0)[:, None]
    train, val = (Split(numbers[places], numbers[places]) for places in (slice(0, 30), slice(30, 40)))
    goal = lm.objectives.Regression(means=(0.0,), deviations=(1.0,))
    for fold in folds_of(Task("numbers", 1, train, val, val, objective=goal), 4)[1:]:
        found = fold.val.labels[:, 0]
        assert sorted(int(((found >= low) & (found < low + 10)).sum()) for low in (0, 10, 20)) == [3, 3, 4]


def test_a_score_is_that_of_a_loop_over_the_folds_and_goes_on_from_their_own_weights(task: Task) -> None:
    estimator = lm.estimators.TrainingEstimator(task, SPACE, 1, RECIPE, folds=FOLDS)
    score = estimator(ONE, fidelity=0.5)
    again = estimator(ONE, fidelity=1.0, start=score.weights)
    plain = [lm.estimators.TrainingEstimator(own_task(task, fold), SPACE, 1, RECIPE) for fold in folds_of(task, FOLDS)]
    first = [one(ONE, fidelity=0.5) for one in plain]
    second = [one(ONE, fidelity=1.0, start=before.weights) for one, before in zip(plain, first, strict=True)]
    for found, own, fidelity in ((score, first, 0.5), (again, second, 1.0)):
        assert found.value == pytest.approx(sum(one.value for one in own) / FOLDS)  # of as many examples each
        assert found.cost.flops == sum(one.cost.flops for one in own) == estimator.cost(ONE, fidelity).flops
        assert (found.cost.queries, found.cost.steps) == (1, sum(one.cost.steps for one in own))
        for name, tensor in own[0].weights.items():
            assert torch.equal(found.weights[name], tensor)
        for name, tensor in own[2].weights.items():
            if f"fold 2: {name}" in found.weights:  # others are as before any training
                assert torch.equal(found.weights[f"fold 2: {name}"], tensor)
    assert any(name.startswith("fold 2: ") for name in score.weights)


def test_a_changed_network_begins_with_the_weights_of_its_own_fold_and_new_ones(task: Task) -> None:
    space = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0.0,), depths=(1, 2), widths=(4, 8))
    small, large = (
        space.canonical({choice.name: choice.labels[place * (len(choice.labels) - 1)] for choice in space.choices})
        for place in (0, 1)
    )
    estimator = lm.estimators.TrainingEstimator(task, space, 1, RECIPE, folds=FOLDS)
    found = estimator(large, fidelity=0.5, start=estimator(small, fidelity=0.5).weights)
    plain = [lm.estimators.TrainingEstimator(own_task(task, fold), space, 1, RECIPE) for fold in folds_of(task, FOLDS)]
    own = [one(large, fidelity=0.5, start=one(small, fidelity=0.5).weights) for one in plain]
    assert found.value == pytest.approx(sum(one.value for one in own) / FOLDS)
    for number, one in enumerate(own):
        kept = weights_of_fold(number, found.weights)
        assert kept.keys() <= one.weights.keys()
        for name, tensor in kept.items():  # of folds after the first one without the channels that none has trained
            assert torch.equal(tensor, one.weights[name][tuple(map(slice, tensor.shape))])


def test_targets_of_other_lengths_are_chosen_by_together() -> None:
    def part(number: int, steps: int) -> Split:
        tokens = torch.randint(1, 5, (number, 6), generator=torch.Generator().manual_seed(steps))
        return Split(tokens, torch.randint(1, 5, (number, steps), generator=torch.Generator().manual_seed(steps)))

    goal = lm.objectives.Transcription(5)
    task = Task("words", goal.outputs, part(20, 4), part(6, 3), part(6, 3), vocabulary=6, objective=goal)
    assert targets_of(folds_of(task, 3)).shape == (6 + 2 * 7, 4)
    with pytest.raises(ValueError, match="can have 1 to 1 folds"):
        folds_of(replace(task, grouped=True), 2)


def test_examples_with_groups_have_one_fold() -> None:
    images, labels = torch.rand(40, 8, 8), torch.arange(40) % 2
    assert most_folds(lm.task_from_arrays(images, labels)) > 1
    grouped = lm.task_from_arrays(images, labels, group=[f"patient {place // 4}" for place in range(40)])
    assert (grouped.grouped, most_folds(grouped)) == (True, 1)


def test_less_than_an_epoch_is_over_a_part_of_each_fold(task: Task) -> None:
    estimator = lm.estimators.TrainingEstimator(task, SPACE, 1, RECIPE, folds=FOLDS)
    assert estimator.cost(ONE, 0.01).images == FOLDS * RECIPE.batch_size
    assert estimator(ONE, fidelity=0.01).cost.images == FOLDS * RECIPE.batch_size


@pytest.mark.parametrize("folds", [0, 9])
def test_a_number_of_folds_that_a_task_cannot_have_is_refused(task: Task, folds: int) -> None:
    with pytest.raises(ValueError, match=f"Task 'patterns' can have 1 to 4 folds, not {folds}"):
        lm.estimators.TrainingEstimator(task, SPACE, 0, folds=folds)


def test_a_stored_search_of_another_number_of_folds_is_another_one(task: Task) -> None:
    one, three = (lm.estimators.TrainingEstimator(task, SPACE, 0, folds=number) for number in (1, FOLDS))
    assert three.settings == {**one.settings, "folds": FOLDS}
