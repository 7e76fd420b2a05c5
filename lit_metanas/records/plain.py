"""Records as plain JSON values, and back, by the types of the dataclasses' fields."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lit_metanas.inputs.shapes import KindShape, Shape, plain_shape, read_shape
from lit_metanas.io.text import printable, utf8_text
from lit_metanas.spaces.architecture import Architecture

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Stored = TypeVar("Stored", bound="DataclassInstance")

# Texts for the numbers that JSON does not have.
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_SHAPES = set(get_args(Shape))


def to_plain(value: object) -> Any:
    """Turn records, architectures and tuples into dictionaries, lists and plain values."""
    match value:
        case Architecture():
            return value.to_json()
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        case Mapping():
            return {utf8_text(str(key)): to_plain(item) for key, item in value.items()}
        case _ if isinstance(value, KindShape):
            return plain_shape(value)
        case str():
            return utf8_text(value)  # at the end of a search it is too late for a refusal
        case tuple() | list():
            return [to_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return value


def from_plain(kind: type[Stored], value: object, place: str) -> Stored:
    """Read a dataclass from the values of ``to_plain``; ``place`` is its position in the file, for messages."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} must be an object, not {_quote(value)}")
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {field.name: field for field in fields(kind)}
    if unknown := [name for name in value if name not in known]:
        raise ValueError(f"{place} has an unknown field '{printable(str(unknown[0]), 40)}'")
    arguments = {}
    for name, field in known.items():
        if name in value:
            arguments[name] = read_field(hints[name], value[name], f"{place}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{place} lacks the field '{name}'")
    return kind(**arguments)


def read_field(hint: Any, value: object, place: str) -> Any:
    """Read a value of an annotated type; ``place`` is its position in the file, for messages."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if set(inner) >= _SHAPES and not (value is None and type(None) in inner):
            try:
                return read_shape(value if isinstance(value, list) else [])
            except ValueError:
                raise ValueError(f"{place} must be the shape of an input, not {_quote(value)}") from None
        return _read_union(inner, value, place)
    if origin is tuple:
        return _read_tuple(inner, value, place)
    if origin is list:
        return list(_read_tuple((*inner, ...), value, place))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{place} must be an object, not {_quote(value)}")
        return {
            str(key): read_field(inner[1], item, f"{place}.{printable(str(key), 40)}") for key, item in value.items()
        }
    if hint is Architecture:
        return Architecture(read_field(dict[str, str], value, place))
    if is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value, place)
    return _read_scalar(hint, value, place)


def _read_union(options: tuple[Any, ...], value: object, place: str) -> Any:
    """Read the first option whose type is exactly the value's, then the first that takes it."""
    for option in options:
        if option is type(value) or (option is type(None) and value is None):
            return value
    for option in options:
        try:
            return read_field(option, value, place)
        except ValueError:
            continue
    names = " or ".join(str(option.__name__) for option in options).replace("NoneType", "null")
    raise ValueError(f"{place} must be {names}, not {_quote(value)}")


def _read_tuple(inner: tuple[Any, ...], value: object, place: str) -> tuple[Any, ...]:
    """Read ``tuple[X, ...]`` or a tuple of fixed length from a list."""
    if not isinstance(value, list):
        raise ValueError(f"{place} must be a list, not {_quote(value)}")
    if inner[1:] == (Ellipsis,):
        inner = inner[:1] * len(value)
    if len(value) != len(inner):
        raise ValueError(f"{place} must have {len(inner)} entries, not {len(value)}")
    return tuple(
        read_field(hint, item, f"{place}[{i}]") for i, (hint, item) in enumerate(zip(inner, value, strict=True))
    )


def _read_scalar(hint: Any, value: object, place: str) -> Any:
    """Read a number, a word or a truth value; a whole number serves as a float."""
    if hint is float and isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{place} is too large a number")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
        raise ValueError(f"{place} must be {names.get(hint, str(hint))}, not {_quote(value)}")
    return value


def _quote(value: object) -> str:
    return printable(repr(value), 40)
