"""Exports of networks of one's own: torch's layers and torchvision's networks predict, and what cannot is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

import lit_metanas as lm
from lit_metanas.training import export_child, load
from lit_metanas.training.export.plain_program import ARITHMETIC, CORE_OPERATIONS

SHAPE = (3, 16, 16)

LEFT_OUT = {
    "_local_scalar_dense.default", "masked_scatter.default", "nonzero.default",
    "native_dropout.default", "rand.default", "randn.default", "randperm.default",
    "_native_batch_norm_legit.default", "as_strided.default", "atan2.out", "empty_strided.default",
    "sym_storage_offset.default", "sym_stride.int",
    "_embedding_bag.default", "_fft_c2r.default", "_fft_r2c.default", "_pdist_forward.default",
}  # fmt: skip


def core_operations() -> dict[str, torch._ops.OpOverload]:
    """Torch's, but for gradients."""
    packets = (getattr(torch.ops.aten, name) for name in dir(torch.ops.aten) if not name.startswith("__"))
    packets = (packet for packet in packets if isinstance(packet, torch._ops.OpOverloadPacket))
    found = [getattr(packet, name) for packet in packets for name in packet.overloads()]
    core = {str(one).removeprefix("aten."): one for one in found if torch.Tag.core in one.tags}
    return {name: one for name, one in core.items() if not name.endswith("_backward.default")}


def test_torchs_core_operations_are_allowed_but_for_those_that_the_page_names() -> None:
    core = core_operations()
    late = {"resize_.default", "sym_is_contiguous.default"}  # torch registers them once something has used them
    assert core.keys() - CORE_OPERATIONS - late == LEFT_OUT - late
    more = CORE_OPERATIONS - core.keys() - {*ARITHMETIC}
    assert more == {"adaptive_avg_pool2d.default", "adaptive_max_pool2d.default", "linalg_vector_norm.default"}


class Frozen(nn.Module):
    """A trunk that is not trained, a mask of its own, and a head."""

    def __init__(self, trunk: nn.Module, features: int) -> None:
        super().__init__()
        self.trunk, self.head = trunk.requires_grad_(False), nn.Linear(features, 3)

    def forward(self, images: Tensor) -> Tensor:
        centred = (images - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / 0.2
        with torch.no_grad():
            features = self.trunk(F.interpolate(centred, scale_factor=2.0, mode="bilinear"))
        return self.head(F.normalize(features, dim=1))


class Attention(nn.Module):
    """A small vision transformer of torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.first = nn.Parameter(torch.zeros(1, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.register_buffer("mask", torch.full((17, 17), -math.inf).triu(1))
        self.register_buffer("places", torch.arange(17.0)[:, None], persistent=False)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        steps = self.patches(images).flatten(2).transpose(1, 2)
        steps = torch.cat([self.first.expand(images.shape[0], -1, -1), steps], 1) + 0.01 * self.places
        steps = self.block(steps)
        return self.head(self.attention(steps, steps, steps, attn_mask=self.mask)[0].mean(1))


class Steps(nn.Module):
    """A recurrence over the rows of an image, and a batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.steps = nn.LSTM(48, 4, bidirectional=True, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = self.norm(images)[..., ::4, :].movedim(1, 2).flatten(2)
        return self.head(self.steps(rows)[0].amax(1))


OWN: dict[str, Callable[[], nn.Module]] = {
    "attention": Attention,
    "recurrence": Steps,
    "frozen vit": lambda: Frozen(VisionTransformer(32, 8, 1, 2, 8, 16, num_classes=5), 5),
}


@pytest.mark.parametrize("name", OWN)
def test_a_network_of_ones_own_predicts(name: str, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OWN[name]().eval()
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    export_child(network, tmp_path, architecture={}, classes="abc", shape=SHAPE)
    loaded = load(tmp_path).network
    for count in (1, 2, 5):
        images = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            torch.testing.assert_close(loaded(images), network(images), rtol=1e-5, atol=1e-5)
    assert (loaded(torch.rand(2, *SHAPE)).diff(dim=0).abs() > 1e-7).any()


class Trunk(nn.Module):
    """Layers that are not trained; the same each time that they are built."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.layers(images)

    def train(self, mode: bool = True) -> Trunk:
        return super().train(False)


class Behind(lm.SearchSpace):
    """Attention and a choice behind a trunk."""

    def body(self, shape: lm.Shape, build: lm.Builder) -> nn.Module:
        kernels = {str(size): partial(build.conv, 4, 4, size) for size in (1, 3)}
        return nn.Sequential(Trunk(), nn.BatchNorm2d(4), build.choice("kernel", kernels, norm=4))


def test_a_space_with_a_trunk_that_is_not_trained_is_searched_and_predicts(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [lm.Split(torch.rand(9, *SHAPE, generator=generator), torch.arange(9) % 3) for _ in range(3)]
    task = lm.Task("own", 3, *parts)
    result = lm.search(task, Behind(), method=lm.DARTSSearcher(epochs=2, batch_size=3), seed=0)
    found = result.network.body[0].layers
    expected = Trunk().layers
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    result.export(tmp_path)
    scores = load(tmp_path).network(parts[2].inputs)
    with torch.no_grad():
        torch.testing.assert_close(scores, result.network.eval()(parts[2].inputs), rtol=1e-5, atol=1e-5)


class Random(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (images + torch.rand_like(images)).flatten(1)[:, :3]


class OneNumber(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(len(images), -1)[:, :3]


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.flatten(1)[:, :3] * self.calls


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Random(),
            "asks for the operation 'rand_like.default', which `predict` does not run (write the network without it, ",
        ),
        (Counting(), "gives more than scores, or changes its own buffers"),
    ],
)
def test_what_cannot_predict_is_named_at_once(network: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="`predict` refuses") as warned:
        export_child(network, tmp_path, architecture={}, classes="abc", shape=SHAPE)
    (sentence,) = {str(one.message) for one in warned if one.category is UserWarning}
    assert sentence.startswith(f"`predict` refuses the exported network, since its program {message}")
    with pytest.raises(ValueError) as caught:
        load(tmp_path)
    assert f"model.pt2' {message}" in str(caught.value)
    assert str(caught.value).endswith(": export again.")


def test_a_network_that_takes_one_number_of_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^The network takes one number of inputs alone, as `len\(inputs\)` does"):
        export_child(OneNumber(), tmp_path, architecture={}, classes="abc", shape=SHAPE)
    assert not any(tmp_path.iterdir())
