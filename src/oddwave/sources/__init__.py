"""Readers: files, folders and objects in memory to items, one folder per modality; no torch. Read `base.py` next."""

from oddwave.sources.base import Failure, Item, ItemSet

__all__ = ["Failure", "Item", "ItemSet"]
