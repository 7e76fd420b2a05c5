"""Files in SQuAD's format as tasks."""

import json
from pathlib import Path

import numpy as np
import pytest

import lit_metanas as lm
from lit_metanas.kinds.questions.squad import answer_spans

CITIES = ("Rome", "New York", "Oslo (Norway)", "Bonn", "Wien", "Lyon", "Kyiv", "Bern", "Riga", "Graz")
NAMES = ("Ada", "Tom", "Eve", "Max", "Lea", "Jon", "Kim", "Ben", "Zoe", "Ida")


def paragraph(number: int, before: str = "", **changes) -> dict:
    passage = f"{before}{NAMES[number]} went to {CITIES[number]}, in  1990.  It rained."
    answers = [{"text": text, "answer_start": passage.index(text)} for text in (CITIES[number], "1990")]
    asked = {"id": str(number), "question": f"Where did {NAMES[number]} go?", "answers": answers[:1]}
    year = {"id": f"{number}b", "question": "When was it?", "answers": answers[1:] * 2}
    return {"context": passage, "qas": [{**asked, **changes}, year]}


def write(path: Path, paragraphs: list[dict]) -> str:
    path.write_text(json.dumps({"data": [{"title": "a", "paragraphs": [one]} for one in paragraphs]}))
    return str(path)


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "cities.json", [paragraph(number) for number in range(10)])


def test_targets_are_the_words_of_the_answers(file):
    made = lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=40), newest_first=False)
    collection = lm.SquadTask(file, preprocessing=made)
    task = collection[0]
    parts = [{one.passage for one in collection.questions(subset)} for subset in ("train", "val", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 10
    assert {one.passage for one in lm.SquadTask(file, seed=5).questions("test")} != parts[2]
    lm.tasks.check_task(task)
    assert (task.id, task.way, task.goal) == ("cities", 3, lm.Span())
    assert (len(task.train), len(task.val), len(task.test)) == (12, 4, 4)
    for subset, split in (("train", task.train), ("val", task.val), ("test", task.test)):
        asked = collection.questions(subset)
        told = task.preprocessing.answers([(one.question, one.passage) for one in asked], split.labels.tolist())
        assert told == [one.answers[0] for one in asked]
    shown = task.preprocessing.show(task.train.inputs)
    asked = collection.questions("train")
    assert [text.partition(" | ")[0] for text in shown] == [one.question.lower() for one in asked]
    within = asked[0]._replace(answers=("ain",), starts=(asked[0].passage.index("ain"),))
    (span,) = answer_spans([within], task.preprocessing)
    assert task.preprocessing.answers([(within.question, within.passage)], [span]) == ["rained"]


def test_a_file_of_its_own_may_be_the_test_part(file, tmp_path):
    test = write(tmp_path / "test.json", [paragraph(3, "It is said: "), paragraph(4, "It is said: ")])
    task = lm.SquadTask(file, test)[0]
    assert (len(task.train), len(task.val), len(task.test)) == (16, 4, 4)
    assert lm.SquadTask(file, test, val=0)[0].val is None
    assert len(lm.SquadTask(file, test, val=0.5, test=0)[0].train) == 10
    with pytest.raises(ValueError, match=r"SquadTask: train = 0, val = 1, test = 0.0 must be shares above 0"):
        lm.SquadTask(file, test, val=1)


def test_passages_that_are_learned_from_and_tested_on_are_told(file, tmp_path):
    test = write(tmp_path / "test.json", [paragraph(3), paragraph(4), paragraph(5, "Later ")])
    with pytest.warns(UserWarning, match=r"test.json' repeats 2 passages that are learned from: the test accuracy"):
        lm.SquadTask(file, test)


def test_cut_off_answers_are_counted_and_are_misses_in_the_test_part(tmp_path):
    passages = [paragraph(n, before="far away, " * (20 if n % 2 else 0)) for n in range(10)]
    file = write(tmp_path / "far.json", passages)
    made = lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=30), newest_first=False)
    with pytest.warns(UserWarning, match=r"10 questions of '.*far.json' have their answers behind the first 30 words"):
        collection = lm.SquadTask(file, preprocessing=made)
    task = collection[0]
    assert len(task.test) == 4
    missed = [row == [-1, -1] for row in task.test.labels.tolist()]
    assert missed == ["far away" in one.passage for one in collection.questions("test")]
    assert len(task.train) + len(task.val) == 10 - missed.count(False)
    assert -1 not in task.train.labels.flatten().tolist()
    with pytest.raises(ValueError, match=r"The train part of '.*' has no question whose answer stands within the"):
        lm.SquadTask(write(tmp_path / "x.json", passages[1::2]), preprocessing=made)


def test_answers_that_are_not_in_the_passage_are_left_out_and_counted(tmp_path):
    wrong = [{"text": "Rome", "answer_start": 3}, {"text": "Paris", "answer_start": 0}]
    rows = [paragraph(n, answers=[wrong, [], [{"text": "", "answer_start": 2}]][n % 3]) for n in range(9)]
    with pytest.warns(UserWarning, match="9 questions of '.*' have no answer that stands in the passage: left out"):
        task = lm.SquadTask(write(tmp_path / "a.json", rows))[0]
    assert len(task.train) + len(task.val) + len(task.test) == 9
    for row in rows:
        del row["qas"][1]
    with pytest.raises(ValueError, match="has no question whose answer stands in its passage at 'answer_start'"):
        lm.SquadTask(write(tmp_path / "b.json", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"{}", "has no list 'data': give a file of questions in SQuAD's format"),
        (b'{"data": []}', "has no question whose answer stands in its passage"),
        (b'{"data": [{"paragraphs": [{"qas": []}]}]}', "Paragraph 1 of an article of '.*' has no text 'context'"),
        (b'{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": "b"}]}]}]}', "'b' of '.*' has no list 'an"),
        (b'{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": " "}]}]}]}', "is empty: write it, or leave"),
        (b'{"data": [1]}', "An article of '.*' has no list 'paragraphs'"),
    ],
)
def test_a_malformed_file_gets_a_sentence(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        lm.SquadTask(str(tmp_path / "a.json"))


def test_a_network_marks_answers_of_new_passages(tmp_path):
    file = write(tmp_path / "many.json", [paragraph(n % 10, before=f"{n} times: ") for n in range(60)])
    collection = lm.SquadTask(
        file, preprocessing=lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=32), newest_first=False)
    )
    task = collection[0]
    space = lm.SequenceSpace(
        operations=("gru",), activations=("ReLU",), dropouts=(0.0,), depths=(1,), widths=(32,), readouts=("each",)
    )
    result = lm.search(
        task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=15, batch_size=16), progress=False
    )
    assert result.metric == "span F1"
    asked = collection.questions("test")
    raw = [(one.question, one.passage) for one in asked]
    spans = task.goal.predictions(result.network(task.preprocessing.encode(raw)))
    texts = task.preprocessing.answers(raw, spans)
    assert result.predict(raw) == result.predict(np.array(raw)) == texts
    assert "  examples: trained on " in str(result)
    assert " multiply-adds an input" in str(result)
    result.export(tmp_path / "out")
    exported = lm.load(tmp_path / "out")
    assert exported.objective == task.goal
    assert exported.show(["\t".join(one) for one in raw]) == texts
    assert exported.show("\t".join(raw[0])) == result.predict("\t".join(raw[0])) == texts[:1]
    description = tmp_path / "out" / "model.json"
    stored = json.loads(description.read_text())
    description.write_text(json.dumps({**stored, "objective": {"kind": "span", "longest": 0}}))
    with pytest.raises(ValueError, match="its longest answer is not from 1"):
        lm.load(tmp_path / "out")
    assert [text.lower() for text in texts] == result.predict(task.test.inputs)  # no word of the answers is unknown
    assert result.test_score > 0.6
