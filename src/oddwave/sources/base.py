"""What the three modalities read alike: an item or the failure to read it, the set of both, and the loop that fills it.

    source --find--> Candidates --read_entries--> Items and Failures, each in its place --> ItemSet

A modality says what a source means, how one candidate becomes an item, and what an item's `identity` is. A new one
writes the same three things; read `image/reader.py` next, the shortest example.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from oddwave.errors import ConfigError, DataError
from oddwave.sources.files import FoundFiles, OnError, find_listed, is_path, unique_names

__all__ = [
    "Candidate", "Failure", "Item", "ItemSet", "NothingReadError", "candidates_in", "candidates_of", "check_option",
    "copies_note", "nothing_read", "read_entries",
]  # fmt: skip


@runtime_checkable
class Item(Protocol):
    """One thing to be judged: an image, a recording, a stream or an instance of a panel."""

    @property
    def id(self) -> str:
        """A name that stays the same from run to run, such as a path below the source."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading it decided or could not use."""
        ...


class HashedItem(Item, Protocol):
    """An item whose contents were hashed when it was found."""

    @property
    def digest(self) -> str:
        """A hash of the contents."""
        ...

    @property
    def identity(self) -> tuple[object, ...]:
        """Its id first, then its form and contents: items that are equal behind the id are copies of each other."""
        ...


AnyT = TypeVar("AnyT")
ReadT_co = TypeVar("ReadT_co", covariant=True)
ItemT = TypeVar("ItemT", bound=HashedItem)


@dataclass(frozen=True)
class Failure:
    """An item that could not be read; `reason` is a predicate, such as "is empty (0 bytes): copy it again"."""

    id: str
    path: Path | None
    reason: str

    @property
    def message(self) -> str:
        """The whole sentence, on one line."""
        return " ".join(f"'{self.path or self.id}' {self.reason}".split())


@dataclass(frozen=True, eq=False)
class ItemSet(Generic[ItemT]):
    """Everything that one source holds, in its order and each in its place: an item, or the failure to read it."""

    entries: tuple[ItemT | Failure, ...]
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[ItemT, ...]:
        """What could be read, as far as headers tell."""
        return tuple(entry for entry in self.entries if not isinstance(entry, Failure))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be read."""
        return tuple(entry for entry in self.entries if isinstance(entry, Failure))

    @property
    def fingerprint(self) -> str:
        """A BLAKE2b hash over ids, forms and contents: equal data, equal fingerprint.

        The contents' hashes were taken when the source was read: one pass over the bytes, nothing decoded.
        """
        content = hashlib.blake2b(digest_size=32)
        for item in self.items:
            content.update(repr(item.identity).encode())
        return content.hexdigest()

    def known_in(self, digests: Collection[str]) -> tuple[str, ...]:
        """Return the ids of items with one of the given digests: test items that training has seen."""
        known = frozenset(digests)
        return tuple(item.id for item in self.items if item.digest in known)


@dataclass(frozen=True)
class Candidate(Generic[ReadT_co]):
    """A part of the source that was found but not looked at yet; `read` raises DataError whose text is a predicate."""

    id: str
    path: Path | None
    read: Callable[[], ReadT_co]


def read_entries(
    candidates: Iterable[Candidate[AnyT]], on_error: OnError, failure: type[Failure] = Failure
) -> Iterator[AnyT | Failure]:
    """Read candidate after candidate: yield what it is, or with `on_error="skip"` the failure in its place.

    Raises:
        DataError: the first candidate that cannot be read, with `on_error="stop"`; of the type that `read` raised.
    """
    for candidate in candidates:
        try:
            yield candidate.read()
        except DataError as error:
            failed = failure(candidate.id, candidate.path, str(error))
            if on_error == "stop":
                error.args = (failed.message,)
                raise
            yield failed


class NothingReadError(DataError):
    """Nothing of a source could be read; `failures` say why, one by one."""

    failures: tuple[Failure, ...] = ()


def nothing_read(failures: Sequence[Failure], noun: str) -> NothingReadError:
    """Return the error for a source of which nothing could be read, or in which there was nothing."""
    first = f", the first: {failures[0].message}" if failures else ": give one or more"
    error = NothingReadError(f"the source holds no {noun} that can be read{first}")
    error.failures = tuple(failures)
    return error


def candidates_in(found: FoundFiles, from_file: Callable[[str, Path], AnyT]) -> list[Candidate[AnyT]]:
    """Return the files that were found; one that cannot be looked into fails with the reason for that."""
    return [
        Candidate(name, path, partial(_refuse, reason) if reason else partial(from_file, name, path))
        for name, path, reason in found.entries
    ]


def candidates_of(
    entries: Sequence[Any],
    names: Sequence[str] | None,
    noun: str,
    from_file: Callable[[str, Path], AnyT],
    from_memory: Callable[[str, Any], AnyT],
) -> list[Candidate[AnyT]]:
    """Return paths and things in memory in their order, under the names of a mapping or under names of their own."""
    listed = iter(find_listed([entry for entry in entries if is_path(entry)]).files)
    names = None if names is None else unique_names(names)
    candidates = []
    for number, entry in enumerate(entries):
        if is_path(entry):
            identifier, path = next(listed)
            name = names[number] if names else identifier
            candidates.append(Candidate(name, path, partial(from_file, name, path)))
        else:
            name = names[number] if names else f"{noun}_{number:04d}"
            candidates.append(Candidate(name, None, partial(from_memory, name, entry)))
    return candidates


def copies_note(items: Sequence[HashedItem], noun: str) -> list[str]:
    """Note, where that is so, how many items have the contents of others."""
    first: dict[tuple[object, ...], str] = {}
    pairs = [(item.id, first.setdefault(item.identity[1:], item.id)) for item in items]
    copies = [(identifier, other) for identifier, other in pairs if identifier != other]
    if not copies:
        return []
    return [f"{len(copies)} {noun}(s) are copies of others, such as '{copies[0][0]}' of '{copies[0][1]}'"]


def check_option(name: str, value: Any, *known: Any) -> None:
    """Refuse an option's value that is not among the known ones. Raises: ConfigError."""
    if not any(value is each or (isinstance(value, str) and value == each) for each in known):
        *most, last = (repr(each) for each in known)
        raise ConfigError(f"{name} is {value!r}: give {', '.join(most)} or {last}")


def _refuse(reason: str) -> Any:
    raise DataError(reason)
