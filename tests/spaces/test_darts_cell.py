"""DARTS's space: genotypes, published counts, the rule by which architectures are derived, Optuna."""

import pytest
import torch
from torch import nn

from lit_metanas.spaces import Architecture, DARTSCell
from lit_metanas.training import Child

V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
)
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)


@pytest.mark.parametrize(("genotype", "millions"), [(V1, 3.169414), (V2, 3.349342)], ids=["DARTS_V1", "DARTS_V2"])
def test_published_parameter_counts(genotype, millions):
    """On CIFAR-10 with 36 channels and 20 cells, without the auxiliary classifier."""
    space = DARTSCell(channels=36, cells=20, normalised_pools=False)
    cost = space.cost(space.from_genotype(genotype), (3, 32, 32), 10)
    assert cost.parameters / 1e6 == pytest.approx(millions, abs=5e-7)


def test_genotypes_are_read_and_written():
    space = DARTSCell()
    architecture = space.from_genotype(V2)
    assert architecture["normal.inputs5"] == "0+2"
    assert architecture["normal.edge0-5"] == "skip_connect"
    assert architecture["normal.edge2-5"] == "dil_conv_3x3"
    assert "normal.edge1-5" not in architecture
    assert len(architecture) == 2 * (4 + 8)
    text = space.to_genotype(architecture)
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")
    assert text.endswith("reduce_concat=range(2, 6))")
    assert space.from_genotype(text) == architecture
    swapped = V2.replace("('sep_conv_3x3', 1), ('skip_connect', 0)", "('skip_connect', 0), ('sep_conv_3x3', 1)")
    assert space.from_genotype(swapped.replace("range(2, 6)", "(2,3, 4, 5)")) == architecture


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("Genotype(", "print("), "is not a genotype"),
        (("range(2, 6)", "__import__('os').getcwd()"), "is not a genotype"),
        (("reduce_concat=range(2, 6)", f"reduce_concat=range(2, {10**30})"), "is not a genotype"),
        (("normal_concat=range(2, 6)", "normal_concat=(3, 4, 5)"), "is not a genotype"),
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"), "Node 5 of the genotype's normal cell: give two inputs"),
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "give two inputs from 0 to 4"),
        (("('skip_connect', 0), ('dil_conv_3x3', 2)", "('skip_connect', 0)"), "is not a genotype"),
        ((V2, "(" * 3000), "is not a genotype"),
    ],
)
def test_foreign_notations_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        DARTSCell().from_genotype(V2.replace(*change))


def plain_rule(space, logits):
    """DARTS's rule as the paper tells it: rank incoming edges, keep two."""
    labels = {}
    for kind in ("normal", "reduce"):
        for node in range(2, 6):
            ranked = []
            for source in range(node):
                name = f"{kind}.edge{source}-{node}"
                row = logits[name].double().exp()
                row = row / row.sum()
                best = max(range(1, 8), key=lambda place, row=row: float(row[place]))
                ranked.append((float(row[best]), source, name, space.layout.operations[best]))
            kept = sorted(sorted(ranked, reverse=True)[:2], key=lambda item: item[1])
            labels[f"{kind}.inputs{node}"] = "+".join(str(item[1]) for item in kept)
            labels |= {name: operation for _, _, name, operation in kept}
    return Architecture(labels)


def test_derive_follows_the_rule():
    space = DARTSCell()
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        logits = {c.name: 2 * torch.randn(len(c.labels), generator=generator) for c in space.choices}
        assert space.derive(logits) == plain_rule(space, logits)
    # An edge whose mass lies on ``none`` is weak, however clear its second best is.
    logits = {c.name: torch.zeros(len(c.labels)) for c in space.choices}
    logits["normal.edge0-3"] = torch.tensor([9.0, 5.0, 0, 0, 0, 0, 0, 0])
    architecture = space.derive(logits)
    assert architecture["normal.inputs3"] == "1+2"
    assert "none" not in architecture.values()


def test_restrictions():
    space = DARTSCell()
    architecture = space.sample(torch.Generator().manual_seed(3))
    alone = space.restricted(one_labels(space, architecture))
    assert alone.size == 1
    assert alone.derive({choice.name: torch.zeros(1) for choice in alone.choices}) == architecture
    assert space.size > alone.size
    # An edge without ``none`` is kept by every pair that is left.
    kept = space.restricted({"normal.edge1-4": "skip_connect"})
    by_name = {choice.name: choice for choice in kept.choices}
    assert by_name["normal.inputs4"].labels == ("0+1", "1+2", "1+3")
    logits = {c.name: torch.zeros(len(c.labels)) for c in kept.choices}
    logits["normal.edge1-4"] = torch.tensor([-9.0])
    assert kept.derive(logits)["normal.edge1-4"] == "skip_connect"
    twice = kept.restricted({"normal.edge0-4": "skip_connect", "normal.edge0-2": "skip_connect"})
    assert {c.name: c.labels for c in twice.choices}["normal.inputs4"] == ("0+1",)
    with pytest.raises(ValueError, match=r"no pair of 'normal\.inputs4' holds all edges without 'none'"):
        twice.restricted({"normal.edge3-4": "skip_connect"})
    with pytest.raises(ValueError, match=r"Unknown choice 'normal\.edge5-4': DARTSCell has 'normal\.edge3-4'"):
        space.restricted({"normal.edge5-4": "none"})
    with pytest.raises(ValueError, match=r"Choice 'normal\.edge1-4' has no label 'none': use skip_connect"):
        kept.restricted({"normal.edge1-4": "none"})


def one_labels(space, architecture):
    return {choice.name: architecture.get(choice.name, choice.labels[0]) for choice in space.choices}


def test_auxiliary_classifier_learns_beside_the_other():
    space = DARTSCell(channels=2, cells=3, auxiliary=True)
    shape, way = (1, 9, 8), 4
    architecture = space.sample(torch.Generator().manual_seed(0))
    module = Child(space=space, architecture=architecture, shape=shape, way=way)
    child = module.network
    inputs, labels = torch.rand(6, *shape, generator=torch.Generator().manual_seed(1)), torch.arange(6) % way
    child.eval()
    outputs = child.body.outputs(inputs)
    expected = nn.functional.cross_entropy(child.head(outputs[-1].mean((2, 3))), labels)
    expected = expected + 0.4 * nn.functional.cross_entropy(child.auxiliary(outputs[2]), labels)
    torch.testing.assert_close(module.step_loss(inputs, labels, seed=0, epoch=0, step=0), expected)
    without = DARTSCell(channels=2, cells=3).child(architecture, shape, way).eval()
    without.load_state_dict({n: v for n, v in child.state_dict().items() if not n.startswith("auxiliary.")})
    torch.testing.assert_close(without(inputs), child(inputs))
    twin = space.child(architecture, shape, way, space.supernet_weights(child)).eval()
    torch.testing.assert_close(twin.all_scores(inputs), child.all_scores(inputs))
    with pytest.raises(ValueError, match="auxiliary classifier needs two pixels"):
        space.child(architecture, (1, 4, 4), way)
