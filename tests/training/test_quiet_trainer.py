"""A Trainer within a search is on the device that it is given, whatever the machine has."""

import pytest
import torch
from lightning.fabric.accelerators import CUDAAccelerator as FabricCUDA
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator

from lit_metanas.training.trainers import quiet_trainer


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Lightning believe that the machine has a GPU, which it then prefers."""
    for kind in (FabricCUDA, CUDAAccelerator):
        monkeypatch.setattr(kind, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 1))
    monkeypatch.setattr(CUDAAccelerator, "parse_devices", staticmethod(lambda devices: [0]))
    monkeypatch.setattr(CUDAAccelerator, "get_parallel_devices", staticmethod(lambda devices: [torch.device("cuda:0")]))


@pytest.mark.usefixtures("_gpu")
def test_a_search_on_the_cpu_of_a_machine_with_a_gpu_trains_on_the_cpu() -> None:
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.strategy.setup_environment()  # where an accelerator refuses a foreign device
        assert isinstance(trainer.accelerator, CPUAccelerator)
        assert trainer.strategy.root_device == torch.device("cpu")
