"""Values and files that no training and no script of an export takes, each named in a sentence."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.kinds.kind import kind_named
from lit_metanas.training import MetaRecipe, given_models, recipes, step_time, workers
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.export import exported_program
from lit_metanas.training.export.standalone_parts import lines_of_table, named_answer
from lit_metanas.training.export.standalone_predict import read_inputs
from lit_metanas.training.export.standalone_rows import encoded_rows
from lit_metanas.training.export.standalone_series import scaled_series

IMAGES, TOKENS, NUMBERS = lm.ImageShape(3, 8, 8), lm.TokenShape(9, 5), lm.Regression((0.0,), (1.0,))
ENCODER = partial(lm.training.Encoder, "own", shape=IMAGES)
TASK = lm.task_from_arrays(torch.rand(20, *IMAGES), torch.arange(20) % 2)
SPACE = lm.LayeredSpace(depths=(1,), widths=(4,))
MODEL = lm.training.Exported(nn.Identity(), {one.name: one.labels[0] for one in SPACE.choices}, ("0", "1"), IMAGES)
START = given_models.ModelStart("mine", MODEL, {}, MODEL.goal)
TEACHER = given_models.Teacher("mine", replace(MODEL, shape=lm.RowShape(4)), 0)
ROWS = {"names": "ab", "columns": 2 * [{"kind": "number", "mean": 0.0, "deviation": 1.0, "gaps": False}]}
SERIES = {"names": "a", "means": [0.0], "deviations": [1.0], "every": 1, "steps": 3}


def table(text: str) -> Path:
    Path("x.csv").write_text(text)
    return Path("x.csv")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: lm.training.WeightRates(clip=0), "WeightRates: clip is 0; give a positive number; inf does not clip"),
        (lambda: lm.training.ControllerRates(warm_up=5), "ControllerRates: warm_up is 5; give a share of the search"),
        (lambda: lm.training.ControllerRates(children=0), "ControllerRates: children is 0; give at least 1"),
        (lambda: lm.training.ControllerRates(baseline=1.0), "baseline is 1.0; give a number from 0 to below 1"),
        (lambda: lm.training.SecondOrder(epsilon=0), "step of the finite difference is 0: give a positive number"),
        (lambda: MetaRecipe(learning_rate=0), "MetaRecipe: learning_rate is 0; give a number above 0, such as 0.01"),
        (lambda: MetaRecipe(distance="far"), "MetaRecipe: distance is 'far'; use plain, scaled, cosine"),  # type: ignore[arg-type]
        (lambda: MetaRecipe(augmentation="all"), "augmentation is 'all'; use none, flip, cut, colour, or leave it to"),  # type: ignore[arg-type]
        (lambda: MetaRecipe().replace({"lr": 1}), "no field 'lr': use learning_rate, "),
        (lambda: lm.Recipe().replace({"inherit": 1}), "A recipe has no field 'inherit' to be searched: use epochs, "),
        (lambda: recipes.check_changes(lm.Recipe(augmentation="light"), TOKENS, lm.Span()), "would hide words of the"),
        (lambda: workers.check_workers("auto", True), "auto: workers is True; give 1 to 4096, or 'auto'"),
        (lambda: step_time.nominal_rates("64-true"), "for 32-true and bf16-mixed, and the precision is '64-true'"),
        (lambda: lm.Trainer(val_check_interval=0), "val_check_interval is 0; give a number of steps, or a share"),
        (lambda: lm.Trainer(check_val_every_n_epoch=0), "check_val_every_n_epoch is 0; give 1 or more, or none for"),
        (lambda: ArchitectureLogits([], prior={"size": "3"}), "prior: the space has no choice 'size': use "),
        (lambda: exported_program.network_inputs(["a"], TOKENS, None), "no preprocessing that makes inputs of such"),
        (lambda: ENCODER(nn.Identity()), r"The encoder 'own' gives \(2, 3, 8, 8\) for two inputs: give a network with"),
        (lambda: ENCODER(nn.Flatten()).features(TASK.train.inputs * torch.inf), "gives features that are not finite"),
        (lambda: ENCODER(nn.Flatten()).features(TASK.test.inputs, seconds=0), "'own' takes about .* for the features"),
        (lambda: lm.training.encode(TASK, ENCODER(nn.Flatten(), shape=(3, 9, 9))), "and task 'arrays' has images of"),
        (lambda: replace(START, objective=NUMBERS).network(SPACE, TASK), "'mine' is for regression, and task 'arrays'"),
        (lambda: START.network(SPACE, TASK), "in 'mine' is none of LayeredSpace: give the space that it was found in"),
        (lambda: TEACHER.lesson(TASK, kind_named("rows"), lambda made: TASK), "takes other inputs than task 'arrays'"),
        (lambda: encoded_rows(table("a,b\n1,2\n1,inf"), ROWS), "it has an infinite number; rows before: 1"),
        (lambda: encoded_rows(table("a,a\n1,2"), ROWS), "it does not name the column 'a' once"),
        (lambda: encoded_rows(table("a,b\n1,2,3"), ROWS), "it has 3 values for 2 columns"),
        (lambda: scaled_series(table("b\n1"), SERIES), "it does not name the column 'a' once"),
        (lambda: scaled_series(table("1,2"), SERIES | {"names": []}), "has 2 columns, and 1 were learned from"),
        (lambda: scaled_series(table("a,b\n1,2\n3"), SERIES), "it has 1 values for 2 columns"),
        (lambda: scaled_series(table("a\ninf"), SERIES), "it has an infinite number"),
        (lambda: scaled_series(table("a\nnan"), SERIES), "it has no value"),
        (lambda: read_inputs(Path("short.npy"), {"shape": ["row", 3]}, np), "does not hold uint8 or floa"),
        (lambda: read_inputs(Path("wide.npy"), {"shape": ["row", 3]}, np), "has inputs of shape .4., and"),
        (lambda: read_inputs(Path("x.txt"), {"shape": ["row", 3]}, np), "is not read by this script: give .npy of row"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(
    made: Callable[[], object], sentence: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_METANAS_CACHE", str(here))
    np.save("short.npy", np.zeros(3, "i2"))
    np.save("wide.npy", np.zeros((1, 4)))
    with pytest.raises((ValueError, SystemExit), match=sentence):
        made()


def test_scripts_read_decimal_commas_and_answer_with_labels_and_numbers(here: Path) -> None:
    found = lines_of_table(table("a;b;c\n1.234,5;a,b;\n-2;3;4\n5"))
    assert found == [["a", "b", "c"], ["1234.5", "a,b", ""], ["-2", "3", "4"], ["5"]]
    goal = {"kind": "several labels", "thresholds": [0.6, 0.4]}
    answer = named_answer([0.0, 0.0], {"classes": ["a", "b"], "objective": goal}, np)
    assert answer == {"labels": ["b"], "p(a)": 0.5, "p(b)": 0.5}
    assert named_answer([2.5], {"classes": ["a"], "objective": {"means": [0.0]}}, np) == {"prediction": 2.5}
