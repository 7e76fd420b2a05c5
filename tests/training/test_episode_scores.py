"""Accuracies of evaluated episodes, brought together."""

from types import SimpleNamespace

import torch

from lit_metanas.training.meta_search.episode_evaluation import EpisodeScores


def test_a_single_process_needs_no_double_precision_on_its_device():
    scores = EpisodeScores(seed=0)
    scores.mine += [1 / 3, 0.2]
    device = torch.device("meta")  # from which no number comes back, as none of float64 gets onto Apple's accelerator
    trainer = SimpleNamespace(world_size=1, global_rank=0, strategy=SimpleNamespace(root_device=device))
    found = scores.gather(trainer)
    assert found == [1 / 3, 0.2]
    scores.mine.clear()
    assert len(found) == 2
