"""ONNX files of exported networks: the same scores, and what cannot be translated."""

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from drawn_networks import drawn
from torch import nn

import lit_metanas as lm
from lit_metanas.inputs.batches import random_inputs
from lit_metanas.training.export.onnx_program import PARITY

IMAGES, SERIES, TOKENS = (1, 12, 12), lm.SeriesShape(5, 9), lm.TokenShape(vocabulary=20, steps=7)
GRIDS: dict[str, dict[str, Any]] = {
    "plain": {"blocks": ("conv",), "norms": ("none",), "readouts": ("flat",), "stages": (2,), "depths": (2,)},
    "residual": {"blocks": ("residual",), "norms": ("group",), "readouts": ("gem",), "widths": (8,), "stages": (2,)},
    "inverted": {"blocks": ("inverted",), "norms": ("batch",), "squeezes": ("se",), "widths": (8,), "stages": (2,)},
    "convnext": {"blocks": ("convnext",), "norms": ("batch",), "stems": ("patch_2",), "widths": (8,), "stages": (2,)},
}
SEQUENCES = {"widths": (8,), "depths": (2,), "dropouts": (0.0,)}


def export(network: nn.Module, folder: Path, shape: lm.Shape, **more: object) -> None:
    names = {"classes": ("a", "b", "c"), "architecture": {}, "onnx": True, **more}
    lm.export_child(network, folder, shape=shape, **names)


def run(folder: Path, inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    return torch.from_numpy(session.run(["scores"], {"inputs": inputs.numpy()})[0])


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (lm.LayeredSpace(depths=(2,), widths=(4,)), IMAGES),
        *[
            pytest.param(lm.GridSpace(**narrow), IMAGES, marks=[pytest.mark.slow] * (name != "inverted"))
            for name, narrow in GRIDS.items()
        ],
        (lm.SequenceSpace(operations=("attention_4", "gated_linear"), **SEQUENCES), SERIES),
        (lm.SequenceSpace(operations=("attention_4", "sep_conv_3"), **SEQUENCES), TOKENS),
        pytest.param(lm.SequenceSpace(operations=("gru",), **SEQUENCES), TOKENS, marks=pytest.mark.slow),
        pytest.param(lm.spaces.NASBench201(), (3, 12, 12), marks=pytest.mark.slow),
    ],
    ids=["images", *GRIDS, "series", "tokens", "gru", "NAS-Bench-201"],
)
def test_onnxruntime_computes_what_the_network_does(space: lm.SearchSpace, shape: lm.Shape, tmp_path: Path) -> None:
    network = drawn(space, shape)
    export(network, tmp_path, shape)
    network.eval()
    torch.manual_seed(1)
    for count in (1, 2, 7):
        inputs = random_inputs(count, shape)
        with torch.no_grad():
            expected = network(inputs)
        assert expected.abs().max() > 0.05
        torch.testing.assert_close(run(tmp_path, inputs), expected, atol=PARITY, rtol=1e-5)
    onnx.checker.check_model(tmp_path / "model.onnx")
    assert str(Path(lm.__file__).parent).encode() not in (tmp_path / "model.onnx").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["gru", "attention", "conv"])
def test_what_writes_texts_is_translated_too(decoder: str, tmp_path: Path) -> None:
    goal = lm.Translation(lm.kinds.Words(steps=4, least=1).fitted(["un deux trois"]), metric="BLEU")
    read = lm.SequenceSpace(operations=("attention_2",), readouts=("each",), **SEQUENCES)
    space = lm.EncoderDecoderSpace(read, decoders=(decoder,), decoder_depths=(1,), heads=2, target_steps=4)
    network = drawn(space, TOKENS, goal.outputs)
    words = lm.kinds.Words(steps=7, least=1).fitted([" ".join("abcdefghijklmnopqr")])
    export(network, tmp_path, TOKENS, classes=(), objective=goal, preprocessing=words)
    inputs = random_inputs(5, TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(run(tmp_path, inputs), network.eval()(inputs), atol=PARITY, rtol=0)


class Eigenvalues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(torch.linalg.eigvalsh(inputs[:, 0]))


def test_what_cannot_be_translated_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="`predict` refuses the exported network"),
        pytest.raises(ValueError, match=r"cannot translate aten\._linalg_eigh: leave ONNX out"),
    ):
        export(Eigenvalues(), tmp_path, IMAGES)
    assert not any(tmp_path.iterdir())


def test_a_file_of_other_scores_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = drawn(lm.LayeredSpace(depths=(1,), widths=(4,)), IMAGES)
    monkeypatch.setattr("lit_metanas.training.export.onnx_program.PARITY", -1.0)
    with pytest.raises(ValueError, match=r"onnxruntime's scores are .* from its own"):
        export(network, tmp_path, IMAGES)
