import pytest
from PIL import Image

from lit_metanas.callbacks import figures
from lit_metanas.callbacks.architecture_picture import draw_architecture
from lit_metanas.callbacks.figures import draw_probabilities, natural, pixels, save
from lit_metanas.callbacks.probability_history import Moment, ProbabilityHistory
from lit_metanas.inputs import RowShape
from lit_metanas.spaces import (
    Architecture,
    ChoiceSpace,
    EncoderDecoderSpace,
    KernelSpace,
    LayeredSpace,
    MLPSpace,
    SequenceSpace,
)


def texts(figure) -> list[str]:
    own = [text.get_text() for text in figure.texts]
    return own + [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def boxes_overlap(figure) -> list[tuple[str, str]]:
    """Pairs of printed texts that cover each other."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    items = [*figure.texts]
    for axes in figure.axes:
        items += [*axes.texts, *axes.get_yticklabels(), axes.title, axes._left_title, axes.xaxis.label]
    boxes = [(item.get_text(), item.get_window_extent(renderer)) for item in items if item.get_text()]
    return [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[i + 1 :] if x.overlaps(y)]


def test_heat_map_draws_a_single_moment():
    history = ProbabilityHistory({"kernel": ["3", "5"]}, [Moment(10, 1.0, {"kernel": [0.4, 0.6]})])
    assert draw_probabilities(history).axes


def test_natural_order():
    assert sorted(["layer10", "layer2", "", "layer1"], key=natural) == ["", "layer1", "layer2", "layer10"]


def test_architecture_picture_tells_every_layer():
    space = LayeredSpace(depths=(2, 3), widths=(16, 64), skips=("none", "residual"))
    labels = {c.name: c.labels[-1] for c in space.choices} | {"layer2.skip": "none", "layer3.dropout": "0"}
    figure = draw_architecture(space.canonical(labels), "Chosen", space=LayeredSpace)
    shown = texts(figure)
    assert [shown.count(text) for text in ("conv 7×7, 64", "residual", "dropout 0.5")] == [3, 2, 2]
    told = {"layer 1", "layer 2", "layer 3", "average pool", "Tanh", "batch norm", "input", "classifier", "Chosen"}
    assert told <= set(shown)
    assert boxes_overlap(figure) == []


@pytest.mark.parametrize(
    ("space", "before", "behind"), [(SequenceSpace, "dropout 0.5", "max pool"), (ChoiceSpace, "layer norm", "GELU")]
)
def test_a_skip_joins_where_the_layer_adds_it(space, before, behind):
    drawn = SequenceSpace(shared=True, depths=(1,), pools=("max",), skips=("residual",))
    figure = draw_architecture(drawn.canonical({c.name: c.labels[-1] for c in drawn.choices}), space=space)
    (joint,) = {line.get_ydata()[-1] for line in figure.axes[0].lines}
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert heights[before] > joint > heights[behind]


@pytest.mark.parametrize(
    "space", [EncoderDecoderSpace, LayeredSpace, MLPSpace, SequenceSpace], ids=lambda space: space.__name__
)
def test_spaces_tell_the_place_of_all_that_a_layer_is_asked(space):
    choices = space().choices
    layered = [choice.name.removeprefix("layer").split(".") for choice in choices if choice.name.startswith("layer")]
    assert layered
    assert all(question in space.layer_questions for _, question in layered)
    assert space.first_skip == min(int(place) for place, question in layered if question == "skip")


def test_a_network_without_layers_and_a_linear_model_are_told():
    shown = texts(draw_architecture(Architecture({"depth": "0"}), space=MLPSpace, shape=RowShape(13), outputs=3))
    assert shown == ["input", "rows of 13", "numbers", "no layers: linear", "depth 0", "classifier", "3 outputs"]
    number = texts(draw_architecture(Architecture({"depth": "0"}), space=MLPSpace, shape=RowShape(13), outputs=1))
    assert number[-2:] == ["output", "1 output"]
    linear = Architecture({"rows": "100"})
    assert texts(draw_architecture(linear, space=KernelSpace)) == [
        "input", "rows: 100", "linear model", "classifier"
    ]  # fmt: skip
    both = draw_architecture(Architecture({"depth": "1", "operation": "gru"}), space=SequenceSpace, linear=linear)
    assert [texts(both).count(text) for text in ("gru", "linear model", "classifier", "mean")] == [1, 1, 2, 1]
    assert boxes_overlap(both) == []


def test_picture_file_and_pixels(tmp_path):
    figure = draw_architecture(Architecture({"kernel": "3", "depth": "2"}))
    save(figure, tmp_path / "sub" / "architecture.png")
    with Image.open(tmp_path / "sub" / "architecture.png") as image:
        size = image.size
    assert size[0] > 600
    assert size[1] > 120
    array = pixels(figure)
    assert array.shape == (size[1], size[0], 3)
    assert array.min() < 50 < 250 < array.max()


def test_letters_that_matplotlibs_font_lacks_are_looked_for_in_others_without_a_warning(tmp_path):
    drawn = figures.figure(2, 1)
    usual, foreign = drawn.text(0, 0, "bird"), drawn.text(0, 0.5, "Größe 猫")
    before = usual.get_fontfamily()
    figures.save(drawn, tmp_path / "one.png")
    assert usual.get_fontfamily() == before
    assert foreign.get_fontfamily()[0] == "DejaVu Sans"
