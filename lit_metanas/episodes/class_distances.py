"""How far the classes of a data set lie apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.episodes.task import Split
from lit_metanas.episodes.task_embedding import TaskEmbedding

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class ClassDistances(TaskEmbedding):
    """Distances between class means in units of the spread inside the classes, 8 features.

    Of the images, shrunk to ``size`` times ``size`` pixels: minimum, quartiles and maximum over pairs of classes of the
    distance of their means, divided by the root mean square distance of examples from the mean of their class; the
    share of all variance that lies between classes; the accuracy of the nearest mean, each example left out of its
    own; and the logarithm of the spread. Classes without examples are left out.

    Args:
        size: height and width to which images are shrunk, by averaging.
    """

    def __init__(self, size: int = 8) -> None:
        if size < 1:
            raise ValueError(f"ClassDistances: images of size {size} hold nothing; give at least 1.")
        self.size = size

    def features(self, train: Split, way: int) -> Tensor:
        """The features, shape ``(8,)``."""
        inputs, labels = train.inputs.cpu().double(), train.labels.cpu()  # not every accelerator has double precision
        points = F.adaptive_avg_pool2d(inputs, self.size).flatten(1)
        members = F.one_hot(labels, way).double()
        members = members[:, members.sum(dim=0) > 0]
        counts = members.sum(dim=0)
        means = members.T @ points / counts[:, None]
        spread = ((points - members @ means) ** 2).sum(dim=1).mean().sqrt().clamp(min=1e-6)
        first, second = torch.triu_indices(len(means), len(means), offset=1)
        apart = (means[first] - means[second]).norm(dim=1) / spread
        quantiles = torch.tensor(QUANTILES, dtype=apart.dtype)
        spans = torch.quantile(apart, quantiles) if len(apart) else apart.new_zeros(len(QUANTILES))
        whole = ((points - points.mean(dim=0)) ** 2).sum(dim=1).mean()
        between = 1 - (spread**2 / whole.clamp(min=1e-12)).clamp(max=1)
        return torch.cat([spans, torch.stack([between, _nearest(points, members, means, counts), spread.log()])])


def _nearest(points: Tensor, members: Tensor, means: Tensor, counts: Tensor) -> Tensor:
    """Share of examples that are nearest to the mean of the others of their class; those alone in it are wrong."""
    own = members @ counts
    distances = torch.cdist(points, means, compute_mode="donot_use_mm_for_euclid_dist")
    # Without the example itself, the mean of its class is farther by n / (n - 1).
    factor = torch.where(own > 1, own / (own - 1).clamp(min=1), torch.inf)
    distances = torch.where(members > 0, distances * factor[:, None], distances)
    right = distances.nan_to_num(nan=torch.inf).argmin(dim=1) == members.argmax(dim=1)
    return (right & (own > 1)).double().mean()
