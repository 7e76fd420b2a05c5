"""Linear models of n-grams: their features and their solver against plain ones, what they cost, and their export."""

from math import log

import pytest
import torch
import torch.nn.functional as F
from space_toys import check_programs, every_objective

import lit_metanas as lm
from lit_metanas.kinds import NGrams
from lit_metanas.objectives import Distillation, Regression, SeveralLabels
from lit_metanas.spaces.any_input.ngram_space import Dual
from lit_metanas.spaces.any_input.solved_models import margins_of
from lit_metanas.training.child import fit_child, score

WORDS, ENDS = ["fold", "cut", "turn", "lift", "open"], ["lo", "ko", "no"]
TEXTS = [f"{one} the {two}{place % 7}{end}" for place, one in enumerate(WORDS) for two in WORDS for end in ENDS]
GRAMS = NGrams().fitted(TEXTS)
LABELS = torch.arange(len(TEXTS)) % 3
SPACE = lm.spaces.NGramSpace()
MOST, *_, FEW = SPACE.architectures()


def child_of(way, objective=None, epochs=20, shape=GRAMS.shape):
    recipe = lm.Recipe(epochs=epochs, weight_decay=0.1)
    return lm.Child(space=SPACE, architecture=MOST, shape=shape, way=way, recipe=recipe, objective=objective)


def inputs_with(numbers):
    """The texts with so many numbers before each, and their shape."""
    tokens, row = GRAMS.encode(TEXTS), torch.stack([10.0 * LABELS + 3, torch.arange(len(TEXTS)) % 5 - 2.0], 1)
    if not numbers:
        return tokens, GRAMS.shape
    return torch.cat([row, tokens], 1), lm.inputs.TextRowShape(numbers, *GRAMS.shape)


def slow_values(text):
    """tf-idf of the n-grams of a text by loops, words and pieces each of length 1."""
    found = {}
    for words in (True, False):
        own = [gram for gram in GRAMS.split(text) if gram and gram.startswith("\t") == words]
        counts = {gram: sum(gram in GRAMS.split(other) for other in TEXTS) for gram in own}
        rare = {gram: 1 + log((1 + len(TEXTS)) / (1 + count)) for gram, count in counts.items() if count}
        length = sum(value**2 for value in rare.values()) ** 0.5
        found |= {gram: value / length for gram, value in rare.items()}
    return found


def dense(values):
    """Rows of features, shape (n, n-grams)."""
    rows = torch.zeros(len(values), len(GRAMS.grams), dtype=torch.float64)
    for row, own in zip(rows, values, strict=True):
        for gram, value in own.items():
            row[GRAMS.grams.index(gram)] = value
    return rows


def primal(x, margins, costs, sided):
    """Vectors and bias by Newton steps on the primal of each output, to the last digit."""
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    found = torch.zeros(x.shape[1], margins.shape[1], dtype=x.dtype)
    for column, (margin, cost) in enumerate(zip(margins.T, costs.T, strict=True)):
        own = found[:, column]
        for _ in range(50):
            short = (margin * (x @ own) < 1) if sided else torch.ones_like(margin, dtype=torch.bool)
            weighed = 2 * cost[short, None] * x[short]
            hessian = torch.eye(x.shape[1], dtype=x.dtype) + weighed.T @ x[short]
            own = torch.linalg.solve(hessian, weighed.T @ margin[short])
        found[:, column] = own
    return found


@pytest.mark.parametrize("sided", [True, False])
def test_descent_finds_the_optimum_of_the_primal(sided):
    x, margins = torch.randn(30, 8, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    if sided:
        margins = margins.sign()
    costs = torch.rand(30, 3, dtype=torch.float64) + 0.1
    dual = Dual([torch.arange(8)] * 30, [*x], margins, costs, sided=sided, number=8)
    for _ in range(400):
        dual.descend(torch.arange(30), torch.Generator().manual_seed(1))
    found = torch.cat([dual.vectors, dual.bias[None]])
    torch.testing.assert_close(found, primal(x, margins, costs, sided), atol=1e-6, rtol=0)
    torch.testing.assert_close(dual.scores(torch.arange(5)), x[:5] @ found[:8] + found[8])


@pytest.mark.parametrize("numbers", [0, 2])
def test_models_are_those_of_a_linear_support_vector_machine(numbers):
    svm = pytest.importorskip("sklearn.svm", reason="needs the extra sklearn")
    (inputs, shape), x, scale = inputs_with(numbers), dense([slow_values(text) for text in TEXTS]), 1.0
    if numbers:
        inputs = inputs.double()
        row = inputs[:, :numbers]
        scale = float(row.square().sum(1).mean() ** -0.5)
        x = torch.cat([x, scale * row], 1)
    child = child_of(3, epochs=50, shape=shape)
    fit_child(child.double(), lm.Split(inputs, LABELS), seed=0)
    cost = child.network.strength / child.recipe.weight_decay
    expected = svm.LinearSVC(C=cost, tol=1e-9, max_iter=100_000).fit(x.numpy(), LABELS.numpy())
    vectors, rows = child.network.vectors.detach(), len(child.network.rarity)
    own = torch.cat([vectors[2 : rows - 1], vectors[rows:] / scale]).T
    factor = float(own.norm()) / float(torch.from_numpy(expected.coef_).norm())  # which calibrates
    assert 1 < factor < 30
    torch.testing.assert_close(own / factor, torch.from_numpy(expected.coef_), atol=1e-4, rtol=0)
    scores = torch.from_numpy(expected.decision_function(x.numpy()))
    torch.testing.assert_close(child.network(inputs) / factor, scores, atol=1e-3, rtol=0)


def test_classes_labels_and_numbers_have_margins():
    one, sided = margins_of(lm.Classification(3), torch.tensor([2, 0]))
    assert (one.tolist(), sided) == ([[-1, -1, 1], [1, -1, -1]], True)
    sets, sided = margins_of(SeveralLabels(2), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert (sets.tolist(), sided) == ([[1, -1], [-1, -1]], True)
    numbers, sided = margins_of(Regression((10.0,), (2.0,)), torch.tensor([[12.0], [10.0]]))
    assert (numbers.tolist(), sided) == ([[1], [0]], False)
    taught = Distillation(lm.Classification(2))
    targets = taught.targets(torch.tensor([0, 0]), torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    assert margins_of(taught, targets)[0].tolist() == [[1, -1], [-1, 1]]  # what the teacher says

    class Ordinal(lm.Classification):
        pass

    assert margins_of(Ordinal(3), torch.tensor([0])) is None


@every_objective(LABELS)
def test_texts_are_learned_by_the_ends_of_their_words(objective, targets):
    weights = 1 + torch.rand(len(TEXTS), generator=torch.Generator().manual_seed(0))
    split = lm.Split(GRAMS.encode(TEXTS), targets, weights)
    child = child_of(targets.shape[1] if objective else 3, objective)
    cost = fit_child(child, split, seed=0)
    assert (cost.steps, cost.images) == (20 * len(TEXTS), 20 * len(TEXTS))
    assert score(child, split) > 0.95
    again = child_of(targets.shape[1] if objective else 3, objective)
    fit_child(again, split, seed=0)
    assert torch.equal(again.network.vectors, child.network.vectors)


def test_few_weights_are_those_of_the_most_frequent_n_grams():
    shape = GRAMS.shape._replace(vocabulary=500_000)
    cost = SPACE.cost(FEW, shape, 30)
    network = SPACE.child(FEW, shape, 30)
    assert cost.parameters == sum(own.numel() for own in network.parameters()) <= int(FEW["weights"])
    torch.nn.init.normal_(network.vectors)
    rows = len(network.rarity)
    network.rarity.data[2:-1, 1] = 1.0
    scores = network(torch.tensor([[2, 3, rows - 1, rows + 5], [2, 3, 0, 0]]))
    torch.testing.assert_close(scores[0], scores[1])
    again = SPACE.child(FEW, shape, 30, SPACE.supernet_weights(network))
    assert torch.equal(again.vectors, network.vectors)


@pytest.mark.parametrize("numbers", [0, 2])
def test_a_program_gives_the_same_scores(tmp_path, numbers):
    inputs, shape = inputs_with(numbers)
    child = child_of(3, shape=shape)
    fit_child(child, lm.Split(inputs, LABELS), seed=0)
    given = {"shape": shape, "preprocessing": None if numbers else GRAMS}
    check_programs(child.network, inputs, tmp_path, tolerance=1e-4, **given)
    if not numbers:
        assert lm.load(tmp_path).show(TEXTS[:3]) == ["a", "b", "c"]


def test_a_token_that_is_repeated_counts_as_often():
    inputs, labels = torch.tensor([[2, 3, 2], [3, 4, 0], [4, 2, 4]] * 4), torch.tensor([0, 1, 1] * 4)
    child = child_of(2, epochs=100, shape=lm.TokenShape(5, 3))
    fit_child(child.double(), lm.Split(inputs, labels), seed=0)
    values = child.network._values(inputs)
    x = torch.zeros(12, 6, dtype=torch.float64).scatter_add_(1, inputs, values)
    margins = 2.0 * F.one_hot(labels, 2).double() - 1
    expected = primal(x, margins, torch.ones_like(margins), sided=True)
    found = torch.cat([child.network.vectors, child.network.bias[None]]).detach()
    torch.testing.assert_close(found / found.norm(), expected / expected.norm(), atol=1e-5, rtol=0)
