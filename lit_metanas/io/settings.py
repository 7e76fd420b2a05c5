"""Settings of objects as plain values, which decide whether a search was finished under the same ones."""

from __future__ import annotations

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import partial, wraps
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import without_passwords

_KEPT, _FURTHER = "_settings_kept", "_settings_further"

_under_way: ContextVar[tuple[int, ...]] = ContextVar("_under_way", default=())
"""Objects that are being described, the outermost first."""

Class = TypeVar("Class", bound=type)


def keeps_arguments(further: Callable[[Any], Mapping[str, Any]] | None = None) -> Callable[[Class], Class]:
    """Decorate a base class: its objects keep their constructor's arguments for ``settings_of``."""
    # The constructor may store an argument under any name, in another form, or not at all. `further` gives more plain
    # values by name that distinguish an object. Arrays are kept as digests; containers and foreign objects as they are
    # before the constructor runs.

    def decorate(base: Class) -> Class:
        assert "__init_subclass__" not in vars(base)

        def init_subclass(cls: type, /, **options: Any) -> None:
            super(base, cls).__init_subclass__(**options)  # type: ignore[arg-type]
            _wrap(cls)

        base.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment, method-assign]
        setattr(base, _FURTHER, staticmethod(further or (lambda made: {})))
        _wrap(base)
        return base

    return decorate


def _wrap(cls: type) -> None:
    construct = cls.__init__  # type: ignore[misc]
    if construct is object.__init__ or hasattr(construct, _KEPT):
        return
    signature = inspect.signature(construct)

    @wraps(construct)
    def keep(self: object, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is keep:  # the constructor that was called, not one that it calls
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError:  # the constructor's own error is clearer
                pass
            else:
                bound.apply_defaults()
                _, *given = bound.arguments.items()
                vars(self)[_KEPT] = {name: _keep(value) for name, value in given}
        construct(self, *args, **kwargs)

    setattr(keep, _KEPT, True)
    cls.__init__ = keep  # type: ignore[misc]


def settings_of(value: object) -> Any:
    """Describe an object by plain values: equal for objects that were made alike, different for others."""
    # What cannot be read at all is described differently each time. The code of classes is not read.
    return _to_plain(_keep(value))


def tensor_digest(*tensors: Tensor) -> str:
    """A digest of shapes, types and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(flat.shape)} {flat.dtype}".encode())
        digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class _Text(str):
    """A text that may name a file, which is read only when the settings are written."""


def _keep(value: Any) -> Any:
    """Plain values, texts, and objects that keep their arguments; any other object is described now: it may change."""
    try:
        return _plain(value, ())
    except Exception:  # of foreign code, and of objects that are deeper than the stack: it is never the same again
        return {"class": _name(type(value)), "unknown": uuid4().hex}


def _plain(value: Any, above: tuple[int, ...]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float) or hasattr(type(value), _FURTHER):
        return value
    if isinstance(value, str | os.PathLike):
        return _Text(os.fsdecode(value))
    if isinstance(value, bytes | bytearray):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject:
        described = f"{value.shape} {value.dtype.str}".encode()
        return {"array": hashlib.sha256(described + np.ascontiguousarray(value).tobytes()).hexdigest()}
    if isinstance(value, type | ModuleType):
        return _name(value)
    if id(value) in above:
        return {"again": _name(type(value))}

    def inner(part: Any) -> Any:
        return _plain(part, (*above, id(value)))

    if type(value) in (list, tuple, np.ndarray):
        return [inner(part) for part in value]
    if isinstance(value, Mapping):
        if all(isinstance(name, str) for name in value):
            return {str(name): inner(part) for name, part in value.items()}
        return [[inner(name), inner(part)] for name, part in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(inner, value), key=repr)
    if isinstance(value, partial):
        args, how = list(value.args), value.func
        if _name(how).startswith("jsonargparse."):  # where an argument takes a class: partial(its functions, the class)
            how, args = args[-1], []
        return {"class": inner(how), "of": inner(args), "arguments": inner(value.keywords)}
    if isinstance(value, FunctionType):
        return _function(value, inner)
    return {"class": _name(type(value)), "state": _state(value, inner)}


def _state(value: Any, inner: Callable[[Any], Any]) -> Any:
    """What pickle makes a copy of an object of, which includes all that it was made with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return f"{getattr(value, '__module__', '')}.{reduced}"
    return [inner(list(part)) if isinstance(part, Iterator) else inner(part) for part in reduced]


def _function(value: FunctionType, inner: Callable[[Any], Any]) -> Any:
    """A function by its name; a lambda, an inner function or one of a notebook also by its source."""
    if "<" not in value.__qualname__ and value.__module__ != "__main__":
        return _name(value)
    used = inspect.getclosurevars(value)
    parts = (value.__defaults__, value.__kwdefaults__, used.nonlocals, used.globals)
    return {"function": _name(value), "source": inspect.getsource(value), "uses": [inner(part) for part in parts]}


def _to_plain(kept: Any) -> Any:
    """Values that JSON takes, from values that ``_keep`` returned."""
    if isinstance(kept, _Text):
        return _text_to_plain(kept)
    if isinstance(kept, list):
        return [_to_plain(part) for part in kept]
    if isinstance(kept, dict):
        return {name: _to_plain(part) for name, part in kept.items()}
    cls = type(kept)
    if not hasattr(cls, _FURTHER):
        return kept
    arguments = vars(kept).get(_KEPT)
    if arguments is None:  # a data class, or one without a constructor
        arguments = {name: _keep(own) for name, own in vars(kept).items()}
    if id(kept) in _under_way.get():  # its further values may refer to the object itself
        return {"again": _name(cls)}
    token = _under_way.set((*_under_way.get(), id(kept)))
    try:
        return {"class": _name(cls), "arguments": _to_plain(arguments), **getattr(cls, _FURTHER)(kept)}
    finally:
        _under_way.reset(token)


def _text_to_plain(text: str) -> Any:
    try:
        if Path(text).is_file():
            # With its name: the text may be no path at all, and two files may hold the same.
            with open(text, "rb") as stream:
                return {"file": Path(text).name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    except (OSError, ValueError):  # no path: too long, or with characters that paths cannot have
        pass
    return without_passwords(text)


def _name(value: Any) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
