"""MAML of first order."""

from __future__ import annotations

from lit_metanas.meta.maml import MAML


class FOMAML(MAML):
    """MAML with inner gradients taken for constants (Finn et al. 2017, Section 5.2).

    What else depends on the meta-parameters is differentiated: a head made from class means passes its gradient on to
    the weights (Triantafillou et al. 2020, first-order Proto-MAML).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    second_order = False
