"""Kinds of input, their shapes and their padding."""

import json

import pytest
import torch

from lit_metanas.inputs.batches import blank_inputs, join_inputs, step_mask, trim_steps
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import (
    ImageShape,
    RowShape,
    SeriesShape,
    TokenShape,
    as_shape,
    describe_shape,
    image_shape,
    plain_shape,
    read_shape,
    same_shape,
    shape_of,
    vocabulary_of,
)

SHAPES = [ImageShape(3, 8, 9), SeriesShape(4, 7), TokenShape(50, 6), RowShape(5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_comes_back_from_json_and_from_inputs(shape):
    found = read_shape(json.loads(json.dumps(plain_shape(shape))))
    assert found == shape
    assert type(found) is type(shape)
    assert shape_of(blank_inputs(2, shape), vocabulary=50) == shape
    assert str(shape[-1]) in describe_shape(shape)


@pytest.mark.parametrize(
    "plain", [[], [1, 2], [1, 2, 3, 4], ["series", 1], ["tokens", 5, -1], ["sound", 1, 2], [1, 2.0, 3], [True, 2, 3]]
)
def test_what_is_no_shape_is_refused(plain):
    with pytest.raises(ValueError, match="is not the shape of an input"):
        read_shape(plain)


def test_shapes_and_inputs_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="for images, and the inputs are sequences of up to 6 of 50 tokens: take"):
        image_shape(TokenShape(50, 6))
    with pytest.raises(ValueError, match=r"\(1, 2\) is none of an image"):
        as_shape((1, 2))
    for inputs in (torch.rand(3), torch.arange(3), torch.ones(2, 3, dtype=torch.int64)):
        with pytest.raises(ValueError, match="give images"):
            shape_of(inputs)


def test_padding_is_added_and_left_out_again():
    series = torch.rand(2, 3, 4)
    series[:, -1] = 1
    series[1, :, 2:] = 0
    tokens = torch.tensor([[1, 2, 0], [4, 0, 0]])
    for inputs in (series, tokens):
        longer = join_inputs([inputs, blank_inputs(1, shape_of(inputs, vocabulary=9))[..., :1]])
        assert torch.equal(longer[:2], inputs)
        assert step_mask(longer)[2].tolist() == [True] + [False] * (inputs.shape[-1] - 1)
        padded = torch.nn.functional.pad(inputs, (0, 5))
        assert torch.equal(trim_steps(padded), trim_steps(inputs))
    assert trim_steps(tokens).shape == (2, 2)
    assert trim_steps(torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 1)
    for others in (torch.zeros(2, 1, 4, 4), torch.zeros(2, 3)):
        assert trim_steps(others) is others
        assert torch.equal(join_inputs([others, others]), torch.cat([others, others]))


def test_shapes_of_two_kinds_are_never_the_same():
    assert SeriesShape(7, 11) == TokenShape(7, 11)  # as tuples
    assert not same_shape(SeriesShape(7, 11), TokenShape(7, 11))
    assert same_shape(TokenShape(7, 11), TokenShape(7, 11))
    assert same_shape((1, 8, 9), ImageShape(1, 8, 9))
    assert not same_shape((1, 8, 9), (1, 9, 8))
    assert [vocabulary_of(shape) for shape in SHAPES] == [None, None, 50, None]


class Tables(Preprocessing):
    """Tells what it is given."""

    kind = "tables"
    shape = TokenShape(3, 4)
    encode = show = from_plain = None

    def __init__(self, plain):
        self.plain = plain

    def to_plain(self):
        return self.plain


def test_a_digest_is_of_plain_values():
    assert Tables({"a": 1, "b": None}).digest == Tables({"b": None, "a": 1}).digest != Tables({"a": 1}).digest
    with pytest.raises(ValueError, match=r"Tables: what 'to_plain' tells is not plain .*object.*: give only what JSON"):
        _ = Tables({"a": object()}).digest
