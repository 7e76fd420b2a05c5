"""Values that no training takes, each refused in a sentence that says what to give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.export import onnx_program
from lit_metanas.training.export.exported_program import network_inputs
from lit_metanas.training.meta_search.meta_recipe import MetaRecipe
from lit_metanas.training.recipes import check_changes
from lit_metanas.training.step_time import nominal_rates
from lit_metanas.training.weight_sharing.darts_training import SecondOrder
from lit_metanas.training.workers import check_workers

ENCODER = partial(lm.training.Encoder, "own", shape=lm.ImageShape(3, 8, 8))
TASK = lm.task_from_arrays(torch.zeros(20, 3, 8, 8), torch.arange(20) % 2)


class Split(nn.Flatten):
    """Whose features are no numbers."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs) / 0


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: lm.training.WeightRates(clip=0), "WeightRates: clip is 0; give a positive number; inf does not clip"),
        (lambda: lm.training.ControllerRates(warm_up=5), "ControllerRates: warm_up is 5; give a share of the search"),
        (lambda: lm.training.ControllerRates(children=0), "ControllerRates: children is 0; give at least 1"),
        (lambda: lm.training.ControllerRates(baseline=1.0), "baseline is 1.0; give a number from 0 to below 1"),
        (lambda: SecondOrder(epsilon=0), "The step of the finite difference is 0: give a positive number"),
        (lambda: MetaRecipe(learning_rate=0), "MetaRecipe: learning_rate is 0; give a number above 0, such as 0.01"),
        (lambda: MetaRecipe(distance="far"), "MetaRecipe: distance is 'far'; use plain, scaled, cosine"),
        (lambda: MetaRecipe(augmentation="all"), "augmentation is 'all'; use none, flip, cut, colour, or leave it to"),
        (lambda: MetaRecipe().replace({"lr": 1}), "no field 'lr': use learning_rate, "),
        (lambda: lm.Recipe().replace({"inherit": 1}), "A recipe has no field 'inherit' to be searched: use epochs, "),
        (
            lambda: check_changes(lm.Recipe(augmentation="light"), lm.TokenShape(9, 5), lm.Span()),
            "augmentation is 'light', and it would hide words of the answers of questions: set it to 'none'",
        ),
        (lambda: check_workers("auto", True), "auto: workers is True; give 1 to 4096, or 'auto'"),
        (lambda: nominal_rates("64-true"), "known for 32-true and bf16-mixed, and the precision is '64-true'"),
        (lambda: lm.Trainer(val_check_interval=0), "val_check_interval is 0; give a number of steps, or a share"),
        (lambda: lm.Trainer(check_val_every_n_epoch=0), "check_val_every_n_epoch is 0; give 1 or more, or none for"),
        (lambda: ArchitectureLogits([], prior={"size": "3"}), "prior: the space has no choice 'size': use "),
        (lambda: network_inputs(["a"], lm.TokenShape(9, 5), None), "no preprocessing that makes inputs of such ex"),
        (lambda: ENCODER(nn.Identity()), r"The encoder 'own' gives \(2, 3, 8, 8\) for two inputs: give a network with"),
        (lambda: ENCODER(Split()).features(TASK.train.inputs), "The encoder 'own' gives features that are not finite"),
        (
            lambda: ENCODER(nn.Flatten()).features(TASK.train.inputs, seconds=0),
            "The encoder 'own' takes about .* for the features of 1 example, and has 0 s: give more minutes, or",
        ),
        (
            lambda: lm.training.encode(TASK, lm.training.Encoder("own", nn.Flatten(), lm.ImageShape(1, 8, 8))),
            r"takes images of shape \(1, 8, 8\), and task 'arrays' has images of shape \(3, 8, 8\): make the task with",
        ),
    ],
)
def test_values_out_of_range_are_named(
    made: Callable[[], object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_METANAS_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=sentence):
        made()


def test_packages_that_an_onnx_file_needs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_program, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ValueError, match=r"needs more packages: pip install 'lit-metanas\[onnx\]'\.$"):
        onnx_program.check_onnx_installed()
