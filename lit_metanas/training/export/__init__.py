"""A trained child as files that torch alone can load."""

from lit_metanas.training.export.exported_program import Exported, export_child, load

__all__ = ["Exported", "export_child", "load"]
