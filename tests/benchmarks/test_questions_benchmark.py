"""The benchmark of questions: how it reads compact files, and that its baselines measure what they say."""

import gzip
import json

import pytest
import torch

import lit_metanas as lm

PLACES = ("mill", "park", "pier")


@pytest.fixture
def module(load):
    return load("questions")


@pytest.fixture
def data(tmp_path):
    """Two tasks, of which the second has one answer that the first sentence tells by its verb; and two languages."""

    def story(number: int, verbs: tuple[str, str]) -> list:
        place = PLACES[number % 3]
        sentences = [f"Ada {verbs[number % 2]} to the {place}.", "Tom sits down."]
        asked = [[1, "Where is Ada?", place, [0]], [2, "Did she run?", ("yes", "no")[number % 2], [0]]]
        return [sentences, asked]

    parts = {"train": range(20), "valid": range(20, 24), "test": range(12)}
    tasks = {
        name: {"en": {part: [story(n, verbs) for n in numbers] for part, numbers in parts.items()}}
        for name, verbs in (("qa1", ("runs", "walks")), ("qa2", ("goes", "goes")))
    }
    (tmp_path / "babi20.json.gz").write_bytes(gzip.compress(json.dumps({"tasks": tasks}).encode()))
    passages = [
        [f"The {word} is red. It is number {n}.", [[str(n), f"What is number {n}?", f"The {word}", 0]]]
        for n, word in enumerate(("cup", "hat", "bell", "drum", "key", "map", "pen", "jar", "fan", "ring"))
    ]
    (tmp_path / "xquad12.json.gz").write_bytes(gzip.compress(json.dumps({"languages": {"en": passages}}).encode()))
    return tmp_path


def test_stories_are_numbered_lines(module, data, tmp_path):
    module.write_babi(data / module.BABI, tmp_path)
    lines = (tmp_path / "qa1_train.txt").read_text().splitlines()
    assert lines[:4] == [
        "1 Ada runs to the mill.",
        "2 Where is Ada?\tmill\t1",
        "3 Tom sits down.",
        "4 Did she run?\tyes\t1",
    ]
    task = lm.BabiFolder(str(tmp_path), preprocessing=lm.QuestionWords())[0]
    assert (len(task.train) + len(task.val), len(task.test)) == (48, 24)


def test_baselines_are_those_that_they_say(module, data, tmp_path):
    module.write_babi(data / module.BABI, tmp_path)
    told, hidden = (lm.BabiFolder(str(tmp_path))[index] for index in range(2))
    assert module.majority(told) == 25.0  # 12 of 48 are yes, 12 no; of places there are 8 each
    assert module.bag_of_words(told, penalty=0.01) > 99
    assert 50 <= module.bag_of_words(hidden) <= 80  # the verb does not tell
    inputs = torch.tensor([[3, 3, 5, 2, 0], [2, 5, 3, 0, 0]])
    bags = [[at for at, count in enumerate(row) if count] for row in module._bags(inputs, 6).tolist()]
    assert bags == [[3, 8, 11, 12], [2, 9, 11, 12]]


def test_a_run_prints_means_and_answers_as_texts(module, data, tmp_path, capsys, fixed_trainings):
    output = tmp_path / "figures.json"
    given = ["--search", "--flops", "5e7", "--epochs", "1", "--steps", "16", "--sentences", "4", "--tasks", "qa2"]
    module.main(["--data", str(data), *given, "--seeds", "0", "1", "--output", str(output)])
    told = capsys.readouterr().out
    assert "qa2   majority" in told
    assert "searched better by" in told
    found = {figure["name"]: figure["value"] for figure in json.loads(output.read_text())["figures"]}
    assert "qa1, majority" not in found
    assert found["mean of 1 tasks, majority"] == found["qa2, majority"]
    assert 0 <= found["qa2, searched"] <= 100
    for way in module.FIXED:
        assert found[f"searched better than {way}, 95 %"] == pytest.approx(
            found["qa2, searched"] - found[f"qa2, {way}"]
        )
    assert len(fixed_trainings) == 6
    assert all(abs(spent - asked) <= epoch / 2 for asked, spent, epoch in fixed_trainings)
    budgets = [asked for asked, _, _ in fixed_trainings]
    assert found["training FLOPs of a network, its search counted in"] == sum(budgets) / len(budgets)
    assert found["xquad.en, the true words, exact match"] == 100
    assert found["xquad.en, the whole passage, exact match"] == 0
    assert 0 < found["xquad.en, the whole passage, F1"] < 50
    assert "xquad.en, searched, span F1" in found


def test_absent_files_are_left_out_by_name(module, tmp_path, capsys):
    module.main(["--data", str(tmp_path)])
    told = capsys.readouterr().out
    assert f"babi20.json.gz is left out: {tmp_path} has no such file." in told
    assert f"xquad12.json.gz is left out: {tmp_path} has no such file." in told


def test_a_task_that_is_not_there_gets_a_sentence(module, data):
    with pytest.raises(ValueError, match="bAbI has no task 'qa3': it has qa1, qa2"):
        module.main(["--data", str(data), "--tasks", "qa3"])


def test_real_files_are_read(module, data_folder, tmp_path):
    for name in (module.BABI, module.XQUAD):
        if not (data_folder / name).is_file():
            pytest.skip(f"{data_folder} has no {name}")
    module.write_babi(data_folder / module.BABI, tmp_path)
    tasks = lm.BabiFolder(str(tmp_path), preprocessing=lm.QuestionWords(lm.Words(least=1, steps=64)))
    assert len(tasks) == 20
    with pytest.warns(UserWarning, match="the sentences that do not fit are left out"):
        parts = [tasks[index] for index in range(20)]
    assert all(len(task.train) + len(task.val) == len(task.test) == 1000 for task in parts)
    assert sum(map(module.majority, parts)) / 20 == pytest.approx(28.2, abs=0.3)
    path = module.write_squad(data_folder / module.XQUAD, tmp_path, "de")
    collection = lm.SquadTask(str(path), preprocessing=lm.QuestionWords(lm.Words(steps=900), newest_first=False))
    task, asked = collection[0], collection.questions("test")
    assert len(task.train) + len(task.val) + len(task.test) == 1190
    texts = task.preprocessing.answers([(one.question, one.passage) for one in asked], task.test.labels.tolist())
    assert module.texts_of(asked, texts)[0] > 95
