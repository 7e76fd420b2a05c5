"""Draws the figures of the documentation: `python docs/figures`, into another folder `python docs/figures FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import accounts
import evidence
import matplotlib
import meta_gradients
import overview
import relaxations
from matplotlib import pyplot as plt

FIGURES = (overview, relaxations, meta_gradients, accounts, evidence)


def main(folder: Path) -> None:
    """Draw each figure as an SVG file of its module's name."""
    matplotlib.use("svg")
    # The same file each time it is drawn: no date, no random names.
    plt.rcParams |= {"svg.hashsalt": "lit_metanas", "font.family": "DejaVu Sans", "font.size": 9}
    for module in FIGURES:
        figure = module.draw()
        figure.savefig(folder / f"{module.__name__}.svg", metadata={"Date": None}, facecolor="white")
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
