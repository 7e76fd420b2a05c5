"""The verb ``schema``: a JSON schema of configurations, by which editors complete and check them."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse
from lightning.pytorch import LightningDataModule, LightningModule

from lit_metanas.automl.options import shell_help, shell_options
from lit_metanas.cli.configuration_files import BASE
from lit_metanas.cli.errors import public_names
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.prediction import predict
from lit_metanas.cli.verbs import KEYS
from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.packages import loaded_subclasses
from lit_metanas.io.text import printable
from lit_metanas.records.record import grouped
from lit_metanas.report.report_verb import report
from lit_metanas.training import Trainer

DRAFT = "https://json-schema.org/draft/2020-12/schema"  # the version of the language, with which every schema begins

PACKAGES = ("lit_metanas", "lightning", "torch.optim", "optuna")
"""Where the classes are that are known; others are taken as they are. (jsonargparse's own schema follows the types of
arguments through all classes that are loaded, among them all of torch's modules: it has 3 MB, and fails at an argument
whose type is a class of classes.)"""

PLAIN: dict[Any, Any] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}

Schema: TypeAlias = dict[str, Any]


def schema(path: str = "") -> None:
    """Print the schema of all configurations, or write it to a file; an earlier schema there is replaced."""
    text = json.dumps(configuration_schema(), indent=1, ensure_ascii=False)
    if not path:
        print(text)
        return
    file = own_path(path, "path")
    if file.exists() and DRAFT not in file.read_text(encoding="utf-8", errors="replace")[:200]:
        raise ValueError(f"'{printable(path)}' is there already, and holds no schema: give another path.")
    write_whole(file, f"{text}\n")
    print(
        f"The schema is in '{printable(path)}'. In a configuration: # yaml-language-server: $schema={printable(path)}"
    )


def configuration_schema() -> Schema:
    """The schema of a configuration of any verb, or of a part in a file of its own, such as a search space."""
    made = SchemaBuilder(public_names().values())
    trainer = made.fields(Trainer)
    values = {
        "trainer": trainer,
        "model": made.described(LightningModule),
        "data": made.described(LightningDataModule),
        "ckpt_path": {"type": ["string", "null"]},
        "seed_everything": {"type": ["boolean", "integer"]},
    }
    kinds = {
        "fit, validate, test or search": _object(values),
        "auto": _object({one.name: made.of(one.annotation) for one in shell_options()}, shell_help()),
        "run": made.fields(run, KEYS["run"], without=["execute"]),
        "predict": made.fields(predict, KEYS["predict"]),
        "report": made.fields(report, KEYS["report"]),
        "a part": made.described(object),
    }
    for one, key in ((trainer, "callbacks"), (kinds["run"], "phases"), (kinds["report"], "results")):
        one["properties"][f"{key}+"] = one["properties"][key]  # appends to the list of an earlier file
    for title, kind in kinds.items():
        if "properties" in kind:
            kind["properties"][BASE] = {"type": "string", "description": "the configuration that this one lies over"}
        kind["title"] = title
    return {"$schema": DRAFT, "anyOf": list(kinds.values()), "$defs": made.definitions}


class SchemaBuilder:
    """Makes schemas of types; those of classes are definitions, which others refer to.

    Args:
        public: what goes by its name alone.
    """

    def __init__(self, public: Iterable[object]) -> None:
        self.public = [one for one in public if isinstance(one, type)]
        self.definitions: dict[str, Schema] = {}
        self._seen: dict[str, type] = {}

    def of(self, hint: Any) -> Schema:
        """The schema of a type's values; an empty one, which any value meets, of what has no words of its own."""
        origin, args = get_origin(hint), get_args(hint)
        if hint in PLAIN:
            return {"type": PLAIN[hint]}
        if origin is Literal:
            return {"enum": list(args)}
        if origin in (Union, types.UnionType):
            return _any_of([self.of(one) for one in args])
        if isinstance(origin, type) and issubclass(origin, Callable):  # type: ignore[arg-type]
            return _any_of([{"type": "string"}, *(self.described(made) for made in args[-1:] if _is_known(made))])
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(args[1])}
        if isinstance(origin, type) and issubclass(origin, Iterable):
            return {"type": "array", "items": _any_of([self.of(one) for one in args if one is not ...])}
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [one.name for one in hint]}
        if _is_known(hint) and not issubclass(hint, tuple | str):
            return self.described(hint)
        return {}

    def described(self, base: type) -> Schema:
        """What describes an object of a class or of one of its subclasses, as a reference; or the path of a file."""
        name = f"any.{base.__qualname__}"
        if name not in self.definitions:
            self.definitions[name] = {}  # a class may take objects of its own kind
            self.definitions[name] |= self._description(base)
        return {"$ref": f"#/$defs/{name}"}

    def _description(self, base: type) -> Schema:
        classes = {self._name(one): one for one in self._classes(base)}
        self._seen |= classes
        arguments = {name: self._arguments(one) for name, one in sorted(classes.items())}
        objects = [self.definitions[f"arguments.{name}"] for name in arguments]
        one_of: list[Schema] = [
            {
                "if": {"properties": {"class_path": {"pattern": rf"(^|\.){name.rpartition('.')[2]}$"}}},
                "then": {"properties": {"init_args": own}},
            }
            for name, own in arguments.items()
        ]
        whole: Schema = {
            "properties": {
                # A class of somebody's own goes by its path.
                "class_path": {"anyOf": [{"enum": list(arguments)}, {"type": "string", "pattern": r"\."}]},
                "init_args": {"type": "object"},
                "dict_kwargs": {"type": "object"},
            },
            "additionalProperties": False,
            "if": {"required": ["class_path"]},
            "then": {"allOf": one_of},
        }
        if not any(one["additionalProperties"] for one in objects):  # the class may be that of another file
            given = grouped(pair for one in objects for pair in one["properties"].items())
            whole["else"] = {"properties": {"init_args": _object({key: _any_of(own) for key, own in given.items()})}}
        if is_dataclass(base):  # its fields may stand alone
            is_class = {"anyOf": [{"required": ["class_path"]}, {"required": ["init_args"]}]}
            whole = {"if": is_class, "then": whole, "else": self._arguments(base)}
        return {"type": ["object", "string", "null"], **whole}

    def _classes(self, base: type[Any]) -> list[type]:
        """The known classes of a base; of ``object`` those that some argument takes."""
        if base is object:
            return list(self._seen.values())
        own = [one for one in loaded_subclasses(base) if _is_known(one) and not one.__name__.startswith("_")]
        return own if inspect.isabstract(base) else [base, *own]

    def _arguments(self, one: type) -> Schema:
        """The arguments of a class, as a reference."""
        place = f"arguments.{self._name(one)}"
        if place not in self.definitions:
            self.definitions[place] = {"properties": {}, "additionalProperties": True}
            self.definitions[place] = self.fields(one)
        return {"$ref": f"#/$defs/{place}"}

    def fields(
        self, function: Callable[..., Any], texts: Mapping[str, str] | None = None, *, without: Sequence[str] = ()
    ) -> Schema:
        """An object with the arguments of a function or a class by their names."""
        found, said = dict[str, Schema](), dict[str, str]()
        layers, is_open = [(function, function.__doc__)], False
        if isinstance(function, type):
            layers = [(vars(one)["__init__"], one.__doc__) for one in function.__mro__[:-1] if "__init__" in vars(one)]
        for layer, doc in layers:  # further keywords are those of the next class
            taken, hints = inspect.signature(layer).parameters.values(), _hints(layer)
            said = {one.arg_name: one.description or "" for one in parse(doc or "").params} | said
            named = [one.name for one in taken if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
            new = (name for name in named if name not in ("self", *without, *found))
            found |= {name: self.of(hints.get(name, Any)) for name in new}
            is_open = any(one.kind is one.VAR_KEYWORD for one in taken)
            if not is_open:
                break
        return _object(found, texts or said, is_open=is_open)

    def _name(self, one: type) -> str:
        """The name of a class in configurations: alone if it is public, else behind its module."""
        return one.__name__ if one in self.public else f"{one.__module__}.{one.__name__}"


def _hints(function: Any) -> Mapping[str, Any]:
    """The types of arguments; none where these name what only type checkers import."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _is_known(hint: object) -> bool:
    """Whether a type is a class of one of the packages whose classes are known."""
    return isinstance(hint, type) and f"{hint.__module__}.".startswith(tuple(f"{package}." for package in PACKAGES))


def _object(
    properties: Mapping[str, Schema], texts: Mapping[str, str] | None = None, *, is_open: bool = False
) -> Schema:
    """An object with some keys, each with its text, and no others unless it is open."""
    said = {name: {"description": " ".join(text.split())} for name, text in (texts or {}).items() if text}
    own = {name: {**one, **said.get(name, {})} for name, one in properties.items()}
    return {"type": "object", "properties": own, "additionalProperties": is_open}


def _any_of(schemas: Sequence[Schema]) -> Schema:
    # Arguments of several classes may differ in nothing but their texts.
    own = [{key: value for key, value in one.items() if key != "description"} for one in schemas]
    different = [one for place, one in enumerate(own) if one not in own[:place]]
    if not different or {} in different:
        return {}
    if len(different) == 1:
        return schemas[0]
    return {"anyOf": different}
