"""Damage of all sorts to a saved model, each drawn from a seed.

Three families: the bytes and the files (what disks, copies and interrupted downloads do), JSON values and tensors
with all hashes signed again (what a stranger or an editor does: now schema and shapes must notice). `allowed` says of a
mutation that other scores may come of it: the change gives another model that a fit could have given as well.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Mutation", "json_leaves", "mutate", "rewritten", "signed_again"]

FILES = ("model.safetensors", "config.json", "calibration.json", "meta.json")


@dataclass(frozen=True)
class Mutation:
    """What was done, and whether other scores may come of it."""

    family: str
    text: str
    allowed: bool = False


def place_of(model: Path, name: str) -> Path:
    """Where a file of the model lies."""
    return (
        model / name if name == "meta.json" else model / json.loads((model / "meta.json").read_text())["folder"] / name
    )


def signed_again(model: Path) -> None:
    """Make all hashes true of what is there now."""
    meta = json.loads((model / "meta.json").read_text())
    for name, about in meta["files"].items():
        content = place_of(model, name).read_bytes()
        about |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    own = ("format", "format_version", "folder", "files", "facts_sha256")
    facts = {key: value for key, value in meta.items() if key not in own}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    meta["facts_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (model / "meta.json").write_text(json.dumps(meta))


def rewritten(model: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file through a function that edits it in place, and sign it."""
    path = place_of(model, name)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    signed_again(model)


def mutate(model: Path, sibling: Path, seed: int) -> Mutation:
    """Damage the model, as the seed says."""
    rng = np.random.default_rng(seed)
    family = (_damage_bytes, _damage_files, _edit_json, _edit_tensors)[seed % 4]
    return family(model, sibling, rng)


def _one(rng: np.random.Generator, given: Any) -> Any:
    options = list(given)
    return options[int(rng.integers(len(options)))]


# Bytes


def _damage_bytes(model: Path, sibling: Path, rng: np.random.Generator) -> Mutation:
    name, how = _one(rng, FILES), _one(rng, ("flip", "flip", "cut", "grow", "zeros", "empty", "digit"))
    path = place_of(model, name)
    content = bytearray(path.read_bytes())
    spot = int(rng.integers(len(content)))
    if how == "flip":
        content[spot] ^= 1 << int(rng.integers(8))
    elif how == "cut":
        del content[spot:]
    elif how == "grow":
        content += bytes(rng.integers(256, size=int(rng.integers(1, 100)), dtype=np.uint8))
    elif how == "zeros":
        content[spot : spot + 64] = bytes(len(content[spot : spot + 64]))
    elif how == "empty":
        content.clear()
    else:  # a digit becomes another: valid JSON, mostly
        digits = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
        spot = _one(rng, digits)
        content[spot] = 48 + (content[spot] - 48 + int(rng.integers(1, 10))) % 10
    path.write_bytes(content)
    return Mutation("bytes", f"{how} {name} at {spot}")


# Files


def _damage_files(model: Path, sibling: Path, rng: np.random.Generator) -> Mutation:
    name = _one(rng, FILES)
    other = _one(rng, [file for file in FILES if file != name])
    path = place_of(model, name)
    how = _one(rng, _FILES)
    _FILES[how](path, place_of(model, other), place_of(sibling, name), model)
    return Mutation("files", f"{how}: {name}")


def _swap(path: Path, other: Path, sibling: Path, model: Path) -> None:
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _deep(path: Path) -> None:
    path.write_bytes(b'{"a": ' * 200_000 + b"1" + b"}" * 200_000)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room


def _no_folder(path: Path, other: Path, sibling: Path, model: Path) -> None:
    shutil.rmtree(place_of(model, "config.json").parent)


_FILES: dict[str, Callable[[Path, Path, Path, Path], object]] = {
    "missing": lambda path, *_: path.unlink(),
    "renamed": lambda path, *_: path.rename(path.with_name(f"{path.name}.bak")),
    "swapped": _swap,
    "of another model": lambda path, other, sibling, model: shutil.copyfile(sibling, path),
    "a folder": lambda path, *_: _replace(path, Path.mkdir),
    "a pipe": lambda path, *_: _replace(path, os.mkfifo),
    "link to /dev/zero": lambda path, *_: _replace(path, lambda p: p.symlink_to("/dev/zero")),
    "link to itself": lambda path, *_: _replace(path, lambda p: p.symlink_to(p.name)),
    "link to a pipe": lambda path, *_: (
        os.mkfifo(path.parent / "pipe"),
        _replace(path, lambda p: p.symlink_to("pipe")),
    ),
    "deep": lambda path, *_: _deep(path),
    "huge": lambda path, *_: _huge(path),
    "no data": _no_folder,
}


# JSON, signed again

_NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", '"1"', "null", "true", "[]", "{}", '"' + "x" * 20_000 + '"')
_ABSURD = (1e308, -1e308, 10**18, -(10**18), 10**400)


def json_leaves(content: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the ways to all values."""
    if isinstance(content, dict | list) and content:
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        return [leaf for key, value in pairs for leaf in json_leaves(value, (*way, key))]
    return [way]


def _edit_json(model: Path, sibling: Path, rng: np.random.Generator) -> Mutation:
    name = _one(rng, ("calibration.json", "calibration.json", "config.json", "meta.json"))
    path = place_of(model, name)
    content = json.loads(path.read_text())
    facts = {k: v for k, v in content.items() if k not in ("folder", "files", "facts_sha256")}
    section = _one(rng, facts)  # every section as often, however many values it has
    way = (section, *_one(rng, json_leaves(facts[section])))
    parent: Any = content
    for key in way[:-1]:
        parent = parent[key]
    old, how = parent[way[-1]], _one(rng, ("no number", "absurd", "missing", "extra", "negative", "zero", "nudged"))
    how = "nudged" if how == "extra" and not isinstance(parent, dict) else how
    raw, allowed = None, False
    if how == "no number":
        raw = _one(rng, _NO_NUMBERS)
    elif how == "absurd":
        raw = json.dumps(_one(rng, _ABSURD)) if rng.integers(3) else "[" * 5000 + "]" * 5000
    elif how == "missing":
        del parent[way[-1]]
    elif how == "extra":
        parent["unheard of"] = 1
    elif isinstance(old, bool) or not isinstance(old, int | float):
        raw = '"?"'
    elif how in ("negative", "zero"):
        parent[way[-1]] = -abs(old) - 1 if how == "negative" else 0
        allowed = _may_be_any_number(way)
    else:
        parent[way[-1]] = old + 1 if isinstance(old, int) else old * 1.1
        allowed = True
    # of what is shown to people only, or is a text, any valid value will do
    allowed |= way[0] in ("choices", "warnings", "source", "read_options") or isinstance(old, str)
    if raw is not None:
        parent[way[-1]] = "@here@"
    path.write_text(json.dumps(content).replace('"@here@"', raw or ""))
    with suppress(ValueError, RecursionError):  # meta.json is no JSON any more
        signed_again(model)
    return Mutation("JSON, signed", f"{how} {name}:{'.'.join(map(str, way))} = {(raw or '')[:20]}", allowed)


def _may_be_any_number(way: tuple[Any, ...]) -> bool:
    """Means, centres and scores may be negative or zero; deviations, weights and counts may not, or must agree."""
    if way[0] == "choices":
        return True
    last = [key for key in way if isinstance(key, str)][-1]
    return last in ("centre", "scores", "blocks", "peaks", "mean_db", "floor_db") or way[-1] == 0


# Tensors, signed again


def _edit_tensors(model: Path, sibling: Path, rng: np.random.Generator) -> Mutation:
    import torch
    from safetensors.torch import load_file, save_file

    path = place_of(model, "model.safetensors")
    tensors = load_file(path)
    # each group as often, however many tensors it has
    groups = sorted({name.partition(".")[0] for name in tensors})
    group = _one(rng, groups)
    name = _one(rng, sorted(n for n in tensors if n.partition(".")[0] == group))
    own, how = tensors[name].clone(), _one(rng, _TENSORS)
    allowed = False
    if how in ("nan", "inf", "-inf", "3e38"):
        if not own.is_floating_point():
            own = own.float()
        own.view(-1)[int(rng.integers(own.numel()))] = float(how)
    elif how == "negative":
        own = -own.abs() - 1 if own.dtype != torch.uint8 else own + 7
        allowed = own.is_floating_point() and name.rpartition(".")[2] not in ("scale", "weights", "whitening")
        allowed |= name.rpartition(".")[2] in ("weight",)
    elif how == "nudged":
        own = (own.float() * 1.05).to(own.dtype)
        allowed = True
    elif how == "shape":
        own = own.reshape(1, *own.shape)
    elif how == "shorter":
        own = own[: len(own) - 1] if own.ndim and len(own) > 1 else own.reshape(-1)[:0]
    elif how == "dtype":
        own = own.to({torch.float32: torch.float16, torch.float16: torch.float32}.get(own.dtype, torch.int32))
    tensors[name] = own.contiguous()
    if how == "missing":
        del tensors[name]
    elif how == "space missing":
        tensors = {n: t for n, t in tensors.items() if n.rpartition(".")[0] != name.rpartition(".")[0]}
    elif how == "renamed":
        tensors[f"{name}x"] = tensors.pop(name)
    elif how == "extra":
        tensors[f"{group}.more"] = own.clone()
    elif how == "swapped":
        other = _one(rng, sorted(n for n in tensors if n != name))
        tensors[name], tensors[other] = tensors[other], tensors[name]
        allowed = tensors[name].shape == tensors[other].shape and tensors[name].dtype == tensors[other].dtype
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    if how in ("header", "lengths"):
        _break_header(path, how, rng)
    signed_again(model)
    return Mutation("tensors, signed", f"{how} {name}", allowed)


_TENSORS = ("nan", "inf", "-inf", "3e38", "negative", "nudged", "shape", "shorter", "dtype", "missing", "space missing",
            "renamed", "extra", "swapped", "header", "lengths")  # fmt: skip


def _break_header(path: Path, how: str, rng: np.random.Generator) -> None:
    """Let the table claim other shapes than there are bytes for, or be of another length."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if how == "lengths":
        claimed = int(_one(rng, (0, 1, length - 1, length + 8, 2**31, 2**63, 2**64 - 1)))
        path.write_bytes(claimed.to_bytes(8, "little") + content[8:])
        return
    table = json.loads(content[8 : 8 + length])
    own = table[_one(rng, [name for name in table if name != "__metadata__"])]
    factor = int(_one(rng, (2**20, 2**40, 2**62, -1)))
    own["shape"] = [*own["shape"], factor]
    if rng.integers(2):
        own["data_offsets"][1] = own["data_offsets"][0] + math.prod(own["shape"]) * 4
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
