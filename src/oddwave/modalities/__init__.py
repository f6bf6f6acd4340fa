"""The readers' addresses of version 0.1, which warn; the readers live in `sources/`."""

__all__: list[str] = []
