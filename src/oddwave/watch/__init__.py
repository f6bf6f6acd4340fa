"""Sources that go on: files that grow, folders that fill, topics, endpoints. Read `run.py` first."""

__all__: list[str] = []
