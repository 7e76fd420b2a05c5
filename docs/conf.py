"""The documentation's build: `sphinx-build -W docs FOLDER`; it needs the extra `docs` and no network."""

from __future__ import annotations

import html
import importlib
import inspect
import sys
from abc import ABC
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import lit_metanas  # noqa: E402

project = "lit-metanas"
release = lit_metanas.__version__
copyright = "the authors of lit-metanas, Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"show-inheritance": True}
napoleon_use_rtype = False
napoleon_use_ivar = True
maximum_signature_line_length = 100
# Members that a package re-exports keep the short name under which users import them.
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "lit-metanas"
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["style.css"]


class Room(SphinxDirective):
    """The public names of a room: a table of them, then each in full."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the room's docstring and its `__all__`."""
        (room,) = self.arguments
        module = importlib.import_module(room)
        table = [".. list-table::\n   :widths: auto\n"]
        parts = []
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                doc = inspect.getdoc(value) or ""
                members = "\n   :members:" if inspect.isclass(value) else ""
                if members and "BaseEstimator" in {base.__name__ for base in inspect.getmro(value)}:
                    members += "\n   :inherited-members: BaseEstimator"  # `fit` stands in the base of both estimators
                parts.append(f".. auto{'class' if members else 'function'}:: {name}{members}")
            else:
                doc = _data_doc(room, name)
                parts.append(f".. data:: {name}\n\n   {doc}")
            table.append(
                f"   * - :any:`{name} <{room}.{name}>`\n     - {' '.join(doc.partition(chr(10) * 2)[0].split())}"
            )
        # Markdown pages take directives of reStructuredText, which the docstrings are written in, in such a block.
        text = "\n\n".join([f".. automodule:: {room}", f".. currentmodule:: {room}", "\n".join(table), *parts])
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")


def _data_doc(room: str, name: str) -> str:
    """The string below a constant or a type alias, in whichever module of the room it stands."""
    for module in sorted(loaded for loaded in sys.modules if loaded.startswith(f"{room}.")):
        lines = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name))
        if lines:
            return " ".join(lines).strip()
    return ""


def _leave_out_object(app: Any, name: str, value: object, options: object, bases: list[type]) -> None:
    """Every class is an object: that says nothing."""
    bases[:] = [base for base in bases if base not in (object, ABC)]


def _leave_out_others(app: Any, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """What is Lightning's or scikit-learn's own is documented there, with references that lead nowhere here."""
    owner = str(getattr(value, "__module__", ""))
    return True if owner.startswith(("lightning.", "sklearn.")) or name == "set_score_request" else None


def setup(app: Any) -> dict[str, bool]:
    """Add what the pages need; equations become MathML, which browsers draw without a script, a font or an image."""
    app.add_directive("room", Room)
    app.connect("autodoc-process-bases", _leave_out_object)
    app.connect("autodoc-skip-member", _leave_out_others)
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_mathml(node, node.astext()))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({html.escape(str(node["number"]))})</span>' if node["number"] else ""
    anchors = "".join(f'<span id="{name}"></span>' for name in node["ids"])
    self.body.append(f'<div class="math">{anchors}{number}{_mathml(node, node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Node, source: str, as_block: bool = False) -> str:
    try:
        return tex2mathml(source, as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("'%s': %s", source, error, location=node)
        return html.escape(source)
