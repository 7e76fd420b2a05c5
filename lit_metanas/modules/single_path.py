"""Training of a supernet by one uniformly drawn architecture a minibatch."""

from __future__ import annotations

from lit_metanas.modules.minibatches import Pair
from lit_metanas.modules.shared_weights import SharedWeights


class SinglePath(SharedWeights):
    """Trains shared weights alone: each train minibatch under an architecture that is drawn from the space.

    Single-path one-shot (Guo et al. 2020, Section 3.1), and the first phase of random search with weight sharing (Li
    and Talwalkar 2019). Drawn are whole architectures that can be built, so that also choices of a cell's inputs are
    obeyed. The training ends before the first step that the budget cannot pay.
    """

    def training_step(self, batch: Pair, batch_idx: int) -> None:
        """One step of the weights."""
        if self.train_path(self.space.sample(self.generator), batch.train):
            self.done += 1
        else:
            self.trainer.should_stop = True
