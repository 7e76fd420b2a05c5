"""What speaks for a prediction, by occlusion: against plain loops, and in figures and reports."""

from math import ceil

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.comparisons import tested_part as module
from lit_metanas.comparisons.tested_part import MOST_WORK, PATCHES, POSITIONS, explained, saliency, shown_predictions
from lit_metanas.records.result_files import KeptNetwork, read_row_file, write_example_rows, write_row_file
from lit_metanas.records.rows import ShownPrediction
from lit_metanas.report.figures.predictions import draw_predictions
from lit_metanas.report.report_page import class_section

pytest.importorskip("captum")


def by_loops(network, image, place, *, mask=None):
    """The heat of one input, by hand: each patch is covered once, and each place has the mean of its patches."""
    channels, height, width = image.shape if mask is None else (1, *image.shape)
    shown = image if mask is None else image[None]
    heard = torch.ones(height, width) if mask is None else mask.expand(height, width)
    mean = (shown * heard).sum() / (heard.sum() * channels)

    def score(some):
        given = some if mask is None else torch.cat([some[0], mask[None]])
        return network(given[None])[0, place]

    sizes = [-(-side // PATCHES) for side in (height, width)]
    steps = [max(1, side // POSITIONS) for side in (height, width)]
    counts = [ceil((side - size) / step) + 1 for side, size, step in zip((height, width), sizes, steps, strict=True)]
    lost, covers = torch.zeros(height, width), torch.zeros(height, width)
    for row in range(counts[0]):
        for column in range(counts[1]):
            top, left = row * steps[0], column * steps[1]
            covered = shown.clone()
            covered[:, top : top + sizes[0], left : left + sizes[1]] = mean
            lost[top : top + sizes[0], left : left + sizes[1]] += score(shown) - score(covered)
            covers[top : top + sizes[0], left : left + sizes[1]] += 1
    heat = (lost / covers).clamp(min=0) * heard
    return heat / heat.max()


@pytest.mark.parametrize("masked", [False, True])
def test_the_heat_is_that_of_plain_loops(masked):
    torch.manual_seed(0)
    if masked:
        inputs = torch.rand(3, 8, 13)
        inputs[:, -1] = (torch.arange(13) < torch.tensor([[13], [9], [4]])).float()
        inputs[:, :-1] *= inputs[:, -1:]
        network = nn.Sequential(nn.Conv1d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(44, 3)).eval()
    else:
        inputs = torch.rand(3, 2, 11, 12)
        network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(360, 3)).eval()
    classes = torch.tensor([0, 2, 1])
    with torch.no_grad():
        found = saliency(network, inputs, classes, masked=masked)
        for heat, one, place in zip(found, inputs, classes.tolist(), strict=True):
            parts = (one[:-1], one[-1]) if masked else (one, None)
            torch.testing.assert_close(heat, by_loops(network, parts[0], place, mask=parts[1]), atol=1e-5, rtol=1e-4)


class Corner(nn.Module):
    """Sees the upper left corner alone: class 1 if it is bright."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        bright = self.weight * images[:, :, :4, :4].mean((1, 2, 3))
        return torch.stack([-bright, bright], 1)


def test_pictures_have_the_heat_where_the_network_looks(tmp_path, monkeypatch):
    images = 0.5 * torch.rand(6, 3, 20, 20)
    images[:, :, :4, :4] = 1.0
    part = lm.Split(images, torch.zeros(6, dtype=torch.int64))
    task = lm.Task("corners", 2, part, None, part, classes=("a", "b"))
    places = torch.tensor([4, 1])
    shown = explained(shown_predictions(task, [1] * 6, places), Corner(), task, places, torch.tensor([1, 1]), flops=1e3)
    for one in shown:
        heat = torch.tensor([list(bytes.fromhex(row)) for row in one.heat])
        assert heat.shape == (20, 20)
        assert heat[:4, :4].min() > 100
        assert heat[8:].max() == heat[:, 8:].max() == 0
    drawn = draw_predictions(shown)
    assert len(drawn.axes) == 4  # each picture, and the same below with its heat
    write_row_file(tmp_path / "errors.json", ShownPrediction, shown)
    assert read_row_file(tmp_path / "errors.json", ShownPrediction) == list(shown)
    write_example_rows(tmp_path / "predictions.csv", [lm.records.ExampleRow("4", "a", "b", 0.9, 2.3)] * 2)
    row = lm.records.ArchitectureRow("task", "auto", "S", lm.Architecture({"kernel": "3"}), 0.9, classes=("a", "b"))
    assert "Below each picture is what speaks for" in class_section(tmp_path, KeptNetwork(row, tmp_path))[0]
    large = explained(plain := shown_predictions(task, [1] * 6, places), Corner(), task, places,
                      torch.tensor([1, 1]), flops=MOST_WORK / POSITIONS**2)  # fmt: skip
    assert [bool(one.heat) for one in large] == [True, False]
    broken = nn.Sequential(Corner(), nn.Flatten(2))
    with pytest.warns(UserWarning, match="Nothing is shown of what speaks for predictions: Dimension out of range"):
        assert explained(plain, broken, task, places, torch.tensor([1, 1]), flops=1e3) == plain
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert explained(plain, Corner(), task, places, torch.tensor([1, 1]), flops=1e3) == plain


def test_a_heat_of_another_size_is_refused():
    with pytest.raises(ValueError, match="its heat is not of the size of its picture"):
        lm.records.ShownPrediction("a", "b", False, picture=("00ff",), heat=("00",))
