"""The account of training against a count of what is computed."""

import pytest
import torch
from counting import MultiplyAdds
from meta_toys import SHAPE, fit, make_data, make_model

from lit_metanas.meta import (
    ANIL,
    FOMAML,
    MAML,
    Adaptation,
    AlternatingInnerLoop,
    HeadInnerLoop,
    JointInnerLoop,
    LinearHead,
    MetaNAS,
    NoInnerLoop,
    PrototypeLinearHead,
    PrototypeLoss,
    Reptile,
    task_generator,
)
from lit_metanas.relaxations import AnnealedSoftmax, Categorical, GumbelSoftmax, SampledChild, Softmax
from lit_metanas.spaces import LayeredSpace

SPACE = LayeredSpace(
    kernels=(1, 3, 5), depths=(1, 2, 3), widths=(3, 6), skips=("none", "residual"), dropouts=(0.0, 0.2)
)
CASES = {
    "prototypes, soft": (PrototypeLoss(), Softmax(), None, None),
    "prototypes, sampled": (PrototypeLoss(), SampledChild(), None, None),
    "reptile, sampled": (Reptile(), Categorical(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "fomaml": (FOMAML(), GumbelSoftmax(), JointInnerLoop(steps=3), LinearHead(way=3)),
    "maml": (MAML(), Softmax(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "anil": (ANIL(), Softmax(), HeadInnerLoop(steps=4), PrototypeLinearHead()),
    "reptile": (Reptile(), Softmax(), JointInnerLoop(steps=2), PrototypeLinearHead()),
    "metanas, split": (MetaNAS(), AnnealedSoftmax(), AlternatingInnerLoop(steps=2, logit_split=0.5), LinearHead(way=3)),
}


@pytest.mark.parametrize("batch_norm", ["support", "transductive"])
@pytest.mark.parametrize("case", CASES)
def test_three_times_the_forward_passes(case, batch_norm):
    method, relaxation, inner_loop, head = CASES[case]
    inner_loop = inner_loop or NoInnerLoop()
    model = make_model(
        space=SPACE,
        meta_gradient=method,
        relaxation=relaxation,
        inner_loop=inner_loop,
        head=head,
        batch_norm=batch_norm,
    )
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


def test_a_training_sums_its_steps():
    model = make_model(space=SPACE)
    counter = MultiplyAdds()
    gradient = model.meta_gradient

    def counted(*args, progress):
        with counter:
            return gradient(*args, progress=progress)

    counted.flops = gradient.flops
    model.meta_gradient = counted
    fit(model, make_data(steps_per_epoch=6))
    assert int(model.spent) == model.cost().flops == 3 * counter.total
    assert len({SPACE.cost(SPACE.sample(torch.Generator().manual_seed(i)), SHAPE, 3).flops for i in range(9)}) > 5
