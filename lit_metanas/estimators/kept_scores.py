"""Scores that outlive the process that computed them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from lit_metanas.atomic import replacing
from lit_metanas.estimators.estimator import Estimator, Score
from lit_metanas.records.budget import Cost
from lit_metanas.records.digest import tensor_digest
from lit_metanas.records.weights import DAMAGED, load_plain
from lit_metanas.spaces.architecture import Architecture


class KeptScores(Estimator):
    """Keeps what an estimator gives in a folder, where the same call finds it later.

    A search that was killed and draws the same architectures again goes on from there. A kept score says how many
    seconds it took. A file that is damaged counts as absent; failures are not kept.

    Args:
        estimator: its scores must depend on nothing but its settings, the architecture, fidelity and start.
        folder: where they are kept.
        settings: plain values that decide the estimator's scores.
    """

    def __init__(self, estimator: Estimator, folder: Path, settings: Mapping[str, Any]) -> None:
        self.estimator = estimator
        self.folder = folder
        self._settings = json.dumps(settings, sort_keys=True)

    @property
    def settings(self) -> Mapping[str, float | int | str | bool]:
        """Those of the estimator."""
        return self.estimator.settings

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """What the estimator says."""
        return self.estimator.cost(architecture, fidelity)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Look it up, or estimate and keep it."""
        file = self.folder / f"{self._digest(architecture, fidelity, start)}.pt"
        with suppress(*DAMAGED):
            kept = load_plain(file)
            return Score(kept["value"], Cost(**kept["cost"]), kept["weights"])
        begin = perf_counter()
        score = self.estimator(architecture, fidelity=fidelity, start=start)
        weights = score.weights and {name: tensor.detach().cpu().clone() for name, tensor in score.weights.items()}
        cost = replace(score.cost, seconds=perf_counter() - begin)
        content = io.BytesIO()  # a full disk is then an OSError, which no search takes for a failed training
        torch.save({"value": score.value, "cost": asdict(cost), "weights": weights}, content)
        with replacing(file) as temporary:
            temporary.write_bytes(content.getbuffer())
        return score

    def _digest(self, architecture: Architecture, fidelity: float, start: dict[str, Tensor] | None) -> str:
        """A file's name for a call: the same for equal ones alone."""
        names = None if start is None else list(start)
        tensors = () if start is None else start.values()
        call = [self._settings, architecture.to_json(), fidelity, names, tensor_digest(*tensors)]
        return hashlib.sha256(json.dumps(call).encode()).hexdigest()
