"""Choices, and what every search space does: canonical architectures, sampling, Optuna, refusals of options."""

import json
import pickle
from collections import Counter

import optuna
import pytest
import torch

from lit_metanas import spaces
from lit_metanas.inputs import RowShape
from lit_metanas.io.settings import settings_of
from lit_metanas.spaces import Architecture, Choice, LayeredSpace, NASBench101
from lit_metanas.spaces.any_input.default_space import linear_space_of


@pytest.fixture
def space():
    return LayeredSpace(depths=(1, 2), widths=(4, 8), kernels=(3, 5), activations=("ReLU",), dropouts=(0.0, 0.2))


def every_label(space, place=0):
    return {choice.name: choice.labels[place] for choice in space.choices}


def test_canonical_drops_inactive_choices(space):
    shallow = every_label(space)
    assert shallow["depth"] == "1"
    canonical = space.canonical(shallow)
    assert isinstance(canonical, Architecture)
    assert set(canonical) == {"depth", *(f"layer1.{group}" for group in space.layout.questions)}
    other = {**shallow, "layer2.kernel": "5", "layer2.width": "8"}
    assert space.canonical(other) == canonical
    assert space.canonical({**other, "depth": "2"}) != space.canonical({**shallow, "depth": "2"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layer9.kernel": "3"}, "Unknown choice 'layer9.kernel': LayeredSpace has 'layer"),
        ({"layer1.kernel": "4"}, "Choice 'layer1.kernel' has no label '4': use 3, 5."),
        ({"layer1.kernel": None}, "Choice 'layer1.kernel' is missing: use one of 3, 5."),
    ],
)
def test_canonical_names_the_culprit(space, change, text):
    labels = {name: label for name, label in {**every_label(space), **change}.items() if label is not None}
    with pytest.raises(ValueError) as caught:
        space.canonical(labels)
    assert text in str(caught.value)


def test_derive_takes_the_largest_logits(space):
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        logits = {choice.name: torch.randn(len(choice.labels), generator=generator) for choice in space.choices}
        architecture = space.derive(logits)
        for choice in space.choices:
            if choice.active(architecture):
                best = max(range(len(choice.labels)), key=lambda i: float(logits[choice.name][i]))
                assert architecture[choice.name] == choice.labels[best]
            else:
                assert choice.name not in architecture


def test_sample_is_uniform_over_labels_and_reproducible(space):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return [space.sample(generator) for _ in range(2000)]

    first = draw(3)
    assert first == draw(3)
    assert first != draw(4)
    # Three standard deviations of a share are 3 * sqrt(0.25 / n).
    counts = Counter(architecture["layer1.kernel"] for architecture in first)
    assert counts["3"] / 2000 == pytest.approx(0.5, abs=0.034)
    deep = [architecture for architecture in first if architecture["depth"] == "2"]
    assert len(deep) / 2000 == pytest.approx(0.5, abs=0.034)
    assert sum(architecture["layer2.width"] == "8" for architecture in deep) / len(deep) == pytest.approx(0.5, abs=0.05)


def test_suggest_asks_for_every_choice_and_drops_inactive_ones(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        architecture = space.suggest(trial)
        assert trial.distributions == space.distributions()
        assert architecture == space.canonical(architecture)
        assert ("layer2.kernel" in architecture) == (architecture["depth"] == "2")
        assert all(trial.params[f"arch.{name}"] == label for name, label in architecture.items())
        seen.add(architecture["depth"])
        study.tell(trial, 0.0)
    assert seen == {"1", "2"}


def test_what_hangs_on_an_inactive_choice_is_inactive(space):
    space.choices = (
        Choice("a", ("1", "2")),
        Choice("b", ("1", "2"), active_if=(("a", frozenset({"1"})),)),
        Choice("c", ("1", "2"), active_if=(("b", frozenset({"1"})),)),
    )
    assert space.canonical({"a": "2", "b": "1", "c": "1"}) == Architecture({"a": "2"})
    assert space.canonical({"a": "1", "b": "2", "c": "1"}) == Architecture({"a": "1", "b": "2"})
    assert len(space.canonical({"a": "1", "b": "1", "c": "1"})) == 3


def test_a_trial_tells_its_architecture(space):
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        architecture = space.sample(generator)
        parameters = {f"net.{name}": label for name, label in architecture.items()}
        assert space.from_parameters({**parameters, "rate": 0.1}, "net.") == architecture
        trial = optuna.trial.FixedTrial({**every_label(space), **architecture})
        assert space.suggest(trial, prefix="") == space.from_parameters(trial.params, prefix="") == architecture
    labels = {f"arch.{name}": label for name, label in every_label(space).items()}
    assert space.from_parameters({**labels, "arch.depth": 1.0}) == space.canonical(every_label(space))
    with pytest.raises(ValueError, match=r"There is no parameter 'arch\.depth' for the choice 'depth', but 'depth'\."):
        space.from_parameters({"depth": 1})
    with pytest.raises(ValueError, match=r"'depth' is 7, which is not a label of the choice: use 1, 2\."):
        space.from_parameters({"depth": 7}, prefix="")
    assert list(space.distributions("net.")) == [f"net.{choice.name}" for choice in space.choices]
    assert space.canonical({**every_label(space), "depth": 1, "layer1.width": 8})["layer1.width"] == "8"


def test_listed_cells_are_within_a_limit() -> None:
    space = NASBench101(vertices=4).limited(lambda found: "pools" if "maxpool3x3" in found.values() else None)
    listed = list(space.architectures())
    assert listed
    assert all(space.violation(one) is None for one in listed)


WORDS, STEPS = spaces.SequenceSpace(), spaces.SequenceSpace(readouts=("each",), widths=(8,))
POOLED = spaces.SequenceSpace(readouts=("each",), pools=("max",))
HOPELESS = NASBench101(vertices=3).limited(lambda found: "no")
REFUSED = [
    (Choice, {"name": "x", "labels": ()}, "Choice 'x' has no candidates: give it at least one label."),
    (spaces.MLPSpace, {"activations": ()}, "MLPSpace: 'activations' is empty: use "),
    (spaces.TextRowSpace, {"text": STEPS, "row": spaces.MLPSpace()}, "'text' scores each step, as of readout 'each'"),
    (spaces.NASBench201().from_index, {"index": 15625}, "NAS-Bench-201 has no index 15625: use 0 to 15624."),
    (LayeredSpace().check_shape, {"shape": RowShape(5)}, ", or give images by height and width."),
    (spaces.Builder().conv, {"channels": 3, "width": 4, "size": 2}, "A kernel of size 2 has no centre: use an odd"),
    (HOPELESS.sample, {"generator": torch.Generator()}, "None of 1000 architectures drawn from NASBench101 can be b"),
    (LayeredSpace, {"kernels": (3, 4)}, "kernel size 4 is not odd and positive"),
    (LayeredSpace, {"kernels": (3, 3)}, "'layer1.kernel' repeats a label: 3, 3."),
    (LayeredSpace, {"dropouts": (float("nan"),)}, "dropout nan is not a probability below 1"),
    (LayeredSpace, {"depths": (0,)}, "the least depth is 0; give at least 1."),
    (LayeredSpace, {"pools": ("stride",)}, "unknown label 'stride' of 'pools': use max, avg."),
    (LayeredSpace, {"mix": "merge"}, "unknown label 'merge' of 'mix': did you mean 'merged'?"),
    (LayeredSpace, {"fixed": {"layer1.pol": ["max"]}}, "Unknown choice 'layer1.pol': LayeredSpace has 'layer1.pool'."),
    (LayeredSpace, {"fixed": {"layer1.kernel": ["33"]}}, "Choice 'layer1.kernel' has no label '33': use 3, 5, 7."),
    (spaces.GridSpace, {"widths": (12,)}, "width 12 is no multiple of 8"),
    (spaces.GridSpace, {"blocks": ("residul",)}, "did you mean 'residual'"),
    (spaces.GridSpace, {"depths": (0,)}, "the least of 'depths' is 0"),
    (spaces.MLPSpace, {"activations": ("Relu",)}, "unknown label 'Relu' of 'activations': did you mean 'ReLU'"),
    (spaces.MLPSpace, {"depths": (-1, 2)}, "the least depth is -1; give at least 0"),
    (spaces.MLPSpace, {"dropouts": (1.0,)}, "dropout 1.0 is not a probability below 1"),
    (spaces.SequenceSpace, {"operations": ("conv3",)}, "unknown label 'conv3' of 'operations': did you mean 'conv_3'?"),
    (spaces.SequenceSpace, {"readouts": ("mean", "each")}, "'readouts' has mean, each, which are features of an"),
    (spaces.SequenceSpace, {"pools": ("none", "max")}, "'pools' has none, max, which leave different numbers of st"),
    (spaces.SequenceSpace, {"depths": (0, 2)}, "the least depth is 0; give at least 1."),
    (spaces.SequenceSpace, {"token_scale": 0.0}, "token_scale is 0.0; give a number above 0, such as 0.1."),
    (spaces.SequenceSpace, {"operations": ("attention_4",), "widths": (32, 6)}, "'attention_4' has no 6 channels: "),
    (spaces.EncoderDecoderSpace, {"encoder": STEPS, "decoder_depths": (0,)}, "decoder depth is 0; give at least 1."),
    (spaces.EncoderDecoderSpace, {"encoder": STEPS, "heads": 3}, "heads = 3 do not divide the width 8: give multipl"),
    (spaces.EncoderDecoderSpace, {"encoder": WORDS}, "the encoder has readouts mean, max, attention and pools none: "),
    (spaces.EncoderDecoderSpace, {"encoder": POOLED}, "the encoder has readouts each and pools max: give Seq"),
    (spaces.UnionSpace, {"families": {}}, "'families' is empty"),
    (spaces.UnionSpace, {"families": {"one two": WORDS}}, "'one two' cannot be the label of a family"),
    (spaces.UnionSpace, {"families": {"forward": WORDS}}, "'forward' cannot be the label"),
    (spaces.UnionSpace, {"families": {"words": WORDS, "steps": STEPS}}, "score different things"),
    (spaces.UnionSpace, {"families": {"words": WORDS}, "window": 0}, "window = 0 must be at least one step"),
    (spaces.NASBench101, {"vertices": 8}, "NASBench101: vertices is 8; give 2 to 7."),
    (spaces.NASBench101, {"channels": 4}, "NASBench101: channels is 4; give at least 5."),
    (spaces.NASBench101, {"fixed": {"edge0-7": ["no"]}}, "Unknown choice 'edge0-7': NASBench101 has 'edge"),
    (spaces.DARTSCell, {"fixed": {"normal.edge0-2": ["conv"]}}, "no label 'conv': use none, max"),
    (spaces.DARTSCell, {"cells": 0}, "DARTSCell: cells is 0"),
    (spaces.ENASMacro, {"layers": 0}, "layers is 0"),
    (spaces.ENASMacro, {"fixed": {"layer3.skip1": ["yes"]}}, "'layer3.skip1' has no label 'yes': use none, skip_con"),
    (spaces.NASBenchGraph, {"operations": ["conv"]}, "unknown label 'conv' of 'operations'"),
    (spaces.NASBenchGraph, {"operations": ["skip"]}, "skip connections alone has no weights"),
]


@pytest.mark.parametrize(("kind", "options", "sentence"), REFUSED)
def test_what_cannot_be_built_is_told_in_a_sentence(kind, options, sentence):
    with pytest.raises(ValueError) as caught:
        kind(**options)
    message = str(caught.value)
    assert sentence in message
    assert message[-1] in ".?…"
    assert ". " not in message
    assert "\n" not in message


def small(found):
    return None if found["depth"] == "1" else "too deep"


def test_what_is_outside_a_space_is_told(space):
    with pytest.raises(ValueError, match="no linear model has the choices depth, width"):
        linear_space_of({"depth": "1", "width": "2"})
    with pytest.raises(RuntimeError, match="only its supernet knows how: call the supernet"):
        space.supernet((1, 8, 8)).body(torch.zeros(1, 1, 8, 8))
    assert space.supernet_weights(torch.nn.Linear(2, 2)) == {}
    assert settings_of(space.limited(small)) != settings_of(space)


def test_order_of_labels_does_not_matter():
    first, second = Architecture({"b": "1", "a": "2"}), Architecture({"a": "2", "b": "1"})
    assert first == second
    assert hash(first) == hash(second)
    assert list(first) == ["a", "b"]
    assert str(first) == "a=2 b=1"
    assert len({first: 0, second: 1}) == 1


def test_json_round_trip():
    architecture = Architecture({"layer1.pool": "max", "depth": "4"})
    text = json.dumps(architecture.to_json())
    assert Architecture(json.loads(text)) == architecture
    assert eval(repr(architecture)) == pickle.loads(pickle.dumps(architecture)) == architecture
    assert len(architecture) == 2
    assert architecture != architecture.to_json()
    assert architecture != Architecture({"layer1.pool": "avg", "depth": "4"})


def test_activity_needs_every_condition():
    choice = Choice("c", ("1", "2"), active_if=(("a", frozenset({"x", "y"})), ("b", frozenset({"z"}))))
    assert choice.active({"a": "x", "b": "z"})
    assert choice.active({"a": "y", "b": "z", "d": "w"})
    assert not choice.active({"a": "x", "b": "w"})
    assert not choice.active({"a": "x"})
    assert Choice("c", ("1",)).active({})


def test_numbers_and_booleans_are_called_by_their_text():
    choice = Choice("width", (16, 0.5, True), active_if=(("depth", frozenset({1, 2})),))
    assert choice == Choice("width", ("16", "0.5", "True"), active_if=(("depth", frozenset({"1", "2"})),))
    assert choice.active({"depth": "2"})
    assert Architecture({"width": 16}) == Architecture({"width": "16"})
    assert hash(Architecture({"bias": True})) == hash(Architecture({"bias": "True"}))


@pytest.mark.parametrize(
    ("value", "label"),
    [("16", "16"), (16, "16"), (16.0, "16"), (0.1 + 0.2, "0.3"), (1e-3, "1e-3"), (True, "True"), (None, "None"),
     (1, None), (17, None), ("sixteen", None), ([16], None), (float("nan"), None)],
)  # fmt: skip
def test_a_value_stands_for_the_label_that_spells_it(value, label):
    assert Choice("c", ("16", "0.3", "1e-3", "True", "None", "same")).label_of(value) == label
