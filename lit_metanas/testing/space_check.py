"""Whether a search space keeps what searchers and meta-gradients rely on."""

from __future__ import annotations

from contextlib import suppress

import torch

from lit_metanas.inputs.shapes import ImageShape, KindShape, Shape, as_shape, describe_shape
from lit_metanas.io.allocator import default_dtype
from lit_metanas.spaces.body_networks import naming_layers
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.space import INPUT_KINDS, SearchSpace
from lit_metanas.testing.network_check import NetworkCheck, check_choices, sample_architectures

GREY_IMAGES = ImageShape(1, 28, 28)


def check_space(space: ChoiceSpace, shape: Shape | None = None, way: int = 5, seed: int = 0) -> None:
    """Check that a search space keeps what searchers and meta-gradients rely on.

    Of its choices: labels are unique strings, a trial of Optuna suggests them, and ``canonical`` changes nothing twice.
    Of its networks, on sampled architectures in float64: the child that inherits computes what the supernet computes
    under one-hot gates, in training and in evaluation, to 1e-5; ``cost`` and ``flops`` are what is counted; a
    restricted space has some of the labels and of the parameters, and the same function; a sampled child computes its
    own candidates alone; under the softmax relaxation the gradient reaches every logit whose gate the supernet looks
    at; noise is a function of the generator. A network can be built for inputs of twice the size, too, and for colour
    images if it can be for grey ones. A space without networks, or without a supernet, has its
    choices checked.

    Where a supernet refuses to compute (``Supernet.refusal``), what is checked are children, which begin with its
    weights.

    Args:
        space: the space.
        shape: of the inputs that networks are built for: give that of your own. None takes small ones of the first
            kind in ``space.shapes``; images are grey, or have three channels where the body takes no others.
        way: number of classes.
        seed: of the sampled architectures, weights and inputs.

    Raises:
        AssertionError: the space fails; one sentence says in what.
        ValueError: no network can be made of its body; one sentence names the layer, or the choice.

    Example:
        >>> lm.testing.check_space(lm.LayeredSpace(depths=(1, 2), widths=(4,)), shape=(1, 8, 8))
    """
    check_choices(space, seed)
    if not isinstance(space, SearchSpace) or not space.shares_weights:
        return
    # Everything is built and drawn in float64, and PyTorch's global generator is left as it was.
    with default_dtype(torch.float64), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        check = _first_check(space, way, seed) if shape is None else NetworkCheck(space, shape, way, seed)
        with naming_layers(getattr(check.supernet, "body", check.supernet), check.shape):
            for architecture in sample_architectures(space, seed):
                check.child(architecture)
                check.cost(architecture)
                if not check.refusal:
                    check.restriction(architecture)
            if not check.refusal:
                check.gradients()
                check.noise()
        _check_other_shape(space, check.shape, way, seed)


def _first_check(space: SearchSpace, way: int, seed: int) -> NetworkCheck:
    # Of small inputs of the space's kind; in colour where its body is for such alone, as pretrained ones are.
    kind = space.shapes[0]
    if kind is not ImageShape:
        return NetworkCheck(space, INPUT_KINDS[kind][0], way, seed)
    try:
        return NetworkCheck(space, GREY_IMAGES, way, seed)
    except ValueError:
        with suppress(ValueError):
            return NetworkCheck(space, GREY_IMAGES._replace(channels=3), way, seed)
        raise


def _check_other_shape(space: SearchSpace, shape: Shape, way: int, seed: int) -> None:
    # Supernet and child can be built for other inputs: no layer of theirs is sized by hand for those of one shape.
    other = _other_shape(as_shape(shape))
    try:
        check = NetworkCheck(space, other, way, seed)
        with naming_layers(getattr(check.supernet, "body", check.supernet), other):
            check.child(*sample_architectures(space, seed, 1))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise AssertionError(
            f"{space.name} fits {describe_shape(shape)}, but not {describe_shape(other)}, so size its layers by "
            f"`shape`: {' '.join(str(error).split())}"
        ) from error


def _other_shape(shape: KindShape) -> Shape:
    # Twice as large, and of twice as many features or tokens; grey images in colour.
    if isinstance(shape, ImageShape):
        return ImageShape(3 if shape.channels == 1 else shape.channels, 2 * shape.height, 2 * shape.width)
    return type(shape)(*(2 * number for number in shape))
