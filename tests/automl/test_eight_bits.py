"""Images of 8 bits: a quarter of the memory, and the same networks to the last bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from auto_toys import same_weights
from PIL import Image

import lit_metanas as lm
from lit_metanas.kinds.given_data import read_given
from lit_metanas.tasks.task import check_task

pytestmark = pytest.mark.usefixtures("short_trials")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark noise."""
    folder, generator = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for name, most in (("bright", 256), ("dark", 160)):
        (folder / name).mkdir()
        for place in range(25):
            pixels = generator.integers(0, most, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{place}.png")
    return folder


def test_a_search_is_the_same_as_of_floats(photographs: Path) -> None:
    small = read_given(photographs, shape=8)
    assert small.train.inputs.dtype == torch.uint8
    check_task(small)
    usual = lm.FolderTask(str(photographs), (3, 8, 8))[0]
    assert usual.train.inputs.dtype == torch.float32
    options = {"flops": (5e8, 5e8), "records": (), "progress": False, "workers": 1}
    first, second = lm.auto(small, **options), lm.auto(usual, **options)
    assert [trial.value for trial in first.record.trials] == [trial.value for trial in second.record.trials]
    assert len(first.record.trials) > 1
    assert same_weights(first.network, second.network)
    assert (first.test_score, first.validated, first.linear_model) == (
        second.test_score,
        second.validated,
        second.linear_model,
    )
    assert first.predictions == second.predictions
    assert first.predict(small.test.inputs) == second.predict(usual.test.inputs)
