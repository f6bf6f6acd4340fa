"""Read image from files, folders and objects in memory. Read `reader.py` next."""

__all__: list[str] = []
