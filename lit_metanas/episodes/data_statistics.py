"""Statistics of a data set that need no network."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.episodes.task import Split
from lit_metanas.episodes.task_embedding import TaskEmbedding


class DataStatistics(TaskEmbedding):
    """Simple and statistical meta-features (Brazdil et al. 2022, chapter 4), 15 of them.

    Logarithms of the number of classes, of examples and of channels, height and width; entropy of the class shares,
    divided by its maximum; of all pixels mean, standard deviation, skewness and excess kurtosis; of the images the mean
    and the standard deviation of their own standard deviations, mean absolute difference of neighbours in a row and in
    a column (how many edges there are), and mean distance of the channels from grey.
    """

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(15,)``."""
        images, labels = train.inputs.cpu().double(), train.labels.cpu()  # not every accelerator has double precision
        number, channels, height, width = images.shape
        shares = torch.bincount(labels, minlength=way).double() / number
        entropy = torch.special.entr(shares).sum() / torch.tensor(max(way, 2)).log()
        sizes = torch.tensor([way, number, channels, height, width], dtype=torch.float64).log()
        mean, deviation = images.mean(), images.std(correction=0)
        scaled = (images - mean) / deviation.clamp(min=1e-6)
        own = images.flatten(1).std(dim=1, correction=0)
        pixels = [mean, deviation, (scaled**3).mean(), (scaled**4).mean() - 3, own.mean(), own.std(correction=0)]
        edges = [_mean(images.diff(dim=3).abs()), _mean(images.diff(dim=2).abs())]
        colour = (images - images.mean(dim=1, keepdim=True)).abs().mean()
        return torch.cat([sizes, torch.stack([entropy, *pixels, *edges, colour])])


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 where there are none, as in images of one row."""
    return values.mean() if values.numel() else values.new_zeros(())
