"""Examples that belong together are in one part of a task."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas.tasks.splits import deal_groups

PARTS = ("train", "val", "test")
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def dealt(groups: Mapping[str, Sequence[str]], seed: int = 0, **shares: float | None) -> dict[str, str | None]:
    return {**deal_groups(groups, **{**SHARES, **shares}, seed=seed, culprit="Class '{}'".format)}  # type: ignore[arg-type]


def cost(groups: Mapping[str, Sequence[str]], parts: Mapping[str, str | None]) -> tuple[int, int, int, float]:
    """What train, test and val lack, the worst first, and how far all are from their shares, by plain loops."""
    rows = [*groups.values(), [group for own in groups.values() for group in own]]
    wrong, lacking = 0.0, dict.fromkeys(PARTS, 0)
    for part in PARTS:
        for own in rows:
            share = sum(parts[group] == part for group in own) / len(own)
            lacking[part] += share == 0
            wrong += (share - SHARES[part]) ** 2 / len(rows)
    return lacking["train"], lacking["test"], lacking["val"], wrong


def drawn_groups(generator: np.random.Generator, groups: int, classes: int) -> dict[str, list[str]]:
    """Of each class the groups of its examples: of two groups or more."""
    found = {}
    for label in range(classes):
        having = generator.permutation(groups)[: generator.integers(2, groups + 1)]
        found[f"c{label}"] = [f"g{group}" for group in having for _ in range(generator.integers(1, 6))]
    return found


@pytest.mark.filterwarnings("ignore:.*too few groups for")
def test_the_parts_are_nearly_the_best_that_whole_groups_allow() -> None:
    generator, worse, without = np.random.default_rng(0), [], 0
    for trial in range(60):
        groups = drawn_groups(generator, groups=3 + trial % 3, classes=1 + trial % 3)
        names = sorted({group for own in groups.values() for group in own})
        if len(names) < 3:
            continue
        every = (dict(zip(names, parts, strict=True)) for parts in itertools.product(PARTS, repeat=len(names)))
        best = min(cost(groups, parts) for parts in every)
        found = cost(groups, dealt(groups))
        assert found[:3] == best[:3]
        worse.append(found[3] - best[3])
        without += best[1] == 0 and best[2] > 0
    assert len(worse) > 40
    assert without > 5
    assert min(worse) > -1e-9
    assert max(worse) < 0.2
    assert sum(worse) / len(worse) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_classes_of_two_groups_each_are_learned_and_tested(seed: int) -> None:
    two = {"a": ["g1", "g1", "g2", "g2"], "b": ["g3", "g3", "g4", "g4"]}
    with pytest.warns(UserWarning, match="There are too few groups for a val part, which is empty: add"):
        parts = dealt(two, seed)
    assert {parts["g1"], parts["g2"]} == {parts["g3"], parts["g4"]} == {"train", "test"}
    with pytest.warns(UserWarning, match="Class 'a' has too few groups for the val part, which is without it and 1"):
        parts = dealt({**two, "c": ["g5", "g6", "g7"]}, seed)
    assert {parts["g1"], parts["g2"]} == {parts["g3"], parts["g4"]} == {"train", "test"}
    assert {parts["g5"], parts["g6"], parts["g7"]} == set(PARTS)


def test_a_task_whose_groups_leave_nothing_to_choose_by_has_no_val_part(tmp_path: Path) -> None:
    images(tmp_path, "p{group}/{number}.png", groups=2)
    for folder in sorted((tmp_path / "right").iterdir()):
        folder.rename(folder.with_name(f"other {folder.name}"))  # no group of the left
    with pytest.warns(UserWarning, match="too few groups for a val part"):
        read = lm.FolderTask(str(tmp_path), shape=(1, 8, 8), group="folder")[0]
    with pytest.warns(UserWarning, match="too few groups for a val part"):
        arrays = lm.task_from_arrays(torch.rand(8, 8, 8), [0, 0, 0, 0, 1, 1, 1, 1], group=list("aabbccdd"))
    for task in (read, arrays):
        assert (task.val, len(task.train), len(task.test)) == (None, 4, 4)
        with pytest.raises(ValueError, match="has no validation examples to choose an architecture by"):
            lm.auto(task, flops=1e9, progress=False)


def test_many_groups_have_their_shares_and_their_order_decides_nothing() -> None:
    generator = np.random.default_rng(0)
    groups = drawn_groups(generator, groups=60, classes=4)
    parts = dealt(groups)
    for own in groups.values():
        for part, share in SHARES.items():
            assert sum(parts[group] == part for group in own) / len(own) == pytest.approx(share, abs=0.03)
    shuffled = {name: [own[place] for place in generator.permutation(len(own))] for name, own in groups.items()}
    assert dealt(shuffled) == parts
    assert dealt(groups, seed=1) != parts


def test_a_class_of_one_group_is_learned_if_the_test_part_is_given() -> None:
    lone = {"common": [f"g{n}" for n in range(9)], "lone": ["g3", "g3"]}
    with pytest.warns(UserWarning, match="Class 'lone' has too few groups for the val part"):
        assert dealt(lone, train=None, test=0.0)["g3"] == "train"


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"a": ["x", "y"], "b": ["x", "y"]}, "There are 2 groups, too few for a train, val and test part"),
        ({"a": ["x", "y", "z"], "b": ["y", "y"]}, "Class 'b' is of the group 'y' alone, so it cannot be both learned"),
    ],
)
def test_too_few_groups_are_refused(groups: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dealt(groups)


def parts_of(task: lm.Task, group_of: Callable[[torch.Tensor], int]) -> list[set[int]]:
    assert task.val is not None
    for part in (task.train, task.val, task.test):
        assert set(part.labels.tolist()) == set(range(task.way))
    return [{group_of(one) for one in part.inputs} for part in (task.train, task.val, task.test)]


def check_apart(parts: list[set[int]], number: int) -> None:
    assert len(set.union(*parts)) == number == sum(map(len, parts))


def images(root: Path, name: str, groups: int = 6, each: int = 2) -> None:
    for label in ("left", "right"):
        for group in range(groups):
            for number in range(each):
                file = root / label / name.format(group=group, number=number)
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (8, 8), 10 * group + (5 if label == "left" else 0)).save(file)


def brightness(image: torch.Tensor) -> int:
    return round(float(image.max()) * 255) // 10


@pytest.mark.parametrize(
    ("name", "group"), [("p{group}/{number}.png", "folder"), ("p{group}_{number}.png", r"(p\d+)_")]
)
def test_images_of_a_group_are_in_one_part(name: str, group: str, tmp_path: Path) -> None:
    images(tmp_path, name)
    task = lm.FolderTask(str(tmp_path), shape=(1, 8, 8), group=group)[0]
    check_apart(parts_of(task, brightness), 6)
    assert [len(part) for part in (task.train, task.val or (), task.test)] == [16, 4, 4]
    next(tmp_path.glob("left/p0*/0.png" if group == "folder" else "left/p0_0.png")).write_bytes(b"no image")
    with pytest.warns(UserWarning, match="1 of 24 images cannot be read"):
        task = lm.FolderTask(str(tmp_path), shape=(1, 8, 8), group=group, skip_unreadable=True)[0]
    check_apart(parts_of(task, brightness), 6)


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ("speaker", "group = 'speaker' must be 'folder', or a regular expression with one bracket"),
        ("(p", "group = '\\(p' is no regular expression"),
        ("folder", "0.png' is of no group by group = 'folder': put it into a sub-folder of 'left'"),
        ("(q[0-9]+)", "is of no group by group = '\\(q\\[0-9\\]\\+\\)': rename it, or leave it out"),
    ],
)
def test_files_without_a_group_are_told(group: str, sentence: str, tmp_path: Path) -> None:
    images(tmp_path, "p{group}_{number}.png")
    with pytest.raises(ValueError, match=sentence):
        lm.FolderTask(str(tmp_path), group=group)


def test_groups_that_a_given_test_part_has_too_are_told(tmp_path: Path) -> None:
    images(tmp_path / "train", "p{group}/{number}.png")
    images(tmp_path / "test", "p{group}/{number}x.png", groups=2)
    with pytest.warns(UserWarning, match="test' repeats") as told:
        lm.FolderTask(str(tmp_path / "train"), test_root=str(tmp_path / "test"), group="folder")[0]
    assert any("repeats 2 groups that are learned from" in str(warning.message) for warning in told)


def sounds(root: Path, table: bool) -> None:
    """Two words by five speakers, each three times."""
    generator, rows = np.random.default_rng(0), ["file,label,person"]
    for word in ("no", "yes"):
        for speaker in range(5):
            for number in range(3):
                file = root / (f"{word}_{speaker}_{number}.wav" if table else f"{word}/{speaker}/{number}.wav")
                file.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(file, generator.integers(-9999, 9999, 1000 * (1 + speaker), dtype=np.int16), 8000)
                rows.append(f"{file.name},{word},person {speaker}")
    if table:
        (root / "table.csv").write_text("\n".join(rows))


@pytest.mark.parametrize("table", [False, True])
def test_recordings_of_a_speaker_are_in_one_part(table: bool, tmp_path: Path) -> None:
    sounds(tmp_path, table)
    features, group = lm.kinds.LogMel(steps=70), "person" if table else "folder"
    given = str(tmp_path / "table.csv") if table else None
    task = lm.AudioFolderTask(str(tmp_path), given, features=features, group=group)[0]
    check_apart(parts_of(task, lambda one: int(one[-1].sum()) // 12), 5)
    if table:
        with pytest.raises(ValueError, match="has no column 'persons': did you mean 'person'"):
            lm.AudioFolderTask(str(tmp_path), given, group="persons")
        said = lm.TranscriptTask(str(tmp_path), given, "label", group="person")[0]
        check_apart([{int(one[-1].sum()) for one in part.inputs} for part in (said.train, said.val, said.test)], 5)


def test_texts_of_an_author_are_in_one_part(tmp_path: Path) -> None:
    rows = [f"word{author} number {n} {label},{label},author {author}" for author in range(6) for n in range(3)
            for label in ("poem", "song")]  # fmt: skip
    table = tmp_path / "texts.csv"
    table.write_text("\n".join(["text,label,author", *rows]))
    words = lm.kinds.Words(steps=1, least=1).fitted(f"word{author}" for author in range(6))

    def author(tokens: torch.Tensor) -> int:
        return int(tokens[0])

    task = lm.TextTask(str(table), preprocessing=words, group="author")[0]
    check_apart(parts_of(task, author), 6)
    texts, labels, authors = zip(*(row.split(",") for row in rows), strict=True)
    check_apart(parts_of(lm.task_from_texts(texts, labels, preprocessing=words, group=authors), author), 6)
    for row in rows:
        text, label, name = row.split(",")
        file = tmp_path / "written" / label / f"{name}_{text}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    task = lm.TextTask(str(tmp_path / "written"), preprocessing=words, group="(author .)_")[0]
    check_apart(parts_of(task, author), 6)
    table.write_text("\n".join(["text,label,author", *rows, "a text,song,"]))
    with pytest.raises(ValueError, match=r"There is no group at line 38 of '.*texts.csv': fill it in"):
        lm.TextTask(str(table), group="author")


def test_rows_of_a_patient_are_in_one_part(tmp_path: Path) -> None:
    rows = [f"{patient},{n},{n % 2},{patient}" for patient in range(8) for n in range(4)]
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(["weight,height,label,patient", *rows]))
    task = lm.TableTask(str(table), group="patient", preprocessing=lm.kinds.Columns(scale="standardised"))
    assert task.columns == ["weight", "height"]
    check_apart(parts_of(task[0], lambda one: round(1000 * float(one[0]))), 8)
    with pytest.raises(ValueError, match="columns of their own"):
        lm.TableTask(str(table), columns=["weight", "patient"], group="patient")
    (tmp_path / "test.csv").write_text("\n".join(["weight,height,label,patient", "1,9,0,3", "1,9,1,11"]))
    with pytest.warns(UserWarning, match="test.csv' repeats 1 group that is learned from"):
        lm.TableTask(str(table), test_path=str(tmp_path / "test.csv"), group="patient")


class Neither:
    """As the NA of pandas: no comparison with it is true or false."""

    def __ne__(self, other: object) -> Neither:  # type: ignore[override]
        return self

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __repr__(self) -> str:
        return "<NA>"


def test_arrays_and_data_sets_take_a_group_of_each_example() -> None:
    owners = np.arange(60) % 6
    X = torch.arange(60)[:, None, None].expand(60, 8, 8) / 60
    y = np.arange(60) // 6 % 2

    def owner(image: torch.Tensor) -> int:
        return round(float(image.max()) * 60) % 6

    check_apart(parts_of(lm.task_from_arrays(X, y, group=owners), owner), 6)
    data = TensorDataset(X[:, None], torch.from_numpy(y))
    check_apart(parts_of(lm.task_from_dataset(data, group=list("abcdef") * 10), owner), 6)
    table = np.stack([np.arange(60) % 6, np.arange(60)], axis=1).astype(float)
    rows = lm.task_from_arrays(table, y, group=owners, preprocessing=lm.kinds.Columns(scale="standardised"))
    check_apart(parts_of(rows, lambda row: round(1000 * float(row[0]))), 6)
    for group, sentence in (
        ("owner", "group = 'owner' must be the group of each of the 60 images"),
        (owners[:59], "group has 59 groups for 60 images: give one group an image"),
        ([None, *owners[1:]], "Group 0 in group is None: leave out images without a group"),
        ([Neither(), *owners[1:]], "Group 0 in group is <NA>: leave out"),
        (5, "group = 5 must be the group of each of the 60 images"),
    ):
        with pytest.raises(ValueError, match=sentence):
            lm.task_from_arrays(X, y, group=group)
    with pytest.raises(ValueError, match="Label 0 in y is <NA>: leave out images without a label"):
        lm.task_from_arrays(X, [Neither(), *y[1:]])
