"""Meta-gradients on the layered space, and objects from configuration."""

import pytest
import torch

from lit_metanas.meta import (
    MAML,
    AlternatingInnerLoop,
    JointInnerLoop,
    Learner,
    MetaNAS,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLinearHead,
    PrototypeLoss,
    task_generator,
)
from lit_metanas.relaxations import AnnealedSoftmax, GumbelSoftmax, Softmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Episode, Split

SPACE = LayeredSpace(
    kernels=(1, 3),
    depths=(1, 2),
    widths=(3, 4),
    skips=("none", "residual"),
    norms=("batch", "layer"),
    dropouts=(0.0, 0.5),
)


def gradients(method, relaxation, head, inner_loop):
    torch.manual_seed(0)
    net = SPACE.supernet((1, 8, 8)).double()
    logits = {c.name: torch.linspace(0.0, 0.5, len(c.labels), dtype=torch.float64) for c in SPACE.choices}
    parameters = Parameters({name: value.detach() for name, value in net.named_parameters()}, logits, {})
    learner = Learner(net, relaxation, head)
    episodes, noises = [], []
    for index in range(2):
        generator = torch.Generator().manual_seed(index)
        labels = torch.arange(3).repeat_interleave(2)
        images = torch.rand(2, 6, 1, 8, 8, generator=generator, dtype=torch.float64)
        episodes.append(Episode(f"{index}", 3, Split(images[0], labels), None, Split(images[1], labels)))
        generator, steps = task_generator(0, 0, index), inner_loop.steps
        noises.append(learner.draw_noise(parameters.logits, episodes[-1], generator, steps=steps))
    return method(learner, inner_loop, parameters, episodes, noises, 0.5)[0]


@pytest.mark.parametrize(
    ("make", "relaxation", "head", "inner_loop"),
    [
        (MAML, Softmax(), PrototypeLinearHead(), JointInnerLoop(steps=2)),
        (MetaNAS, AnnealedSoftmax(), PrototypeLinearHead(), AlternatingInnerLoop(steps=2, logit_split=0.5)),
        (PrototypeLoss, GumbelSoftmax(), PrototypeHead(), NoInnerLoop()),
    ],
    ids=["maml", "metanas", "prototype"],
)
def test_loop_and_vmap_agree_on_the_layered_space(make, relaxation, head, inner_loop):
    loop = gradients(make(task_map="loop"), relaxation, head, inner_loop).flat()
    vmap = gradients(make(task_map="vmap"), relaxation, head, inner_loop).flat()
    for name, value in loop.items():
        torch.testing.assert_close(vmap[name], value, rtol=1e-10, atol=1e-10)
    assert all(loop[f"logits.{choice.name}"].abs().max() > 0 for choice in SPACE.choices)
