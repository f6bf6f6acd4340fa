"""`python -m oddwave` is the command `oddwave`. Read `cli.py` next."""

from oddwave.cli import app

__all__: list[str] = []

if __name__ == "__main__":
    app(prog_name="oddwave")
