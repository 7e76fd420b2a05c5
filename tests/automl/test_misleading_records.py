"""Records that name bad networks on purpose do little harm."""

from collections.abc import Sequence
from dataclasses import asdict
from math import pi
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lit_metanas as lm
from lit_metanas.kinds.images.image_kind import IMAGE_NETWORKS, ImageKind
from lit_metanas.records.record import RecipeFields
from lit_metanas.spaces.choice_space import named_networks

FLOPS = 3e11  # some ten seconds; with bad networks in every other place of the first rung, 15 points were lost

BAD = {
    "stem": "patch_4", "block": "conv", "stages": "2", "depth": "1", "width": "8", "growth": "1", "norm": "none",
    "readout": "average", "dropout": "0.2",
}  # fmt: skip
OTHERS = [{"activation": "ReLU", "down": "avg"}, *({"activation": one, "down": "stride"} for one in ("ReLU", "GELU"))]
BAD_RECIPE: RecipeFields = {
    "learning_rate": 0.03,
    "weight_decay": 0.1,
    "label_smoothing": 0.1,
    "augmentation": "strong",
}


def textures(number: int, seed: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Photographs of surfaces ``(number, 16, 16, 3)`` and what they are of, under any light, in any colours."""
    draw = np.random.default_rng(seed)
    down, right = np.mgrid[:16, :16] / 16
    images, labels = [], []
    for place in range(number):
        turn, waves = draw.uniform(0, pi), draw.uniform(1.5, 3)
        along = 2 * pi * waves * (np.cos(turn) * right + np.sin(turn) * down) + draw.uniform(0, 2 * pi)
        across = 2 * pi * waves * (np.cos(turn) * down - np.sin(turn) * right) + draw.uniform(0, 2 * pi)
        centre = draw.uniform(0.2, 0.8, 2)
        surfaces = {
            "canvas": np.sin(along) + np.sin(across),
            "corduroy": 1.4 * np.sin(along),
            "ripples": 1.4 * np.sin(along + 1.5 * np.sin(across)),
            "rings": 1.4 * np.sin(2 * pi * waves * np.hypot(right - centre[0], down - centre[1]) + along[0, 0]),
            "tiles": np.sign(np.sin(along) * np.sin(across)),
        }
        label = sorted(surfaces)[place % len(surfaces)]
        light = draw.uniform(-1, 1) * right + draw.uniform(-1, 1) * down
        grey = draw.uniform(0.4, 1) * surfaces[label] + light + draw.normal(0, 0.35, (16, 16))
        colours = draw.uniform(20, 60, 3) * grey[..., None] + draw.uniform(90, 160, 3)
        images.append(colours.clip(0, 255).astype(np.uint8))
        labels.append(label)
    return np.stack(images), labels


def misleading(
    bad: Sequence[lm.Architecture], good: Sequence[lm.Architecture], usual: RecipeFields, space: str
) -> list[lm.records.SearchRecord]:
    """A record for each bad network, in which it is far above all others, and the good ones are the worst."""
    recipes = {True: BAD_RECIPE, False: {name: usual[name] for name in BAD_RECIPE}}
    records = []
    for best in bad:
        values = {**dict.fromkeys(good, 0.2), **dict.fromkeys(bad, 0.5), best: 0.95}
        trials = [
            lm.records.Trial(one, value, lm.Cost(queries=1), recipe=recipes[one in bad], trained=1e10)
            for one, value in values.items()
        ]
        records.append(lm.records.SearchRecord(f"task {len(records)}", trials, space=space))
    return records


@pytest.mark.slow
def test_records_that_mislead_cost_at_most_a_point(tmp_path: Path) -> None:
    data, test = textures(1200, 0), textures(2400, 1)
    task = lm.task_from_arrays(*data)
    kind, file = ImageKind(), tmp_path / "records.jsonl"
    space, usual = kind.space(task.shape, task.goal), lm.Recipe().replace(kind.usual_recipe(task))
    bad = named_networks(space, [{**BAD, **other} for other in OTHERS])
    records = misleading(bad, named_networks(space, IMAGE_NETWORKS), asdict(usual), space.name)
    lm.records.write_record_lines(file, records)
    plain, misled = (lm.auto(data, test=test, flops=FLOPS, records=own, progress=False) for own in ([], [file]))
    assert misled.record.trials[1].architecture in bad
    assert max(trial.value for trial in misled.record.trials if trial.architecture in bad) < 0.5
    assert plain.test_score > 0.85
    assert misled.test_score >= plain.test_score - 0.01
