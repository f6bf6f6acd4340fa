"""How the shipped prior of series is made: `examples.py` draws its training data, `train.py` trains it."""

__all__: list[str] = []
