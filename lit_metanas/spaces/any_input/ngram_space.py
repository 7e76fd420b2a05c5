"""Linear models of n-grams by tf-idf, which coordinate descent in the dual trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import shortened
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.inputs.shapes import PADDING, Shape, TextRowShape, TokenShape, as_shape
from lit_metanas.objectives.objective import Objective
from lit_metanas.spaces.any_input.solved_models import SolvedModels, SolvedNetwork, calibration, costs_of, margins_of
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split

SIZES = (1 << 23, 1 << 20, 1 << 17, 1 << 14)
"""Weights of a model at most; it knows as many of the most frequent n-grams."""

NGRAM_DECAYS = (0.1, 0.03, 0.3)  # weight decays to choose from, those first that gain most on validation parts of texts

STRENGTH, NEXT_TO_NUMBERS = 0.1, 0.03
"""The cost of an error, if the weight decay is 1; and the same if there are numbers, which may say nothing."""

HELD_OUT, FIRST_PASSES = 5, 3
"""One in so many examples is learned from only after that many passes over the others, which it calibrates."""

PASSES, MOST_VISITS = 8, 200_000
"""Passes over the examples, after which validation scores no longer change; fewer for very many examples."""

MADE_AT_ONCE = 256  # examples whose values are computed together, so that what lies between takes little memory


class NGramSpace(SolvedModels, SearchSpace):
    """Linear models of the most frequent n-grams of a text, and of the numbers of its row if it is in a table.

    An example has each n-gram once: first words and pairs of words, then ``UNKNOWN``, then pieces, as
    ``lm.kinds.NGrams`` makes them, the more frequent ones by smaller numbers. Each counts by its inverse document
    frequency, and words and pieces are each scaled to length 1, so that the few words count as much as the many pieces.
    Numbers are scaled to a mean square length of 1. Other tokens are taken as n-grams.

    Example:
        >>> space = lm.spaces.NGramSpace()
        >>> [one["weights"] for one in space.architectures()]
        ['8388608', '1048576', '131072', '16384']
        >>> space.cost(space.canonical({"weights": "131072"}), lm.TokenShape(50_000, 300), way=8)
        NetworkCost(parameters=131068, flops=3600)

    1. Joachims. Text Categorization with Support Vector Machines. ECML 1998.
    """

    shapes = (TokenShape, TextRowShape)
    choices = (Choice("weights", tuple(map(str, SIZES))),)
    decays = NGRAM_DECAYS
    tried = 1

    @staticmethod
    def passes(examples: int) -> int:
        """The passes of a training on so many examples."""
        return max(2, min(PASSES, MOST_VISITS // examples))

    def uncounted_flops(self, architecture: Architecture, shape: Shape, examples: int) -> int:
        """That of the steps, each of a few small operations."""
        return 100_000 * self.passes(examples) * examples

    def network(self, architecture: Architecture, shape: Shape, way: int) -> NGramNetwork:
        """See ``SolvedModels``."""
        self.check_shape(shape)
        numbers, text = 0, as_shape(shape)
        if isinstance(text, TextRowShape):
            numbers, text = text.numbers, text.text
        assert isinstance(text, TokenShape)
        most = (int(self.canonical(architecture)["weights"]) - (numbers + 1) * way) // (way + 2)
        # The tokens of a model: padding, UNKNOWN, n-grams, and all further ones as a single one.
        rows = max(UNKNOWN + 2, min(text.vocabulary + 1, most))
        return NGramNetwork(rows, way, steps=text.steps, numbers=numbers)


class NGramNetwork(SolvedNetwork):
    """Scores that are linear in the tf-idf of n-grams, and in numbers if an input begins with some."""

    def __init__(self, rows: int, way: int, *, steps: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        # Of words in the first column, of pieces in the second; 0 for padding, and for what is not known.
        self.rarity = nn.Parameter(torch.zeros(rows, 2), requires_grad=False)
        self.vectors = nn.Parameter(torch.zeros(rows + numbers, way))  # those of numbers are the last ones
        self.bias = nn.Parameter(torch.zeros(way))
        self.strength = NEXT_TO_NUMBERS if numbers else STRENGTH
        self.flops = steps * (way + 4) + numbers * way

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, steps)``, int64, 0 behind the end, or ``(n, numbers + steps)``, to ``(n, way)``."""
        tokens, numbers = self._tokens(inputs), inputs[:, : self.numbers]
        values = self._values(tokens)
        if torch.compiler.is_compiling():  # a program has no bags, whose numbers would have to be checked
            scores = torch.bmm(values.unsqueeze(1), F.embedding(tokens, self.vectors)).squeeze(1)
        else:
            scores = F.embedding_bag(tokens, self.vectors, per_sample_weights=values, mode="sum")
        if self.numbers:
            scores = scores + numbers @ self.vectors[len(self.rarity) :]
        return scores + self.bias

    def _tokens(self, inputs: Tensor) -> Tensor:
        # Tokens beyond the last row are the last one.
        return shortened(inputs[:, self.numbers :].long()).clamp(max=len(self.rarity) - 1)

    def _values(self, tokens: Tensor) -> Tensor:
        # The tf-idf, shape (n, steps): words have length 1 together, and so have pieces.
        found = F.embedding(tokens, self.rarity)
        return (found * (found * found).sum(1, keepdim=True).clamp(min=1e-9).rsqrt()).sum(2)

    @torch.no_grad()
    def solve(
        self,
        part: Split,
        objective: Objective,
        decay: float,
        passes: int,
        seed: int,
        pass_ended: Callable[[], None] | None = None,
    ) -> bool:
        """See ``SolvedNetwork``; how rare n-grams are is learned first."""
        # A part of the examples is learned from only after some passes over the others, which it calibrates.
        device, inputs, labels = self.bias.device, part.inputs.cpu(), part.labels.cpu()
        self.cpu()  # where a step of a few small operations takes less time than on a GPU
        self._count(inputs)
        margins = margins_of(objective, labels)
        if margins is not None:
            wanted, sided = margins
            costs = self.strength / decay * costs_of(objective, wanted, part.weights)
            wanted, costs, scale = wanted.to(self.bias), costs.to(self.bias), self._scale(inputs)
            columns, values = self._sparse(inputs, scale)
            problem = Dual(columns, values, wanted, costs, sided=sided, number=len(self.vectors))
            first, generator = min(FIRST_PASSES, passes // 2), torch.Generator().manual_seed(seed)
            order, factor = torch.randperm(len(inputs), generator=generator), 1.0
            held, others = order.split([len(order) // HELD_OUT, len(order) - len(order) // HELD_OUT])
            for number in range(passes):
                problem.descend(others if number < first else order, generator)
                if sided and number == first - 1:
                    factor = calibration(objective, problem.scores(held), labels[held])
                if pass_ended is not None:
                    pass_ended()
            problem.vectors[len(self.rarity) :] *= scale
            self.vectors.copy_(factor * problem.vectors)
            self.bias.copy_(factor * problem.bias)
        self.to(device)
        return margins is not None

    def _count(self, inputs: Tensor) -> None:
        tokens = self._tokens(inputs)
        behind = (tokens == UNKNOWN).cumsum(1) > 0
        for column, part in enumerate((~behind, behind)):
            numbers = tokens[part].bincount(minlength=len(self.rarity))
            self.rarity[:, column] = 1 + torch.log((1 + len(inputs)) / (1 + numbers).to(self.rarity)).clamp(min=0)
            self.rarity[numbers == 0, column] = 0
        self.rarity[[PADDING, UNKNOWN, -1]] = 0

    def _scale(self, inputs: Tensor) -> float:
        # What numbers are multiplied by while they are learned from.
        return float(inputs[:, : self.numbers].double().square().sum(1).mean().clamp(min=1e-9).rsqrt())

    def _sparse(self, inputs: Tensor, scale: float) -> tuple[list[Tensor], list[Tensor]]:
        # The features that are not 0 of each example, and their values.
        columns, values, lengths = list[Tensor](), list[Tensor](), list[int]()
        for part in inputs.split(MADE_AT_ONCE):
            tokens, numbers = self._tokens(part), scale * part[:, : self.numbers]
            own = torch.arange(len(self.rarity), len(self.vectors)).expand(len(part), -1)
            found, places = torch.cat([self._values(tokens), numbers], 1), torch.cat([tokens, own], 1)
            known, size = found != 0, (len(part), len(self.vectors))
            pairs = torch.stack([known.nonzero()[:, 0], places[known]])
            sums = torch.sparse_coo_tensor(pairs, found[known], size, check_invariants=False).coalesce()
            columns.append(sums.indices()[1].int())
            values.append(sums.values())
            lengths += sums.indices()[0].bincount(minlength=len(part)).tolist()
        return [*torch.cat(columns).split(lengths)], [*torch.cat(values).split(lengths)]


class Dual:
    """The dual of a support-vector machine of squared errors, or of a ridge regression, with a bias.

    Vectors and bias are to have the smallest half of their squared norm plus costs times squared errors, for each
    output by itself. The bias is the weight of a feature that is always 1.

    Hsieh, Chang, Lin, Keerthi, Sundararajan. A Dual Coordinate Descent Method for Large-scale Linear SVM. ICML 2008.
    """

    def __init__(
        self,
        columns: Sequence[Tensor],  # the features of each example, each once
        values: Sequence[Tensor],  # of these
        margins: Tensor,  # the scores to reach, (n, outputs)
        costs: Tensor,  # of the squared errors, (n, outputs)
        *,
        sided: bool,  # whether a score beyond its margin is no error
        number: int,  # of features
    ) -> None:
        self.sided = sided
        self.vectors = margins.new_zeros(number, margins.shape[1])
        self.bias = margins.new_zeros(margins.shape[1])
        slacks, lengths = 0.5 / costs.clamp(min=1e-6), torch.stack([value @ value for value in values]) + 1
        shares = 1 / (lengths[:, None] + slacks)
        duals = torch.zeros_like(margins)  # what each example adds of its values to the vectors
        parts = (each.unbind() for each in (duals, margins, slacks, shares))
        self._rows = list(zip(columns, values, *parts, strict=True))

    def scores(self, places: Tensor) -> Tensor:
        """The scores of some examples."""
        return torch.stack([self._score(*self._rows[place][:2]) for place in places.tolist()])

    def descend(self, places: Tensor, generator: torch.Generator) -> None:
        """A step for each of some examples in a drawn order, which solves for that one, whatever the others are."""
        for place in places[torch.randperm(len(places), generator=generator)].tolist():
            column, value, dual, margin, slack, share = self._rows[place]
            new = (margin - self._score(column, value)).addcmul_(slack, dual, value=-1).mul_(share).add_(dual)
            if self.sided:  # what an example adds never points away from its margin
                new.mul_(margin).clamp_(min=0).mul_(margin)
            change = new - dual
            dual.copy_(new)
            self.bias.add_(change)
            self.vectors.index_add_(0, column, torch.outer(value, change))

    def _score(self, column: Tensor, value: Tensor) -> Tensor:
        return torch.mv(self.vectors.index_select(0, column).t(), value).add_(self.bias)
