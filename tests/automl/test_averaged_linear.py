"""A linear model that is averaged with networks for texts, which may read them in another way."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from auto_toys import interrupt, no_search, same_weights
from exported_script import answers

import lit_metanas as lm
from lit_metanas.automl import last_training, linear_models
from lit_metanas.automl.known import best_of
from lit_metanas.estimators.candidate import Candidate
from lit_metanas.estimators.folds import validation_part
from lit_metanas.kinds.texts.text_kind import NGRAMS, TextKind
from lit_metanas.kinds.texts.text_tokens import JoinedTokens, PretrainedTokens
from lit_metanas.spaces.any_input.ngram_space import NGRAM_DECAYS
from lit_metanas.tasks.splits import all_but_test
from lit_metanas.training.child import chosen_child, fit_child
from lit_metanas.training.encoders.text_encoders import StaticVectors
from lit_metanas.training.ensembles import (
    WithLinear,
    members_of,
)

Texts = tuple[list[str], list[str]]
Call = Callable[..., lm.SearchResult]
BOTH = ": both were taken"


@pytest.fixture(autouse=True)
def few_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow network."""
    monkeypatch.setattr(TextKind, "first", ({"operation": "conv_3", "width": "32"},))


@pytest.fixture
def texts() -> Texts:
    """Texts of two classes, which differ by some of their words and by how the last one ends."""
    draw = np.random.default_rng(0)

    def text(label: int, end: str) -> str:
        words = [f"w{number}" for number in draw.integers(5 * label, 5 * label + 20, 3)]
        return " ".join([*words, "".join(draw.choice([*"aeiou"], 3)) + end])

    return [text(label, end) for _ in range(30) for label, end in enumerate(("lo", "ko"))], ["l", "k"] * 30


@pytest.fixture
def call(texts: Texts) -> Call:
    """Searches one network, and trains what it finds for so many FLOPs."""

    def run(training: float = 1e9, **more: Any) -> lm.SearchResult:
        return lm.auto(texts, flops=(2e8, training), records=[], progress=False, **more)

    return run


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean is right on all validation examples."""
    monkeypatch.setattr(linear_models, "score_in_folds", lambda networks, *args: float(len([*networks]) > 0))


def test_a_network_behind_an_encoder_is_averaged(call: Call, texts: Texts, good: None, tmp_path: Path) -> None:
    words = {"[UNK]": 0, **{f"w{number}": number + 1 for number in range(25)}}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens, vectors = PretrainedTokens.of(made.to_str(), steps=8), torch.linspace(-1, 1, 26)[:, None]
    network = StaticVectors(torch.cat([vectors, torch.ones(26, 1)], 1))
    encoder = lm.training.Encoder("vectors", network, tokens.shape, preprocessing=tokens)
    found = call(encoders=[encoder, "none"], output=tmp_path / "out")
    assert (found.view, found.linear is None) == ("vectors", False)
    assert isinstance(found.preprocessing, JoinedTokens)
    assert found.parameters > encoder.cost.parameters
    asked = texts[0][:4]
    rows = [[row[name] for name in found.classes] for row in found.predict(asked)]
    with torch.no_grad():
        torch.testing.assert_close(lm.load(tmp_path / "out").predict(asked), torch.tensor(rows), atol=1e-5, rtol=0)
    (tmp_path / "new.txt").write_text("\n".join(asked))
    said = answers(tmp_path / "out" / "predict.py", tmp_path / "new.txt")
    for answer, row in zip(said, found.predict(asked), strict=True):
        assert answer == pytest.approx(row, abs=1e-5)


@pytest.mark.usefixtures("good")
def test_networks_read_words_and_the_linear_model_n_grams(
    call: Call, texts: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call(1.3e10, output=tmp_path)
    assert (result.space, result.view, result.linear_view) == ("SequenceSpace", "words", NGRAMS)
    assert result.linear == lm.Architecture({"weights": "8388608"})
    assert result.linear_model.endswith(f"the mean of their scores 100.0 %{BOTH}")
    assert f"  ensemble of {result.ensemble} such networks and a linear model: " in repr(result)
    assert result.ensemble == members_of(result.network) > 1
    assert result.parameters == sum(own.numel() for own in result.network.parameters())
    assert result.training_cost.flops <= 1.3e10
    assert isinstance(result.preprocessing, JoinedTokens)
    first, second = result.preprocessing.first, result.preprocessing.second
    with torch.no_grad():
        own = result.network.network(first.encode(texts[0]))
        linear = result.network.linear(second.encode(texts[0]))
    first, second = result.network.shares
    expected = result.objective.values(first * own + second * linear)
    told = result.predict(texts[0])
    assert np.allclose([[one[name] for name in result.classes] for one in told], expected)
    program = lm.load(tmp_path)
    assert np.allclose(program.predict(texts[0]).numpy(), expected, atol=1e-5)
    assert program.show(texts[0][:2]) == [max(one, key=one.get) for one in told[:2]]  # type: ignore[arg-type]
    card = (tmp_path / "README.md").read_text()
    assert "such networks and a linear model)" in card
    assert f"words; of the linear model: {NGRAMS}" in card
    (row,) = lm.records.read_results(tmp_path / "results.json")
    (chosen,) = lm.records.read_architectures(tmp_path / "architectures.json")
    assert (row.parameters, row.linear, chosen.linear) == (result.parameters, result.linear, result.linear)
    assert same_weights(result.network, call(1.3e10).network)
    no_search(monkeypatch)
    again = call(1.3e10, output=tmp_path)
    assert same_weights(result.network, again.network)
    assert again.to_plain() == result.to_plain()
    assert again.predict(texts[0]) == told


@pytest.mark.usefixtures("good")
def test_the_linear_model_learns_from_all_but_the_test_part(call: Call, texts: Texts) -> None:
    result, task = call(), lm.task_from_texts(*texts, preprocessing=lm.kinds.NGrams())
    assert result.linear is not None
    outcome, own = lm.records.SearchOutcome(result.linear, None, lm.records.SearchRecord(task.id)), []
    for decay in NGRAM_DECAYS:
        child = chosen_child(task, lm.spaces.NGramSpace(), outcome, lm.Recipe(epochs=8, weight_decay=decay), 0)
        fit_child(child, all_but_test(task), seed=0)
        own.append(child.network.vectors.detach())
    found = result.network.linear.vectors.detach()
    assert any(torch.equal(found, one) for one in own)


def test_its_validation_score_is_that_of_what_was_searched(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[list[Candidate]]()
    monkeypatch.setattr(
        linear_models, "best_of", lambda several, examples: compared.append(several) or best_of(several, examples)
    )
    call()
    network, linear, mean = compared[0]
    scores = []
    for one in (network, linear):
        child = chosen_child(one.variant.task, one.variant.limited.space, one.found, lm.Recipe(), 0).network.eval()
        val = validation_part(one.variant.task)
        with torch.no_grad():
            scores.append(child(val.inputs))
    for one, own in zip((network, linear, mean), (*scores, scores[0] + scores[1]), strict=True):
        assert one.value == pytest.approx(float((own.argmax(dim=1) == val.labels).double().mean()))


@pytest.mark.usefixtures("good")
def test_both_together_are_within_the_limits(call: Call) -> None:
    both = call()
    assert both.linear is not None
    assert call(max_parameters=both.parameters).linear == both.linear
    assert call(max_parameters=both.parameters - 1).parameters < both.parameters
    own = sum(one.numel() for one in both.network.linear.parameters())
    alone = call(max_parameters=own)
    assert (alone.linear, alone.ensemble) == (None, 1)
    assert alone.parameters <= own
    assert call(max_flops=both.flops - 1).flops < both.flops
    assert call(max_latency=10).linear is None
    assert call(4e9, max_parameters=both.parameters + 1).parameters <= both.parameters + 1


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("linear", [True, False], ids=["of its own training", "of the network's"])
def test_an_interrupt_leaves_both(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linear: bool) -> None:
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1, linear=linear)
        stopped = call(output=tmp_path)
    assert (stopped.stopped, stopped.linear, stopped.view) == (True, whole.linear, "words")
    assert (stopped.linear_model, stopped.val_score) == (whole.linear_model, 1.0)
    assert same_weights(stopped.network.linear, whole.network.linear) == (not linear)  # trained in full, or as compared
    assert not same_weights(stopped.network.network, whole.network.network)
    assert same_weights(call(output=tmp_path).network, whole.network)


@pytest.mark.usefixtures("good")
def test_a_classifier_is_pickled_with_it(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="needs the extra sklearn")

    def short(task: lm.Task, **more: Any) -> lm.SearchResult:
        return lm.auto(task, flops=(3e8, 3e9), records=[], progress=False)

    monkeypatch.setattr("lit_metanas.automl.scikit.auto_estimator.auto", short)
    X, y = texts
    model = lm.AutoClassifier(minutes=1).fit(X, y)
    assert isinstance(model.network_, WithLinear)
    assert isinstance(model.preprocessing_, JoinedTokens)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
