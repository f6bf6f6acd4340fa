"""Readers: files, folders and objects in memory to items, one folder per modality; no torch. Read `base.py` next."""

from oddwave.sources.base import Item, ItemSet

__all__ = ["Item", "ItemSet"]
