"""A task embedding from a meta-trained network."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import Shape, shape_of, vocabulary_of
from lit_metanas.meta.learner import Parameters
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.embeddings import TaskEmbedding, over_classes
from lit_metanas.tasks.task import Split
from lit_metanas.training.meta_search.meta_checkpoint import MetaCheckpoint, read_meta_checkpoint


class MetaTrainedEmbedding(TaskEmbedding):
    """Mean and spread over the classes of a meta-trained network's features: two numbers for each feature.

    The network is the architecture that meta-training chose, with the meta-trained weights and the batch-norm
    statistics of the task's train part. It was trained to distinguish classes of new tasks, so tasks that its features
    do not distinguish are near each other.

    Args:
        space: the space of the meta-training.
        start: its checkpoint.

    Example:
        >>> import lit_metanas as lm
        >>> embedding = lm.surrogates.MetaTrainedEmbedding(lm.LayeredSpace(), start="runs/latest/checkpoints/last.ckpt")
        >>> embedding.start
        'runs/latest/checkpoints/last.ckpt'
    """

    def __init__(self, space: SearchSpace, start: str) -> None:
        self.space = space
        self.start = start

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(2 * features,)``; ValueError if the checkpoint is none of this space and shape."""
        checkpoint = read_meta_checkpoint(self.start)
        shape = shape_of(train.inputs, vocabulary_of(checkpoint.shape))
        architecture = checkpoint.derive(self.space)
        _, found, _ = embed_with(checkpoint, self.space.restricted(architecture), architecture, shape, train.inputs)
        return over_classes(found, train.labels, way)


def embed_with(
    checkpoint: MetaCheckpoint, restricted: SearchSpace, architecture: Architecture, shape: Shape, inputs: Tensor
) -> tuple[Parameters, Tensor, dict[str, Tensor]]:
    """The meta-trained parameters of one architecture, the features of the inputs, and the batch-norm statistics."""
    with torch.random.fork_rng(devices=[]):
        parameters = checkpoint.parameters(restricted, shape)
        supernet = restricted.supernet(shape).to(inputs.device)
    weights = {name: tensor.to(inputs.device) for name, tensor in parameters.weights.items()}
    features, statistics = embed_and_record(supernet, weights, one_hot(restricted.choices, architecture), inputs)
    return parameters._replace(weights=weights), features, statistics
