"""One call on each kind of data: its numbers stay as they are, also where it is killed and goes on."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from golden import TOLERANCE, check, named_hash, size_of
from kind_data import KINDS

import lit_metanas as lm

READER: dict[str, Any] = {
    "operations": ("conv_3", "gated_linear"),
    "activations": ("ReLU",),
    "dropouts": (0.0, 0.2),
    "depths": (1, 2),
    "widths": (8,),
}
EACH = lm.SequenceSpace(**READER, readouts=("each",))
SPACES: Mapping[str, lm.SearchSpace] = {
    "images": lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0.0, 0.2), depths=(1, 2), widths=(4, 8)),
    "sounds": lm.SequenceSpace(**READER),
    "transcripts": EACH,
    "texts": lm.SequenceSpace(**READER),
    "pairs": lm.EncoderDecoderSpace(EACH, decoders=("gru",), decoder_depths=(1,), target_steps=64),
    "questions": EACH,
}
"""Of small networks, so that several are compared; rows have those of their default space."""

FLOPS: Mapping[str, tuple[float, float]] = {
    "images": (6e9, 4e9),
    "sounds": (1.5e9, 1e9),
    "transcripts": (8e8, 5e8),
    "texts": (5e8, 3e8),
    "rows": (1e7, 5e6),
    "pairs": (3e8, 2e8),
    "questions": (2e8, 2e8),
}
"""Of search and training in the default space: a network or more, for a few epochs."""

SMALL_FLOPS: Mapping[str, tuple[float, float]] = {
    "images": (2e7, 1e7),
    "sounds": (1.2e9, 1e8),
    "transcripts": (1.2e9, 1e8),
    "texts": (6e8, 5e7),
    "rows": (4e8, 1e7),
    "pairs": (4e9, 1e8),
    "questions": (1.2e9, 1e8),
}
"""In the small spaces: several networks."""

SPECTRA = ("sounds", "transcripts")
"""Which are computed in float32: their last bits differ between processors."""

TASKS: Mapping[str, Callable[[Path], lm.Task]] = {
    "images": lambda path: lm.FolderTask(str(path), shape=(1, 8, 8))[0],
    "sounds": lambda path: lm.AudioFolderTask(str(path))[0],
    "transcripts": lambda path: lm.TranscriptTask(str(path), str(path / "said.csv"))[0],
    "texts": lambda path: lm.TextTask(str(path))[0],
    "rows": lambda path: lm.TableTask(str(path))[0],
    "pairs": lambda path: lm.ParallelTask(str(path))[0],
    "questions": lambda path: lm.SquadTask(str(path))[0],
}

NEW_EXAMPLES: Mapping[str, Callable[[Path], list[Any]]] = {
    "texts": lambda _: ["fold the sheet", "turn over", "cut"],
    "rows": lambda _: [{"height": "1.7", "weight": "60", "age": ""}, {"height": "", "weight": "88.5", "age": "41"}],
    "pairs": lambda _: ["abcd", "eeee"],
    "questions": lambda _: ["Where does Zoe live?\tZoe lives in Rome, they say."],
}
"""Raw, as files of images and sounds are."""


class Killed(BaseException):
    """Ends a call wherever it is, as a signal that cannot be caught does."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Counts the steps of optimizers, and ends the call at the step ``last``."""
    plain, count = torch.optim.AdamW.step, {"done": 0.0, "last": float("inf")}

    def step(self: torch.optim.AdamW, *args: Any, **more: Any) -> Any:
        count["done"] += 1
        if count["done"] == count["last"]:
            raise Killed
        return plain(self, *args, **more)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return count


def in_float64(task: lm.Task) -> lm.Task:
    """The same task, with numbers that sums of another order hardly change."""

    def part(own: lm.Split) -> lm.Split:
        inputs = own.inputs.double() if own.inputs.is_floating_point() else own.inputs
        return lm.Split(inputs, own.labels)

    assert task.val is not None
    task.train, task.val, task.test = part(task.train), part(task.val), part(task.test)
    return task


def told(result: lm.SearchResult) -> dict[str, Any]:
    """All that is decided and worked out, but seconds."""
    costs = {"search": result.cost, "training": result.training_cost, "meta": result.meta_cost}
    weights = result.network.state_dict()
    return {
        "architecture": result.architecture.to_json(),
        "space": result.space,
        "recipe": repr(result.recipe),
        "view": result.view,
        "linear": [str(result.linear), result.linear_view],
        "ensemble": result.ensemble,
        "budget": list(result.budget or ()),
        "scores": [float(result.test_score), float(result.val_score)],
        "costs": {name: [cost.queries, cost.steps, cost.images, cost.flops] for name, cost in costs.items()},
        "size": [result.parameters, result.flops],
        "trials": [[str(trial.architecture), str(trial.value), trial.cost.flops] for trial in result.record.trials],
        "predictions": [repr(one) for one in result.predictions],
        "weights": size_of(weights),
        "state": named_hash(weights),
    }


@pytest.fixture
def float64() -> Iterator[None]:
    """Networks that read tokens are in float64, too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of few examples, and of trainings too short to learn anything
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_in_float64(kind: str, tmp_path: Path) -> None:
    task = in_float64(TASKS[kind](KINDS[kind](tmp_path)))
    result = lm.auto(task, flops=SMALL_FLOPS[kind], space=SPACES.get(kind), progress=False)
    assert len(result.record.trials) > 2
    found = told(result)
    found["trials"] = [[name, float(value), flops] for name, value, flops in found["trials"]]
    found.pop("predictions")  # of scores with all digits
    check("auto", kind, found, tolerance=1e-6 if kind in SPECTRA else TOLERANCE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_files_and_their_export_also_after_a_kill(kind: str, steps: dict[str, float], tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    first = lm.auto(path, flops=FLOPS[kind], output=tmp_path / "whole", progress=False)
    found, number = told(first), steps["done"]
    steps.update(done=0, last=round(0.8 * number))
    with pytest.raises(Killed):
        lm.auto(path, flops=FLOPS[kind], output=tmp_path / "killed", progress=False)
    steps["last"] = float("inf")
    for _ in range(2):  # goes on, and is read again
        assert told(lm.auto(path, flops=FLOPS[kind], output=tmp_path / "killed", progress=False)) == found
    exported = lm.load(tmp_path / "whole")
    raw = NEW_EXAMPLES.get(kind, lambda folder: sorted(folder.rglob("*.png" if kind == "images" else "*.wav"))[:3])(
        path
    )
    exact = {**found, "exported": exported.predict(raw).double().flatten().tolist(), "shown": exported.show(raw)}
    check("files", kind, exact, portable=False)
