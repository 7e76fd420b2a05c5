"""Encoders of ONNX files, against onnxruntime and plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lit_metanas as lm
from lit_metanas.training.encoders.onnx_encoder import SpeechWindows

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx2torch")


def write_onnx(file: Path, sizes: tuple[Any, ...], nodes: list[Any], weights: dict[str, tuple[int, ...]]) -> Path:
    """A network of ``x`` to ``y`` with weights that are drawn."""
    draw = np.random.default_rng(0)
    arrays = [onnx.numpy_helper.from_array(draw.normal(size=s).astype("f"), name) for name, s in weights.items()]
    ends = [onnx.helper.make_tensor_value_info(name, 1, size) for name, size in (("x", sizes), ("y", None))]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], arrays)
    version = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=version, ir_version=8), file)
    return file


def node(kind: str, inputs: str, output: str, **settings: Any) -> Any:
    return onnx.helper.make_node(kind, inputs.split(), [output], **settings)


def image_network(file: Path) -> Path:
    """A classifier of images of eight pixels a side."""
    nodes = [
        node("Conv", "x w b", "c", kernel_shape=[3, 3]), node("Relu", "c", "r"), node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"), node("Gemm", "f v", "s"), node("Softmax", "s", "y"),
    ]  # fmt: skip
    return write_onnx(file, ("n", 3, 8, 8), nodes, {"w": (5, 3, 3, 3), "b": (5,), "v": (5, 4)})


def test_images_have_the_features_in_front_of_the_classifier(tmp_path: Path) -> None:
    file = image_network(tmp_path / "small.onnx")
    encoder, images = lm.training.read_encoder(file), torch.rand(4, 3, 8, 8)
    assert (encoder.shape, encoder.numbers) == (lm.ImageShape(3, 8, 8), 5)
    model = onnx.load(file)
    model.graph.output[0].name = "f"
    session = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
    normal = [torch.tensor(one)[:, None, None] for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    (wanted,) = session.run(["f"], {"x": ((images - normal[0]) / normal[1]).numpy()})
    np.testing.assert_allclose(encoder.features(images), wanted, atol=1e-5)
    names = ["a", "b"] * 10
    given: dict[str, Any] = {"flops": 1e7, "output": tmp_path / "out", "progress": False, "records": ()}
    found = lm.auto((np.random.default_rng(0).random((20, 8, 8, 3)), names), encoders=[file], **given)
    rows = torch.tensor([[row[name] for name in found.classes] for row in found.predict(images)])
    with torch.no_grad():
        torch.testing.assert_close(lm.load(tmp_path / "out").predict(images), rows, atol=1e-5, rtol=0)


def speech_network(file: Path) -> Path:
    """Features of windows of spectra, as large as those of Google's speech embedding."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "c", kernel_shape=[76, 32]),
        node("Transpose", "c", "y", perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    return write_onnx(file, ("n", 76, 32, 1), nodes, {"w": (3, 1, 76, 32)})


@pytest.mark.parametrize("steps", [100, 130])
def test_sounds_are_heard_window_by_window(steps: int, tmp_path: Path) -> None:
    encoder = lm.training.read_encoder(speech_network(tmp_path / "speech.onnx"))
    encoder = encoder.heard_as(lm.kinds.LogMel(steps=steps))
    assert encoder.kinds == ("sounds",)
    assert isinstance(encoder.network, SpeechWindows)
    sounds = [(torch.rand(length) - 0.5, 16_000) for length in (16_000, 12_500, 200)]
    inputs = encoder.preprocessing.encode(sounds)
    found = encoder.features(inputs)
    for series, features in zip(inputs, found, strict=True):
        length = int(series[-1].sum())
        silence = torch.full((32, 40), 4.5)
        whole = torch.cat([silence, series[:-1, :length], silence], 1)
        parts = [whole[:, at : at + 76].T[None, ..., None] for at in range(0, whole.shape[1] - 75, 8)]
        with torch.no_grad():
            each = torch.cat([encoder.network.network(part).flatten(1) for part in parts])
        torch.testing.assert_close(features, torch.cat([each.mean(0), each.amax(0)]), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "kind", "reason"),
    [
        ((1, 3, 8, 8), "Reshape", r"gives \(1, 384\) for two images: export it for any number of images"),
        (("n", 2, 8, 8), "Relu", "takes inputs of shape .* give one for images of 1 or 3 channels"),
        (("n", 3, 8, 8), "Det", "cannot be translated by onnx2torch .*Det.*: give a torch.export of it"),
    ],
)
def test_other_networks_get_a_sentence(sizes: tuple[Any, ...], kind: str, reason: str, tmp_path: Path) -> None:
    one = [node("Constant", "", "s", value_ints=[1, -1])] if kind == "Reshape" else []
    last = node(kind, " ".join(["x", *["s"] * len(one)]), "y")
    file = write_onnx(tmp_path / "other.onnx", sizes, [*one, last], {})
    with pytest.raises(ValueError, match=f"other.onnx' {reason}"):
        lm.training.read_encoder(file)


def test_a_file_in_part_gets_a_sentence(tmp_path: Path) -> None:
    file = image_network(tmp_path / "part.onnx")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"part.onnx' is damaged.*: get it again"):
        lm.training.read_encoder(file)
