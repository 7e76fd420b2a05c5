"""Plain counterparts of supernets and children, and what every space's networks must do."""

import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim

import lit_metanas as lm

TOKENS, SERIES = lm.TokenShape(13, 11), lm.SeriesShape(3, 11)
SHAPES = pytest.mark.parametrize("shape", [TOKENS, SERIES], ids=["tokens", "series"])


def one_reader(**options):
    """A space of one network that reads steps, unless options say otherwise."""
    return lm.SequenceSpace(**{
        "operations": ("conv_3",), "activations": ("Tanh",), "dropouts": (0.0,), "skips": ("residual",),
        "depths": (2,), "widths": (8,), "readouts": ("mean",), **options,
    })  # fmt: skip


def only(space):
    (architecture,) = space.architectures()
    return architecture


def labels(space):
    return {choice.name: choice.labels[0] for choice in space.choices}


def images(examples, shape, seed=0, dtype=torch.float64):
    return torch.randn(examples, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def convolution(inputs, kernel, stride=1, dilation=1):
    """Cross-correlation with zeros around the image, one tap after the other; depthwise where the kernel is."""
    rows, columns = kernel.shape[2:]
    height, width = inputs.shape[2:]
    top, left = dilation * (rows // 2), dilation * (columns // 2)
    padded = F.pad(inputs, (left, left, top, top))
    formula = "nchw,c->nchw" if kernel.shape[1] == 1 and inputs.shape[1] > 1 else "nchw,oc->nohw"
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            y, x = dilation * row, dilation * column
            window = padded[:, :, y : y + height : stride, x : x + width : stride]
            tap = kernel[:, :, row, column]
            total = total + torch.einsum(formula, window, tap[:, 0] if formula.endswith("nchw") else tap)
    return total


class PlainNetwork:
    """A supernet's parameters and gates, the latter by choice and label, and its batch-norm."""

    def __init__(self, space, parameters, gates, statistics=None):
        self.space, self.parameters, self.statistics = space, parameters, statistics
        self.gates = {c.name: dict(zip(c.labels, gates[c.name].weights, strict=True)) for c in space.choices}
        self.seen = {}

    def normalise(self, x, key):
        mean = x.mean((0, 2, 3))
        var = ((x - mean[None, :, None, None]) ** 2).mean((0, 2, 3))
        self.seen |= {f"{key}.mean": mean, f"{key}.var": var}
        if self.statistics is not None:
            mean, var = self.statistics[f"{key}.mean"], self.statistics[f"{key}.var"]
        x = (x - mean[None, :, None, None]) / (var[None, :, None, None] + 1e-5).sqrt()
        if f"{key}.scale" not in self.parameters:
            return x
        scale, shift = self.parameters[f"{key}.scale"], self.parameters[f"{key}.shift"]
        return x * scale[None, :, None, None] + shift[None, :, None, None]


def check_statistics(net, reference, gates, shape, *, all_computed):
    """Means and variances are recorded, and normalise other images; ``reference`` takes statistics."""
    record, again = {}, {}
    support, query = images(6, shape, seed=1), images(3, shape, seed=2)
    net(support, gates, record=record)
    plain = reference(None)
    plain.features(support)
    assert set(record) <= set(plain.seen)
    assert not all_computed or set(record) == set(plain.seen)
    for name, value in record.items():
        torch.testing.assert_close(value, plain.seen[name], rtol=1e-10, atol=1e-12)
    actual = net(query, gates, statistics=record)
    torch.testing.assert_close(actual, reference(plain.seen).features(query), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(actual, net(query, gates))
    # An example's features do not depend on the others in its batch, nor on being recorded.
    torch.testing.assert_close(net(query[:1], gates, statistics=record, record=again), actual[:1])
    assert set(again) == set(record)


def check_export(child, path):
    """A child for images of 3x9x7 is the same after an export, for any number of images."""
    child.eval()
    inputs = images(6, (3, 9, 7), dtype=torch.float32)
    program = torch.export.export(child, (inputs[:2],), dynamic_shapes={"inputs": {0: Dim("n")}})
    torch.export.save(program, path)
    torch.testing.assert_close(torch.export.load(path).module()(inputs), child(inputs))


def check_programs(network, inputs, folder, *, tolerance=1e-3, **given):
    """What is exported of a network of three classes, the ONNX file too, gives its scores."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    lm.export_child(network, folder, architecture={}, classes=("a", "b", "c"), onnx=True, **given)
    with torch.no_grad():
        expected = network(inputs)
        torch.testing.assert_close(lm.load(folder).network(inputs), expected, atol=1e-4, rtol=1e-4)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (scores,) = session.run(None, {"inputs": inputs.numpy()})
    torch.testing.assert_close(torch.from_numpy(scores), expected, atol=tolerance, rtol=tolerance)


def check_weights_move(space, network, architecture, shape, inputs):
    """A network has as many parameters as its space says, and another that takes its weights gives its scores."""
    scores = network(inputs)
    cost = space.cost(architecture, shape, scores.shape[1])
    assert cost.parameters == sum(own.numel() for own in network.parameters())
    again = space.child(architecture, shape, scores.shape[1], space.supernet_weights(network))
    assert torch.equal(again(inputs), scores)


def every_objective(labels):
    """A parametrisation by three objectives and their targets: classes, sets of labels, and numbers."""
    ones, numbers = F.one_hot(labels).float(), labels[:, None].float()
    sets = lm.objectives.SeveralLabels(3, weights=((0.5, 2.0),) * 3)
    cases = [(None, labels), (sets, ones), (lm.Regression.of(numbers), numbers)]
    return pytest.mark.parametrize(("objective", "targets"), cases, ids=["classes", "labels", "numbers"])
