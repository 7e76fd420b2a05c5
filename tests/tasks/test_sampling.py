"""Episodes and tasks are pure, disjoint and ordered, and refuse in one sentence."""

import pytest
import torch
from coded_source import CodedSource, decode

import lit_metanas as lm
from lit_metanas.tasks import draw_episode, draw_task

EPISODE = {"seed": 1, "epoch": 2, "index": 3, "way": 4, "shot": 2, "query": 3}


def test_episode_is_a_pure_function_and_every_argument_matters():
    source = CodedSource()
    first = draw_episode(source, "train", **EPISODE)
    torch.rand(3)  # the global generator has no say
    again = draw_episode(source, "train", **EPISODE)
    assert torch.equal(first.support.inputs, again.support.inputs)
    assert torch.equal(first.query.inputs, again.query.inputs)
    assert first.classes == again.classes
    assert first.id == again.id == "coded/train/2/3"
    for name in ("seed", "epoch", "index"):
        other = draw_episode(source, "train", **(EPISODE | {name: EPISODE[name] + 1}))
        assert not torch.equal(first.support.inputs, other.support.inputs)
    assert not torch.equal(first.support.inputs, draw_episode(source, "val", **EPISODE).support.inputs)


def test_episode_is_ordered_by_class_and_its_parts_are_disjoint():
    for index in range(20):
        episode = draw_episode(CodedSource(), "train", **(EPISODE | {"index": index}))
        support, query = decode(episode.support.inputs), decode(episode.query.inputs)
        assert episode.support.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert episode.query.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        for part, labels in ((support, episode.support.labels), (query, episode.query.labels)):
            assert [f"train-{code[0]}" for code in part] == [episode.classes[label] for label in labels]
        assert len(set(support + query)) == len(support) + len(query) == 4 * 5
        assert (len(set(episode.classes)), episode.shot, episode.shape, episode.val) == (4, 2, (3, 2, 2), None)


def test_every_class_and_instance_is_drawn_about_equally_often():
    counts: dict[tuple[int, ...], int] = {}
    for index in range(600):
        episode = draw_episode(CodedSource(), "train", **(EPISODE | {"index": index}))
        for code in decode(episode.support.inputs):
            counts[code] = counts.get(code, 0) + 1
    assert len(counts) == 8 * 12
    assert min(counts.values()) > 25  # 50 expected, standard deviation 7
    assert max(counts.values()) < 75


def test_within_group_keeps_to_one_group_that_is_large_enough():
    source = CodedSource(classes=10)
    groups = source.groups("train")
    seen = set()
    for index in range(30):
        episode = draw_episode(source, "train", **(EPISODE | {"index": index}), within_group=True)
        of = {groups[int(name.split("-")[1])] for name in episode.classes}
        assert len(of) == 1
        seen |= of
    assert seen == {"large0", "large1"}
    with pytest.raises(ValueError, match=r"^coded/train has no group of way = 5 classes \(the largest, 'large0'"):
        draw_episode(source, "train", **(EPISODE | {"way": 5}), within_group=True)


def test_too_few_classes_or_images_of_an_episode():
    with pytest.raises(ValueError, match=r"^coded/val has 3 classes, fewer than way = 4"):
        draw_episode(CodedSource(classes=3), "val", **EPISODE)
    with pytest.raises(ValueError, match=r"^Class 'val-\d' of coded/val has 4 examples, fewer than shot \+ query ="):
        draw_episode(CodedSource(ordinary=4), "val", **EPISODE)
    with pytest.raises(ValueError, match=r"has 11 examples, fewer than train \+ val \+ test = 5 \+ 3 \+ 4"):
        draw_task(CodedSource(ordinary=11), "test", **TASK)
    with pytest.raises(ValueError, match=r"has 3 examples, fewer than test = 4 held-out examples"):
        draw_task(CodedSource(reserved=3), "test", **TASK)


TASK = {"seed": 0, "index": 3, "way": 4, "train": 5, "val": 3, "test": 4}


@pytest.mark.parametrize("reserved", [0, 6])
def test_task_parts_are_disjoint_and_test_is_held_out_where_it_can_be(reserved):
    task = draw_task(CodedSource(reserved=reserved), "test", **TASK)
    parts = [decode(split.inputs) for split in (task.train, task.val, task.test)]
    assert [len(part) for part in parts] == [20, 12, 16]
    assert len({code for part in parts for code in part}) == 48
    assert {code[2] for code in parts[0] + parts[1]} == {0}
    assert {code[2] for code in parts[2]} == {int(reserved > 0)}
    assert task.id == "coded/test/3"
    assert task.train.labels.tolist() == [label for label in range(4) for _ in range(5)]
    again = draw_task(CodedSource(reserved=reserved), "test", **TASK)
    assert torch.equal(task.test.inputs, again.test.inputs)
    assert draw_task(CodedSource(), "test", **(TASK | {"val": 0})).val is None
    other = draw_task(CodedSource(reserved=reserved), "test", **(TASK | {"index": 4}))
    assert not torch.equal(task.train.inputs, other.train.inputs)


def test_floats_of_a_source_stay_as_they_are_unless_they_run_to_255():
    class Floats(CodedSource):
        brightness = 1.0

        def inputs(self, subset, class_index, instances, held_out=False):
            return torch.full((len(instances), *self.shape), self.brightness)

    source = Floats()
    assert bool((lm.draw_task(source, way=2, train=2, val=2, test=2).train.inputs == 1).all())
    source.brightness = 255.0
    with pytest.raises(ValueError, match=r"images with values up to 255: divide them by 255\.$"):
        lm.draw_task(source, way=2, train=2, val=2, test=2)
