"""What a meta-training has cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lit_metanas.records.budget import Cost


class Account:
    """Images and seconds of a training, and what the trainings before it cost.

    Attributes:
        earlier: cost of the trainings that this one started from.
        images: training images seen, with repetition, over all processes.
        seconds: wall time, with the validations between steps.
        skipped: tasks that were left out.
    """

    def __init__(self) -> None:
        self.earlier = Cost()
        self.images, self.seconds, self.skipped = 0, 0.0, 0
        self._clock = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def step(self, images: int) -> None:
        """Add one step's images, and the time since the last one."""
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self.images += images

    def total(self, *, steps: int, flops: int) -> Cost:
        """Everything; steps and FLOPs are those of this training."""
        return self.earlier + Cost(steps=steps, images=self.images, flops=flops, seconds=round(self.seconds, 3))

    def state(self) -> dict[str, Any]:
        """Plain values."""
        own = {"images": self.images, "seconds": self.seconds, "skipped": self.skipped}
        return {**own, "earlier": asdict(self.earlier)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.images, self.seconds, self.earlier = state["images"], state["seconds"], Cost(**state["earlier"])
        self.skipped = int(state.get("skipped", 0))  # checkpoints of version 0.1 do not know
