"""Export, load with torch alone, predict; and what hostile or unfit files get."""

import copy
import csv
import io
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from own_processes import environment
from PIL import Image
from torch import nn

from lit_metanas.cli.command_line import main
from lit_metanas.kinds.images.image_files import fit_images
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training import Exported, export_child, load

SHAPE = (1, 28, 28)
CLASSES = ('cat, "tabby"', "dog", "bird")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    space = LayeredSpace(shared=True, widths=(8,))
    architecture = space.sample(torch.Generator().manual_seed(3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        child = space.child(architecture, SHAPE, way=3)
        child.train()(torch.rand(20, *SHAPE))  # running statistics that are not the initial ones
    return child


@pytest.fixture(scope="module")
def folder(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    export_child(network, directory, architecture={"kernel": "3"}, classes=CLASSES, shape=SHAPE)
    return directory


def test_parity_for_any_batch_size(network: nn.Module, folder: Path) -> None:
    exported = load(folder)
    assert network.training  # exporting has not changed it
    network = Exported(network=network.eval(), architecture={}, classes=CLASSES, shape=SHAPE).network
    for count in (1, 2, 7):
        images = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            expected = network(images)
        assert torch.allclose(exported.network(images), expected, atol=1e-5)
        assert torch.allclose(exported.predict(images), expected.softmax(1), atol=1e-5)
    network.train()
    assert (exported.classes, exported.architecture, exported.shape) == (CLASSES, {"kernel": "3"}, SHAPE)


def test_images_are_brought_to_the_shape() -> None:
    grey = torch.rand(2, 1, 28, 28)
    assert fit_images(grey, SHAPE) is grey
    assert torch.equal(fit_images(grey, (3, 28, 28)), grey.expand(2, 3, 28, 28))
    assert torch.allclose(fit_images(grey.expand(2, 3, 28, 28), SHAPE), grey, atol=1e-6)
    bytes_ = (grey * 255).round().to(torch.uint8)
    assert torch.allclose(fit_images(bytes_, SHAPE), grey, atol=1 / 255)
    assert fit_images(torch.full((2, 3, 50, 40), 0.25), SHAPE).sub(0.25).abs().max() < 1e-6
    red = torch.zeros(1, 3, 28, 28)
    red[:, 0] = 1
    assert fit_images(red, SHAPE).mean().item() == pytest.approx(0.299, abs=1e-6)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        fit_images(torch.rand(2, 4, 28, 28), SHAPE)


def test_names_must_be_as_many_as_scores(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 classes apart, but 2 names"):
        export_child(network, tmp_path, architecture={}, classes=("a", "b"), shape=SHAPE)
    assert not any(tmp_path.iterdir())


def test_damaged_and_newer_descriptions(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    description = json.loads((copied / "model.json").read_text())
    (copied / "model.json").write_text(json.dumps({**description, "schema": 2}))
    with pytest.raises(ValueError, match="newer than 1"):
        load(copied)
    (copied / "model.json").write_text("{")
    with pytest.raises(ValueError, match=r"model.json' is not valid JSON"):
        load(copied)


@pytest.fixture
def photographs(here: Path) -> Path:
    """New images of other sizes and modes than the network's, in the folder `new` of the working folder."""
    folder = here / "new"
    (folder / "more").mkdir(parents=True)
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(folder / "colour.png")
    Image.fromarray(generator.integers(0, 255, (28, 28), dtype=np.uint8)).save(folder / "more" / "grey.png")
    return folder


def test_files_and_folders_are_classified(folder: Path, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second time it replaces what it has written
        assert main(["predict", "--examples", "new/colour.png", "new", f"--model={folder}"]) == 0
    rows = list(csv.DictReader(io.StringIO(Path("predictions.csv").read_text())))
    assert [Path(row["file"]).name for row in rows] == ["colour.png", "colour.png", "grey.png"]
    assert sorted(path.name for path in Path().iterdir()) == ["new", "predictions.csv"]
    grey = torch.from_numpy(np.array(Image.open(photographs / "more" / "grey.png")))[None, None]
    expected = load(folder).predict(grey)[0]
    assert np.allclose([float(rows[-1][f"p({name})"]) for name in CLASSES], expected, atol=2e-6)
    assert rows[-1]["class"] == CLASSES[int(expected.argmax())]
    assert f"grey.png: {rows[-1]['class']}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--examples", "new", "--examples", "new/colour.png", "new/more"], ["colour.png", "grey.png"]),
        (["--examples", "-x.png", "a: b.png", "[1].png"], ["-x.png", "a: b.png", "[1].png"]),
        (["--examples", '["new/more/grey.png"]'], ["grey.png"]),
    ],
)
def test_paths_are_taken_as_a_shell_gives_them(
    words: list[str], names: list[str], folder: Path, photographs: Path
) -> None:
    for name in ("-x.png", "a: b.png", "[1].png"):
        shutil.copy(photographs / "colour.png", name)
    assert main(["predict", *words, f"--model={folder}", "--output=all.json"]) == 0
    rows = json.loads(Path("all.json").read_text())
    assert [Path(row["file"]).name for row in rows] == names


def test_a_plain_prediction_loads_neither_lightning_nor_a_compiler(folder: Path, photographs: Path) -> None:
    code = (
        "import sys; from lit_metanas.cli.command_line import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "heavy = 'lightning torchmetrics torchvision torch._dynamo matplotlib scipy optuna'\n"
        "print([name for name in heavy.split() if name in sys.modules])"
    )
    words = ["predict", str(folder), str(photographs), "--csv"]
    command, pipes = [sys.executable, "-c", code, *words], {"capture_output": True, "text": True}
    done = subprocess.run(command, env=environment(), timeout=600, **pipes)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
    assert len(done.stdout.splitlines()) == 4


def test_unreadable_images_are_named_and_the_others_are_predicted(
    folder: Path, photographs: Path, refusal: Callable[..., str]
) -> None:
    for number in range(7):
        (photographs / f"bad{number}.png").write_bytes(b"no image")
    reasons = " ".join(f"new/bad{number}.png is not a readable image: replace or remove it." for number in range(5))
    sentence = f"7 of 9 images cannot be read, and are left out. {reasons} And 2 more."
    with warnings.catch_warnings(record=True) as told:  # others are not raised again, as by pytest.warns
        warnings.simplefilter("always")
        assert main(["predict", str(folder), "new"]) == 1
    assert sentence in [str(one.message) for one in told]
    rows = list(csv.DictReader(io.StringIO(Path("predictions.csv").read_text())))
    assert [Path(row["file"]).name for row in rows] == ["colour.png", "grey.png"]
    for file in ("colour.png", "more/grey.png"):
        (photographs / file).unlink()
    before = Path("predictions.csv").read_text()
    reason = "new/bad0.png is not a readable image: replace or remove it."
    assert refusal("predict", str(folder), "new") == f"{reason} Nor can 6 other images be read."
    assert Path("predictions.csv").read_text() == before


@pytest.mark.usefixtures("photographs")
def test_a_file_of_another_kind_is_not_replaced(folder: Path, refusal: Callable[..., str]) -> None:
    Path("predictions.csv").write_text("file,class,mine\n")
    said = "'predictions.csv' already exists and holds no predictions: give another 'output'."
    assert refusal("predict", str(folder), "new") == said
    assert Path("predictions.csv").read_text() == "file,class,mine\n"


def test_a_network_of_views_and_channels_last_tensors(network: nn.Module, tmp_path: Path) -> None:
    odd = copy.deepcopy(network).to(memory_format=torch.channels_last)
    for parameter in odd.parameters():
        if parameter.ndim == 1:
            parameter.data = torch.cat([torch.rand(3), parameter.detach()])[3:]
    export_child(odd, tmp_path, architecture={}, classes=CLASSES, shape=SHAPE)
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.allclose(load(tmp_path).network(images), network.eval()(images), atol=1e-5)
    network.train()
