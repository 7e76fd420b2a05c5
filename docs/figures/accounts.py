"""What one outer step costs under several methods, by the account that every search is charged to."""

from __future__ import annotations

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lit_metanas.meta import (
    FOMAML,
    MAML,
    InnerLoop,
    JointInnerLoop,
    Learner,
    MetaGradient,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLinearHead,
    PrototypeLoss,
    Reptile,
)
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.relaxations import Relaxation, SampledChild, Softmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Episode, Split

LOOP = JointInnerLoop(steps=5)
METHODS: tuple[tuple[str, MetaGradient, InnerLoop, Relaxation], ...] = (
    ("prototype loss, sampled child", PrototypeLoss(), NoInnerLoop(), SampledChild()),
    ("prototype loss, softmax", PrototypeLoss(), NoInnerLoop(), Softmax()),
    ("Reptile, softmax", Reptile(), LOOP, Softmax()),
    ("FOMAML, softmax", FOMAML(), LOOP, Softmax()),
    ("MAML, softmax", MAML(), LOOP, Softmax()),
)


def draw() -> Figure:
    """Draw the training FLOPs of a 5-way 1-shot task with 15 queries a class in the shared layered space."""
    supernet = LayeredSpace(shared=True).supernet((1, 28, 28))
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in LayeredSpace(shared=True).choices}
    parameters = Parameters(dict(supernet.named_parameters()), logits, {})
    support = Split(torch.zeros(5, 1, 28, 28), torch.arange(5))
    query = Split(torch.zeros(75, 1, 28, 28), torch.arange(5).repeat_interleave(15))
    episode = Episode(id="episode", way=5, train=support, val=None, test=query)
    costs = []
    for _, meta_gradient, loop, relaxation in METHODS:
        head = PrototypeLinearHead() if loop.steps else PrototypeHead()
        learner = Learner(supernet, relaxation, head)
        noise = learner.draw_noise(logits, episode, torch.Generator().manual_seed(0), steps=loop.steps)
        costs.append(meta_gradient.flops(loop, parameters, Adaptation(learner, episode, noise)))
    figure, axes = plt.subplots(figsize=(7.2, 2.5), layout="constrained")
    bars = axes.barh([name for name, *_ in METHODS], [cost / 1e9 for cost in costs], color="#0072B2", height=0.65)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("training GFLOPs a task: 3 × forward multiply-adds × images")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return figure
