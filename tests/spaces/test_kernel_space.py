"""Ridge regressions on likeness to drawn rows: features and equations against plain ones, costs, and their export."""

from math import dist, exp

import pytest
import torch
from space_toys import check_programs, check_weights_move

import lit_metanas as lm
from lit_metanas.objectives import Regression
from lit_metanas.spaces.any_input.solved_models import PENALTIES
from lit_metanas.training.child import fit_child, score

SPACE = lm.spaces.KernelSpace()
NONE, FEW, MANY = SPACE.architectures()
SHAPE = lm.RowShape(3)


def rings(number):
    """Points, and whether they are far from the middle: no line parts both classes."""
    inputs = torch.randn(number, 3, generator=torch.Generator().manual_seed(0))
    return lm.Split(inputs, (inputs[:, :2].norm(dim=1) > 1.2).long())


def child_of(architecture, objective=None, way=2):
    recipe = lm.Recipe(epochs=1, weight_decay=1.0)
    return lm.Child(space=SPACE, architecture=architecture, shape=SHAPE, way=way, recipe=recipe, objective=objective)


def test_features_are_numbers_and_gaussians_of_distances():
    network, part = SPACE.child(FEW, SHAPE, 2).double(), rings(40)
    network.look_at(part.inputs.double(), torch.Generator())
    drawn = part.inputs.double().tolist()
    distances = sorted(dist(one, other) for place, one in enumerate(drawn) for other in drawn[:place])
    median = distances[(len(distances) - 1) // 2]
    for row in (0, 7):
        point, expected = drawn[row], [*drawn[row]]
        for reach in (0.25, 0.5, 1.0):
            likeness = [exp(-((dist(point, other) / (reach * median)) ** 2)) for other in drawn]
            expected += [*likeness, *likeness, *likeness[:20]]
        torch.testing.assert_close(network.features(part.inputs.double())[row], torch.tensor(expected).double())


def test_the_solution_is_that_of_the_kernels_alone():
    """A ridge on features is one on the kernel of their products, whose dual is solved here."""
    network, part = SPACE.child(FEW, SHAPE, 1).double(), rings(60)
    targets = part.inputs[:, :1].sin() + part.inputs[:, 1:2] ** 2
    goal = Regression.of(targets)
    network.solve(lm.Split(part.inputs.double(), targets), goal, 1.0, 1, 0)
    features = network.features(part.inputs.double()).detach()
    features = features - features.mean(0)
    deviation = features.std(0, correction=0)
    features = features[:, deviation > 1e-9] / deviation[deviation > 1e-9]
    wanted = (targets.double() - goal.means[0]) / goal.deviations[0]
    scores = network(part.inputs.double()).detach()
    kernel = features @ features.T
    solved = [
        wanted.mean() + kernel @ torch.linalg.solve(kernel + one * torch.eye(60), wanted - wanted.mean())
        for one in PENALTIES
    ]
    assert min(float((one - scores).abs().max()) for one in solved) < 1e-6


@pytest.mark.parametrize(("architecture", "least"), [(FEW, 0.93), (MANY, 0.93), (NONE, 0.0)])
def test_rings_are_learned_with_likeness_alone(architecture, least):
    part, child = rings(900), child_of(architecture)
    cost = fit_child(child, part.at(torch.arange(700)), seed=0)
    reached = score(child, part.at(torch.arange(700, 900)))
    assert reached >= least
    assert architecture is not NONE or reached < 0.8
    assert cost.flops == 3 * 700 * SPACE.cost(architecture, SHAPE, 2).flops
    check_weights_move(SPACE, child.network, architecture, SHAPE, part.inputs)


def test_equal_rows_are_no_nan():
    network = SPACE.child(MANY, SHAPE, 2)
    assert network.solve(lm.Split(torch.ones(6, 3), torch.arange(6) % 2), lm.Classification(2), 1.0, 1, 0)
    assert torch.isfinite(network(torch.randn(5, 3))).all()


def test_time_grows_with_features_and_examples():
    times = [SPACE.uncounted_flops(own, SHAPE, number) for own in (NONE, FEW, MANY) for number in (100, 1000, 10_000)]
    assert times[0] < times[1] < times[2]
    assert times[2] < times[5] < times[8]


def test_a_program_gives_the_same_scores(tmp_path):
    network, part = SPACE.child(MANY, SHAPE, 3), rings(200)
    network.solve(part, lm.Classification(3), 1.0, 1, 0)
    check_programs(network, part.inputs, tmp_path, shape=SHAPE)
