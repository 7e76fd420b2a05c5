"""A task embedding from a meta-trained network."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import shape_of, vocabulary_of
from lit_metanas.spaces.mixture import one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.embeddings import TaskEmbedding, over_classes
from lit_metanas.tasks.task import Split
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint


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
        """The features, shape ``(2 * features,)``.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: the checkpoint is damaged, foreign, or of another space or shape.
        """
        checkpoint = read_meta_checkpoint(self.start)
        shape = shape_of(train.inputs, vocabulary_of(checkpoint.shape))
        architecture = checkpoint.derive(self.space)
        restricted = self.space.restricted(architecture)
        parameters = checkpoint.parameters(restricted, shape)
        with torch.random.fork_rng(devices=[]):
            supernet = restricted.supernet(shape).to(train.inputs.device)
        weights = {name: tensor.to(train.inputs.device) for name, tensor in parameters.weights.items()}
        mixture = one_hot(restricted.choices, architecture)
        found, _ = embed_and_record(supernet, weights, mixture, train.inputs)
        return over_classes(found, train.labels, way)
