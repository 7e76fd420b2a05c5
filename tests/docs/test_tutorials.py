"""Tutorials do what they say: every block of every page is read and run, in order, in an empty folder."""

import ast
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fenced import Reader, blocks
from own_data import write_data
from PIL import Image
from untrained import export_untrained

import lit_metanas as lm
from lit_metanas.kinds.images.image_files import read_images

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / "get_started.md",
    ROOT / "docs" / "configurations.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the pages has."""
    folder = tmp_path_factory.mktemp("own_data")
    write_data(folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, own_data: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(here)
    if page.stem in {"kinds_of_data", "use_a_network"}:
        shutil.copytree(own_data, here, dirs_exist_ok=True)
    known = set(sys.modules)
    reader = Reader(here, ROOT)
    for block in blocks(page):
        reader.read(block)
    for name in set(sys.modules) - known:
        if (here / f"{name}.py").is_file():
            del sys.modules[name]


PROCESSES = """
```python
import told
```

<!-- test: file told.py -->
```python
said = "later"
```

<!-- test: file script.py -->
```python
import sys, told
open("heard.txt", "a").write(f"{told.said} {sys.argv[1:]}\\n")
```

```bash
python script.py once
python -c "import told; open('heard.txt', 'a').write(told.said)"
```

```python
assert told.said == __import__("told").said == "at first"
```
"""


def test_a_script_of_a_page_meets_the_modules_that_there_are_then(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(here)
    (here / "told.py").write_text("said = 'at first'\n")
    (page := here / "page.md").write_text(PROCESSES)
    reader = Reader(here, ROOT)
    for block in blocks(page):
        reader.read(block)
    del sys.modules["told"]
    assert (here / "heard.txt").read_text() == "later ['once']\nlater"


# What only lit-metanas needs cannot be imported.
ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(("lit_metanas", "lightning", "numpy", "torchmetrics", "optuna")))
script, *names = sys.argv[1:]
for name in names:
    sys.argv[1:] = [name]
    runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.parametrize("shape", [pytest.param((1, 12, 12), marks=pytest.mark.slow), (3, 12, 10)])
def test_torch_and_pillow_alone_classify_as_predict_does(shape: tuple[int, int, int], tmp_path: Path) -> None:
    (script,) = (block for block in blocks(ROOT / "docs/tutorials/use_a_network.md") if block.rest == "classify.py")
    assert len(script.code.replace("\n\n", "\n").splitlines()) <= 8
    (tmp_path / "classify.py").write_text(script.code, encoding="utf-8")
    exported = export_untrained(lm.LayeredSpace(depths=(2,), widths=(4,)), shape, folder=tmp_path / "out")
    pixels = torch.randint(0, 256, (30, 40, 3), dtype=torch.uint8).numpy()
    colour = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    colour.save(tmp_path / "turned.png", exif=turned)
    colour.convert("L").save(tmp_path / "grey.png")
    colour.convert("P").save(tmp_path / "palette.png")
    names = ("turned.png", "grey.png", "palette.png")
    command = [sys.executable, "-c", ALONE, "classify.py", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        expected = exported.predict(read_images([tmp_path / name], shape))[0]
        found = ast.literal_eval(line)
        assert list(found) == ["a", "b", "c"]
        torch.testing.assert_close(torch.tensor(list(found.values())), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_web_service_answers_as_predict_does(channels: int, here: Path) -> None:
    client = pytest.importorskip("fastapi.testclient", reason="needs fastapi and httpx")
    pytest.importorskip("onnxruntime", reason="needs lit-metanas[onnx]")
    (script,) = (block for block in blocks(ROOT / "docs/tutorials/use_a_network.md") if block.rest == "serve.py")
    shape = (channels, 12, 10)
    exported = export_untrained(lm.LayeredSpace(depths=(2,), widths=(4,)), shape, onnx=True)
    pixels = torch.randint(0, 256, (30, 40, 3), dtype=torch.uint8).numpy()
    Image.fromarray(pixels).save(file := here / "noise.png")
    served: dict[str, Any] = {}
    exec(script.code, served)
    answer = client.TestClient(served["app"]).post("/classify", content=file.read_bytes()).json()
    expected = exported.predict(read_images([file], shape))[0]
    assert list(answer) == ["a", "b", "c"]
    torch.testing.assert_close(torch.tensor(list(answer.values())), expected, atol=1e-5, rtol=0)


def test_the_readme_does_what_it_says(here: Path, images: Path) -> None:
    images.rename("photos")
    Path("photos/dark").rename("photos/hook")
    reader = Reader(here, ROOT)
    for block in blocks(ROOT / "README.md"):
        if block.language == "python":
            reader.read(block)
    assert (here / "out" / "model.pt2").is_file()


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.sub("<!--.*?-->", "", text).split()) <= 1184
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_builder_is_told_with_all_its_methods() -> None:
    page = (ROOT / "docs" / "tutorials" / "own_space.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)\(([^`]*)\)` \|", page, re.MULTILINE))
    public = {name for name, value in vars(lm.Builder).items() if callable(value) and not name.startswith("_")}
    assert rows.keys() == public
    for name, told in rows.items():
        (statement,) = ast.parse(f"{name}({told})").body
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        known = inspect.signature(getattr(lm.Builder, name)).parameters
        given = [ast.unparse(own).strip("*") for own in statement.value.args]
        assert given == list(known)[1 : 1 + len(given)]
        assert {own.arg: ast.literal_eval(own.value) for own in statement.value.keywords}.items() <= {
            (own.name, own.default) for own in known.values()
        }
