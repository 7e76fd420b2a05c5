"""The account of training against a count of what is computed, on any number of processes."""

from types import SimpleNamespace

import pytest
import torch
from counting import MultiplyAdds
from meta_toys import make_data, make_model
from torch import distributed

from lit_metanas.meta import (
    ANIL,
    FOMAML,
    MAML,
    AlternatingInnerLoop,
    HeadInnerLoop,
    JointInnerLoop,
    LinearHead,
    MetaNAS,
    NoInnerLoop,
    Parameters,
    PrototypeLinearHead,
    PrototypeLoss,
    Reptile,
)
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.meta.learner import task_generator
from lit_metanas.relaxations import AnnealedSoftmax, GumbelSoftmax, SampledChild, Softmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training.outer_training import outer_mean

SPACE = LayeredSpace(
    kernels=(1, 3, 5), depths=(1, 2, 3), widths=(3, 6), skips=("none", "residual"), dropouts=(0.0, 0.2)
)
CASES = {
    "prototypes, soft": (PrototypeLoss(), Softmax(), None, None),
    "prototypes, sampled": (PrototypeLoss(), SampledChild(), None, None),
    "reptile, sampled": (Reptile(), SampledChild(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "fomaml": (FOMAML(), GumbelSoftmax(), JointInnerLoop(steps=3), LinearHead(way=3)),
    "maml": (MAML(), Softmax(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "anil": (ANIL(), Softmax(), HeadInnerLoop(steps=4), PrototypeLinearHead()),
    "reptile": (Reptile(), Softmax(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "metanas": (MetaNAS(), AnnealedSoftmax(), AlternatingInnerLoop(steps=2), LinearHead(way=3)),
}


@pytest.mark.parametrize("batch_norm", ["support", "transductive"])
@pytest.mark.parametrize("case", CASES)
def test_three_times_the_forward_passes(case, batch_norm):
    method, relaxation, inner_loop, head = CASES[case]
    inner_loop = inner_loop or NoInnerLoop()
    given = {"meta_gradient": method, "relaxation": relaxation, "inner_loop": inner_loop, "head": head}
    model = make_model(space=SPACE, batch_norm=batch_norm, **given)
    episode = make_data().stream("train")[0, 0]
    for task in range(3):
        parameters = model.meta_parameters()
        generator, steps = task_generator(0, 0, task), inner_loop.steps
        noise = model.learner.draw_noise(parameters.logits, episode, generator, steps=steps)
        inner = MultiplyAdds()
        run = type(inner_loop).run

        def counted(*args, run=run, inner=inner):
            with inner:
                return run(inner_loop, *args)

        object.__setattr__(inner_loop, "run", counted)
        with MultiplyAdds() as everything:
            # A second derivative computes convolutions that are no forward passes.
            passes = FOMAML() if isinstance(method, MAML) else method
            passes(model.learner, inner_loop, parameters, [episode], [noise], 0.3)
        object.__delattr__(inner_loop, "run")
        # The support set's pass in an inner step that is differentiated itself counts twice.
        again = inner.total if case == "maml" else 0
        account = method.flops(inner_loop, parameters, Adaptation(model.learner, episode, noise, 0.3))
        assert account == 3 * (everything.total + again)


def counted(flops, world=1):
    gradients = Parameters({"a": torch.ones(2)}, {}, {})
    metrics = {"losses": torch.ones(1), "accuracies": torch.ones(1), "finite": torch.ones(1)}
    return outer_mean(gradients, metrics, flops, SimpleNamespace(world_size=world, global_rank=0)).flops


@pytest.mark.parametrize("flops", [0, 12_345, 2**44 + 3 * 2**20 + 7, (2**24 + 1) * 2**20 + 5, 2**62 - 1])
def test_flops_are_exact(flops, monkeypatch):
    monkeypatch.setattr(distributed, "all_reduce", lambda message: message.mul_(2))
    assert counted(flops) == flops
    assert counted(flops, world=2) == 2 * flops


def test_flops_of_many_processes_are_exact(monkeypatch):
    # The sum in float32, one process after the other, as of 65 that all count the same.
    def all_reduce(message):
        own = message.clone()
        for _ in range(64):
            message += own

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    assert counted(2**40 - 1, world=65) == 65 * (2**40 - 1)
