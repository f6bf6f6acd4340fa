"""Run facts in `*.jsonl.gz`: what is written is read back, the same records give the same bytes, damage is refused."""

import gzip
from pathlib import Path

import pytest

from oddwave.errors import CheckpointError
from oddwave.lab.bench.run_facts import cell_records, read_run_facts, write_run_facts

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
CELLS = [
    {"item": "screw", "method": "oddwave", "settings": {"seed": 0}, "environment": {"cores": 2}, "f1_max": 0.9},
    {"item": "tile", "method": "oddwave", "settings": {"seed": 0}, "environment": {"cores": 2}},
    {"item": "screw", "method": "random"},
]


def test_cells_come_back_with_what_they_share_and_share_it_in_the_file(tmp_path):
    write_run_facts(tmp_path / "a.jsonl.gz", [{"record": "ground", "name": "paper"}, *cell_records(CELLS)])
    assert read_run_facts(tmp_path / "a.jsonl.gz") == {"ground": [{"name": "paper"}], "cell": CELLS}
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).count(b'"cores"') == 1


def test_the_same_records_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_run_facts(tmp_path / name, cell_records(CELLS))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "damage", [b"no gzip", gzip.compress(b"{}\n", mtime=0), gzip.compress(b"[1]\n", mtime=0), "cut", None]
)
def test_damaged_or_missing_facts_are_refused(tmp_path, damage):
    path = tmp_path / "a.jsonl.gz"
    if damage == "cut":
        write_run_facts(path, cell_records(CELLS))
        damage = path.read_bytes()[:-12]
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(CheckpointError, match="cannot read the run facts"):
        read_run_facts(path)


@pytest.mark.parametrize("modality", ["series", "image", "audio", "ablation"])
def test_the_published_facts_are_read(modality):
    cells = read_run_facts(RESULTS / f"{modality}.jsonl.gz")["cell"]
    assert {"dataset", "item", "method", "seed"} <= set(cells[-1])
