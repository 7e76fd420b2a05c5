"""Texts are read and written by a searched network, as the other objectives' tasks are."""

import pytest
import torch
from torch.utils.data import DataLoader

import lit_metanas as lm
from lit_metanas.training.child import examples_at_once, score

LETTERS = lm.kinds.Words(steps=4, least=1).fitted(["a b c d e"])
GRU = lm.SequenceSpace(
    operations=("gru", "conv_3"), activations=("Identity",), dropouts=(0.0,), skips=("residual",), depths=(1,),
    widths=(24,), readouts=("each",),
)  # fmt: skip
SPACE = lm.EncoderDecoderSpace(
    GRU, decoders=("gru", "attention"), decoder_depths=(1,), decoder_dropouts=(0.0,), crosses=(1,), target_steps=5
)
RECIPE = lm.Recipe(epochs=10, batch_size=25)


def part(number: int, seed: int) -> lm.Split:
    """Four of five letters, and the same from the last to the first."""
    generator = torch.Generator().manual_seed(seed)
    letters = torch.randint(2, LETTERS.shape.vocabulary, (number, 4), generator=generator)
    return lm.Split(letters, letters.flip(1))


def task(metric: str = "exact match") -> lm.Task:
    objective = lm.Translation(LETTERS, metric=metric)
    return lm.Task(
        "reversed", way=objective.outputs, train=part(300, 0), val=part(60, 1), test=part(100, 2),
        vocabulary=LETTERS.shape.vocabulary, preprocessing=LETTERS, objective=objective,
    )  # fmt: skip


def test_a_search_finds_a_network_that_writes_letters_in_reverse(tmp_path):
    result = lm.search(task(), SPACE, queries=2, recipe=RECIPE, seed=0, progress=False)
    assert result.metric == "exact match"
    assert result.test_score > 0.9
    assert 0 < result.ci95 < 0.1
    assert result.classes == ()
    assert result.class_accuracy == {}
    assert "test exact match: " in repr(result)
    assert result.predict(["a b c d", "e d a a"]) == ["d c b a", "a a d e"]
    assert result.predict("a b c d") == ["d c b a"]
    assert result.predict(part(3, 5).inputs) == LETTERS.show(part(3, 5).labels)
    shown = result.predictions[0]
    first = part(100, 2)
    assert [shown.example, shown.meant] == [*LETTERS.show(first.inputs[:1]), *LETTERS.show(first.labels[:1])]
    assert [shown.said] == result.predict(first.inputs[:1])
    result.export(tmp_path)
    assert lm.load(tmp_path).show(["a b c d", "e d a a"]) == ["d c b a", "a a d e"]
    with pytest.raises(AttributeError, match="judged by exact match, not by accuracy: see test_score"):
        _ = result.test_accuracy


def brief(task, space, seed):
    return lm.estimators.TrainingEstimator(task, space, seed, lm.Recipe(epochs=1, batch_size=100))


@pytest.mark.parametrize(
    "method",
    [
        lm.searchers.QuerySearcher(trials=2, estimator=brief),
        lm.searchers.SuccessiveHalving(candidates=2, estimator=brief),
        lm.RandomArchitecture(),
        lm.DARTSSearcher(epochs=1, batch_size=100),
        lm.searchers.ENASSearcher(epochs=1, batch_size=100, candidates=2),
        lm.searchers.OneShotSearcher(epochs=1, batch_size=100, candidates=2),
    ],
    ids=["random", "halving", "drawn", "darts", "enas", "one-shot"],
)
def test_all_methods_search_it(method):
    recipe = lm.Recipe(epochs=3, batch_size=100, label_smoothing=0.1)
    result = lm.search(task("chrF"), SPACE, method=method, flops=1e9, recipe=recipe, seed=0, progress=False)
    assert 0 < result.test_score < 1
    assert SPACE.canonical(result.architecture) == result.architecture


def test_a_space_for_shorter_texts_refuses_it():
    space = lm.EncoderDecoderSpace(GRU, target_steps=3)
    with pytest.raises(ValueError, match="Translation has texts of up to 4 tokens, and EncoderDecoderSpace writes"):
        lm.search(task(), space, queries=1, progress=False)


def test_malformed_targets_are_found_before_the_search():
    other = task()
    other.train.labels[3] = 0
    with pytest.raises(ValueError, match=r"The train part of task 'reversed' has an empty target, that of example 3"):
        lm.search(other, SPACE, queries=1, progress=False)


def test_a_comparison_of_methods_writes_and_resumes(tmp_path):
    def run(objective: str) -> lm.comparisons.TargetSearch:
        comparison = lm.comparisons.TargetSearch(
            space=SPACE, recipe=lm.Recipe(epochs=1, batch_size=100), directory=str(tmp_path), validate=True,
            methods={
                "drawn": lm.RandomArchitecture(),
                "queries": lm.searchers.QuerySearcher(trials=1, estimator=brief),
            },
        )  # fmt: skip
        trainer = lm.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
        trainer.predict(comparison, DataLoader([task(objective)], batch_size=None, collate_fn=lambda one: one))
        return comparison

    first = run("chrF")
    assert [row.metric for row in first.results] == ["chrF", "chrF"]
    assert all(0 < row.value < 1 for row in first.results)
    assert lm.records.read_results(tmp_path / "results.json") == list(first.results)
    assert [trial.metric for trial in lm.records.read_architectures(tmp_path / "architectures.json")] == 2 * [
        "validation chrF"
    ]
    (table,) = lm.report.tables(first.results)
    assert table.title == "Task reversed: trained on 360 examples, tested on 100"
    again = run("chrF")
    assert again.results == first.results  # with their seconds: nothing was trained
    assert [row.metric for row in run("BLEU").results] == ["BLEU", "BLEU"]  # another metric is another problem


def test_a_child_is_trained_by_what_stands_before_and_judged_by_what_it_writes():
    one = task("chrF")
    architecture = SPACE.sample(torch.Generator().manual_seed(0))
    child = lm.Child(space=SPACE, architecture=architecture, shape=one.shape, way=one.way, objective=one.goal)
    child.log = lambda *given, **named: None
    inputs, labels = one.train.inputs[:9], one.train.labels[:9]
    loss = child.eval().training_step((inputs, labels), 0)
    assert torch.equal(loss, one.goal.loss(child.network(inputs, labels), labels))
    written = one.goal.predictions(child(one.val.inputs))
    assert score(child, one.val) == one.goal.judge(written, one.val.labels).value


def test_long_texts_of_many_tokens_are_written_a_few_at_once():
    assert examples_at_once(lm.Classification(5), 500) == 500
    words = lm.kinds.Words(steps=100, size=40_000, least=1).fitted([" ".join(map(str, range(40_000)))])
    assert examples_at_once(lm.Translation(words), 500) == 16
