"""Single questions, each a script: `python -m oddwave.lab.studies.NAME --help`."""

__all__: list[str] = []
