"""Many files: read into a memory of a limited size, and only as many as there is time for."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lit_metanas as lm
from lit_metanas.inputs import example_memory
from lit_metanas.inputs.example_memory import ExampleMemory, arranged, free_memory, in_one_piece
from lit_metanas.io import cores
from lit_metanas.kinds import file_reading
from lit_metanas.kinds.file_reading import FEWEST_SAMPLED, FileReading
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.images.image_files import read_image
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.kind_of_path import raw_digest
from lit_metanas.tasks.splits import split_examples
from lit_metanas.tasks.task import join_parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise of three classes, of which one is rare and one too rare, with an image that cannot be read."""
    generator = np.random.default_rng(0)
    for name, images in (("ant", 30), ("bee", 12), ("cat", 2)):
        (tmp_path / "animals" / name).mkdir(parents=True)
        for place in range(images):
            pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "animals" / name / f"{place:02}_p{place // 3}.png")
    (tmp_path / "animals" / "ant" / "07_p2.png").write_bytes(b"no image")
    return tmp_path / "animals"


def memory_of(inputs: torch.Tensor) -> int:
    return inputs.untyped_storage().data_ptr()


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_moved_as_copies_would_be(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, 256, (40, 3, 2), generator=generator, dtype=torch.uint8)
    places = [*torch.randperm(40, generator=generator)[: 30 + 2 * seed].split([11, 7, 12 + 2 * seed])]
    copies = [rows[own] for own in places]
    moved = arranged(rows, places)
    assert all(torch.equal(*both) for both in zip(moved, copies, strict=True))
    assert memory_of(moved[0]) == memory_of(moved[2]) == memory_of(rows)


def test_parts_that_follow_each_other_are_joined_without_a_copy() -> None:
    whole = torch.arange(60).view(20, 3)
    joined = in_one_piece(whole.split([5, 12, 3])[:2])
    assert joined is not None
    assert torch.equal(joined, whole[:17])
    assert memory_of(joined) == memory_of(whole)
    for parts in ([whole[:4], whole[5:]], [whole[4:], whole[:4]], [whole[:4], whole[4:].clone()], [whole[:, :2]] * 2):
        assert in_one_piece(parts) is None


@pytest.mark.parametrize("allocates", [True, False])
def test_what_is_beyond_the_memory_lies_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allocates: bool):
    if not allocates:  # as on other systems
        monkeypatch.delattr(os, "posix_fallocate")
    memory = ExampleMemory(100, tmp_path)
    first, second = memory.empty(9, 10, dtype=torch.uint8), memory.empty(5, 10, dtype=torch.float32)
    assert memory.held == 90
    second[:] = 7
    part, of_first = second[1:3], first[:1]
    del first, second
    assert memory.held == 90
    assert part.tolist() == [[7.0] * 10] * 2
    del of_first
    assert memory.held == 0
    assert memory.empty(0, 3, dtype=torch.uint8).shape == (0, 3)
    assert not list(tmp_path.iterdir())


def test_a_full_or_closed_disk_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"take 2 MB, max_memory is 1 MB, and '.*none' cannot hold .*raise max_memory"):
        ExampleMemory(1e6, tmp_path / "none").empty(2_000_000, dtype=torch.uint8)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(ValueError, match=r"cannot hold the rest \(it has too little space\)"):
        ExampleMemory(10, tmp_path).empty(20, dtype=torch.uint8)


@pytest.mark.parametrize(("outer", "free"), [("max\n", 1_024_000), ("800000\n", 800_000 - 500_000 + 30_000)])
def test_free_memory_is_that_of_machine_and_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outer: str, free: int
) -> None:
    monkeypatch.setattr(cores, "_GROUPS", tmp_path)
    monkeypatch.setattr(cores, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(example_memory, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 1000 kB\n")
    files = {"memory.max": outer, "memory.current": "500000\n", "memory.stat": "inactive_file 10000\nactive_file 20000"}
    for name, text in files.items():
        (tmp_path / "outer" / name).write_text(text)
    assert free_memory() == free
    assert ExampleMemory().most == free / 2
    (tmp_path / "meminfo").unlink()
    assert example_memory._available() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(sys, "platform", "win32")
    assert example_memory._available() == math.inf


@pytest.mark.parametrize(("most", "processes"), [(0, False), (1e9, True)])
def test_parts_are_as_of_copies_and_lie_in_one_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: float, processes: bool
) -> None:
    monkeypatch.setattr(file_reading, "own_cores", lambda: 2)
    if processes:
        monkeypatch.setattr(file_reading, "MANY_TO_READ", 1)
    reading = FileReading(ExampleMemory(most, tmp_path))
    with (
        pytest.warns(UserWarning, match="1 of 44 images cannot be read and is left out"),
        pytest.warns(UserWarning, match=r"1 class of fewer than 3 examples, left out: 'cat' \(2\)"),
    ):
        task = read_given(folder, reading=reading)
    classes = [sorted((folder / name).iterdir()) for name in ("ant", "bee")]
    classes[0].pop(7)
    images = torch.stack([read_image(file, (3, 32, 32)) for files in classes for file in files])
    members = {"ant": range(29), "bee": range(29, 41)}
    parts = split_examples(members, train=0.6, val=0.2, test=0.2, seed=0, culprit=str)
    for own, places in zip((task.train, task.val, task.test), parts, strict=True):
        assert torch.equal(own.inputs, images[places])
        assert own.labels.tolist() == [int(place >= 29) for place in places]
    shown = [
        torch.equal(read_image(Path(name), (3, 32, 32)), row)
        for name, row in zip(task.test_names, task.test.inputs, strict=True)
    ]
    assert all(shown)
    assert memory_of(join_parts(task.train, task.val).inputs) == memory_of(task.test.inputs)
    assert (reading.memory.held == 0) == (most == 0)


def grey(file: Path) -> torch.Tensor:
    return read_image(file, (1, 4, 4))


def test_a_sample_has_its_share_of_each_class_and_whole_groups() -> None:
    classes = {
        name: [Path(name, str(place)) for place in range(size)] for name, size in (("a", 1000), ("b", 70), ("c", 4))
    }
    sizes = {name: len(own) for name, own in FileReading(share=0.3).sample(classes, grey, {}).items()}
    assert sizes == {"a": 300, "b": 21, "c": 4}
    few, again = (FileReading(share=0.01).sample(classes, grey, {})["b"] for _ in range(2))
    assert few == again
    assert len(few) == FEWEST_SAMPLED
    groups = {file: str(int(file.name) // 9) for own in classes.values() for file in own}  # shared by the classes
    reading = FileReading(share=0.3)
    some = reading.sample(classes, grey, groups)
    assert all(
        set(own) == {file for file in classes[name] if groups[file] in {groups[one] for one in reading.sampled}}
        for name, own in some.items()
    )
    assert 300 <= len(some["a"]) < 309
    assert len({groups[file] for file in some["b"]}) >= 3
    assert reading.sample(classes, grey, groups) == some  # and is counted once
    assert (len(reading.sampled), reading.found) == (sum(map(len, some.values())), 1074)


def test_the_share_is_what_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0.0)
    monkeypatch.setattr(file_reading, "perf_counter", partial(next, clock))
    monkeypatch.setattr(file_reading, "own_cores", lambda: 1)
    files = {"a": [Path(str(place)) for place in range(1000)]}

    def slow(file: Path) -> torch.Tensor:
        next(clock)
        return torch.zeros(1)

    reading = FileReading(until=2000.0)
    some = reading.sample(files, slow, {}, further=1000)
    # 272 files were read at a second each, and the clock was looked at three times.
    assert reading.share == pytest.approx((2000 - 274) / (257 / 256 * 2000), abs=0.001)
    assert len(some["a"]) == pytest.approx(1000 * reading.share, abs=1)
    assert FileReading(until=2700.0).sample(files, slow, {}) == files
    late = FileReading(until=0.0, least=257 / 256 * 500).sample(files, slow, {})  # seconds that it gets in any case
    assert late == FileReading(share=0.5).sample(files, slow, {})
    assert FileReading().sample(files, slow, {}) == files


@pytest.mark.filterwarnings("ignore:.* cannot be read", "ignore:.* left out")
def test_a_class_that_is_left_out_moves_no_group(folder: Path) -> None:
    with_it = read_given(folder, group="_(p[0-9]+)")
    shutil.rmtree(folder / "cat")
    without = read_given(folder, group="_(p[0-9]+)")
    assert with_it.test_names == without.test_names
    assert torch.equal(with_it.train.inputs, without.train.inputs)


def test_a_table_is_sampled_by_its_labels(folder: Path) -> None:
    (folder / "ant" / "07_p2.png").unlink()
    rows = [
        f"{file.parent.name}/{file.name},{file.parent.name}"
        for name in ("ant", "bee")
        for file in sorted((folder / name).iterdir())
    ]
    (folder / "all.csv").write_text("\n".join(["file,label", *rows]))
    task = read_given(folder / "all.csv", reading=FileReading(share=0.5))
    assert task.classes == ("ant", "bee")
    labels = join_parts(task.train, task.val, task.test).labels
    assert labels.bincount().tolist() == [15, FEWEST_SAMPLED]


def test_a_search_is_the_same_to_the_last_bit_from_disk_and_of_a_sample(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ant" / "07_p2.png").unlink()
    shutil.rmtree(folder / "cat")
    options = {"flops": (1e8, 1e8), "records": (), "shape": 8, "workers": 1}
    first, second = (lm.auto(folder, max_memory=most, progress=False, **options) for most in ("1GB", 1))
    assert "max_memory=1" in second.command
    assert [trial.value for trial in first.record.trials] == [trial.value for trial in second.record.trials]
    assert all(
        torch.equal(*both)
        for both in zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    )
    assert first.examples == second.examples
    capsys.readouterr()
    third = lm.auto(folder, output=tmp_path / "out", sample=0.4, **options)
    said = capsys.readouterr().err
    assert "auto: reads 22 of 41 files, the same share of each class." in said
    assert "sample=0.4" in third.command
    again = lm.auto(folder, output=tmp_path / "out", **options)  # which reads as many
    assert again.predictions == third.predictions
    with pytest.raises(ValueError, match=r"other data or settings \(.*sample"):
        lm.auto(folder, output=tmp_path / "out", sample=1.0, **options)
    # With minutes it is their share that decides.
    monkeypatch.setattr(FileReading, "_affordable", lambda self, *given: 0.4)
    assert lm.auto(folder, minutes=0.05, records=(), shape=8, workers=1).images[1] == third.images[1]
    assert "reads 22 of 41 files, the same share of each class; sample=1 reads all" in capsys.readouterr().err


def test_files_that_vanish_are_left_out_and_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, plain = FileReading(), FileReading.sample

    def vanish(self: FileReading, *given: object, **more: object) -> dict[str, list[Path]]:
        found = plain(self, *given, **more)  # type: ignore[arg-type]
        (folder / "bee" / "00_p0.png").unlink(missing_ok=True)
        return found

    shutil.rmtree(folder / "cat")
    monkeypatch.setattr(FileReading, "sample", vanish)
    with pytest.warns(UserWarning, match=r"2 of 42 images cannot be read and are left out: .*07_p2.png.*00_p0.png"):
        task = read_given(folder, reading=reading)
    assert sum(map(len, (task.train, task.val or (), task.test))) == 40


def killed(file: Path) -> torch.Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_process_that_is_killed_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "own_cores", lambda: 2)
    files = [Path(str(place)) for place in range(600)]
    with pytest.raises(MemoryError, match="a process that read files was killed"):
        FileReading().inputs(files, killed, "images", skip_unreadable=True)


def test_what_is_read_counts_and_nothing_else(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "test" / name).mkdir(parents=True)
        for part in ("train", "test"):
            Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / part / name / "1.png")
    (tmp_path / "elsewhere").mkdir()
    one = raw_digest(tmp_path / "train", kind_named("images"), None, None)
    (tmp_path / "train" / "notes.txt").write_text("mine")
    (tmp_path / "train" / "cover.png").write_bytes(b"x")
    (tmp_path / "train" / "a" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "elsewhere").rename(tmp_path / "train" / ".thumbnails")
    assert raw_digest(tmp_path / "train", kind_named("images"), None, None) == one
    both = raw_digest(tmp_path, kind_named("images"), None, None)
    assert both not in (one, None)
    Image.fromarray(np.full((4, 4), 8, np.uint8)).save(tmp_path / "test" / "b" / "1.png")
    assert raw_digest(tmp_path, kind_named("images"), None, None) != both
    (tmp_path / "train" / "b" / "1.png").rename(tmp_path / "train" / "a" / "2.png")
    assert raw_digest(tmp_path / "train", kind_named("images"), None, None) != one
    assert raw_digest((np.zeros((4, 2)), [0, 1, 0, 1]), kind_named("rows"), None, None) is None
    texts = raw_digest((["Good", "day"], [0, 1]), kind_named("texts"), None, None)
    assert raw_digest((("Good", "day"), [0, 1]), kind_named("texts"), None, None) == texts
    assert raw_digest((["good", "day"], [0, 1]), kind_named("texts"), None, None) != texts
