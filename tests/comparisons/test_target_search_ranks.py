"""Two processes share the tasks; their rows come into one file."""

import subprocess
import sys
from pathlib import Path

import pytest

from lit_metanas.records import read_architectures, read_record_lines, read_results

SCRIPT = """
import sys
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.recipes import Recipe
from lit_metanas.comparisons import TargetSearch
from lit_metanas.searchers import RandomArchitecture, DARTSSearcher
from lit_metanas.spaces.layered import LayeredSpace

torch.set_num_threads(1)

def task(name):
    generator = torch.Generator().manual_seed(0)
    splits = [Split(torch.rand(12, 1, 8, 8, generator=generator), torch.arange(12) % 3) for _ in range(3)]
    return Task(name, 3, *splits)

TASKS = [task(name) for name in "abc"]

class Tasks(torch.utils.data.Dataset):
    def __len__(self): return 3
    def __getitem__(self, index): return TASKS[index]

class Loaders(TargetSearch):
    def predict_dataloader(self):
        processes = {"rank": self.trainer.global_rank, "num_replicas": self.trainer.world_size}
        sampler = UnrepeatedDistributedSampler(Tasks(), shuffle=False, **processes)
        return DataLoader(Tasks(), batch_size=None, sampler=sampler, collate_fn=lambda task: task)

processes = int(sys.argv[2])
module = Loaders(
    space=LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(2, 4)),
    methods={"random": RandomArchitecture(), "darts": DARTSSearcher(epochs=1, batch_size=6)},
    recipe=Recipe(epochs=1, batch_size=6),
    flops=1e6,
    directory=sys.argv[1],
)
trainer = Trainer(
    accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", logger=False,
    enable_progress_bar=False, enable_checkpointing=False,
)
trainer.predict(module, return_predictions=False)
"""


def run(folder: Path, processes: int) -> list:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    output = folder / str(processes)
    command = ["timeout", "-k", "5", "900", sys.executable, str(script), str(output), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = read_results(output / "results.json")
    chosen = read_architectures(output / "architectures.json")
    lines = read_record_lines(output / "records.jsonl")
    assert [(line.task_id, line.method) for line in lines] == [(task, "darts") for task in "abc"]
    return [
        (r.task_id, r.method, r.architecture, r.value, r.cost.flops, c.value) for r, c in zip(rows, chosen, strict=True)
    ]


@pytest.mark.slow
def test_two_processes_write_the_rows_of_one(tmp_path):
    one, two = run(tmp_path, 1), run(tmp_path, 2)
    assert [row[:2] for row in one] == [(task, method) for task in "abc" for method in ("random", "darts")]
    assert repr(one) == repr(two)  # NaN is not equal to itself
