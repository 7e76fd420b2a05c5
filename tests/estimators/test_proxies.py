"""Zero-cost proxies against a network of plain loops in double precision."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lit_metanas.estimators import ParameterCount, Synflow
from lit_metanas.estimators.proxies.zero_cost import DROPOUTS
from lit_metanas.spaces import LayeredSpace, NASBench201

PROXIES = (ParameterCount, Synflow)
STEP = 1e-30  # of complex-step derivatives, which are exact to rounding: no difference of near numbers is taken
WAY = 3


class Small(nn.Module):
    """Two convolutions, one of which has a bias, with batch-norm, and a ReLU as a module and as a function."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(3, 4, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, WAY)
        self.unused = nn.Linear(2, 2)

    def forward(self, inputs):
        hidden = F.relu(self.second(self.relu(self.norm(self.first(inputs)))))
        return self.head(self.dropout(hidden).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = Small().double()
    with torch.no_grad():
        for tensor in (network.norm.weight, network.norm.bias, network.norm.running_mean):
            tensor.normal_()
        network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(4, 2, 4, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(WAY, (4,), generator=generator)


def convolved(images, kernel, bias=None):
    """Stride 1, zeros around."""
    n, _, height, width = images.shape
    out = np.zeros((n, len(kernel), height, width), complex)
    for i, o, y, x in np.ndindex(out.shape):
        for c, dy, dx in np.ndindex(kernel.shape[1:]):
            row, column = y + dy - 1, x + dx - 1
            if 0 <= row < height and 0 <= column < width:
                out[i, o, y, x] += images[i, c, row, column] * kernel[o, c, dy, dx]
        out[i, o, y, x] += 0 if bias is None else bias[o]
    return out


def plain_scores(weights, images):
    """Class scores of ``Small`` in evaluation mode."""
    hidden = convolved(images, weights["first.weight"])
    for channel in range(hidden.shape[1]):
        values = hidden[:, channel]
        mean, variance = weights["norm.running_mean"][channel], weights["norm.running_var"][channel]
        scaled = (values - mean) / (variance + 1e-5) ** 0.5
        hidden[:, channel] = scaled * weights["norm.weight"][channel] + weights["norm.bias"][channel]
    for layer in (1, 2):
        if layer == 2:
            hidden = convolved(hidden, weights["second.weight"], weights["second.bias"])
        hidden = hidden * (hidden.real > 0)
    features = hidden.mean((2, 3))
    return features @ weights["head.weight"].T + weights["head.bias"]


def arrays(network):
    return {name: tensor.detach().numpy().astype(complex) for name, tensor in network.state_dict().items()}


def derivatives(function, weights, name):
    """Of a function of ``weights``, with respect to each entry of one of them."""
    found = np.zeros(weights[name].shape)
    for place in np.ndindex(found.shape):
        weights[name][place] += 1j * STEP
        found[place] = function(weights).imag / STEP
        weights[name] = weights[name].real.astype(complex)
    return found


LAYERS = ("first.weight", "second.weight", "head.weight")


def plain_synflow(network, batch):
    weights = arrays(network)
    for name, _ in network.named_parameters():
        weights[name] = np.abs(weights[name]).astype(complex)
    ones = np.ones((1, *batch[0].shape[1:]))
    flows = [derivatives(lambda w: plain_scores(w, ones).sum(), weights, name) * weights[name].real for name in LAYERS]
    return sum(np.abs(flow).sum() for flow in flows)


PLAIN = {
    Synflow: plain_synflow,
    ParameterCount: lambda network, batch: 2 * 3 * 9 + 2 * 3 + (3 * 9 + 1) * 4 + (4 + 1) * WAY + (2 + 1) * 2,
}


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_equals_plain_loops(proxy, network, batch):
    assert proxy()(network, *batch) == pytest.approx(PLAIN[proxy](network, batch), rel=1e-9)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_leaves_network_images_and_random_state_as_they_were(proxy, network, batch):
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    inputs, state = batch[0].clone(), torch.random.get_rng_state()
    with torch.inference_mode():  # gradients are taken none the less
        first = proxy()(network, *batch)
    assert first == proxy()(network, *batch)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.training
    assert not network.dropout.training
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert torch.equal(inputs, batch[0])
    assert not batch[0].requires_grad
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_value_that_is_not_finite_is_refused_in_one_sentence(network, batch):
    with torch.no_grad():
        network.first.weight[0, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match=r"^Synflow of this network is nan: [^.]*\.$"):
        Synflow()(network, *batch)


@pytest.mark.parametrize(
    "space", [NASBench201(channels=2, cells=1), LayeredSpace(depths=(2,), widths=(2, 4))], ids=["cells", "layers"]
)
def test_sizes_are_those_that_the_space_tells(space):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        architecture = space.sample(generator)
        child, cost = space.child(architecture, (1, 8, 8), WAY), space.cost(architecture, (1, 8, 8), WAY)
        batch = torch.rand(2, 1, 8, 8), torch.arange(2)
        assert ParameterCount()(child, *batch) == cost.parameters


def test_all_dropouts_of_torch_are_known():
    assert set(DROPOUTS) == set(nn.modules.dropout._DropoutNd.__subclasses__())
