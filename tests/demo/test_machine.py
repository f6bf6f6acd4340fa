"""The demonstration's machine with three senses: what is compared is what was planted, and the whole of it runs."""

import csv
from datetime import datetime

import pytest

from oddwave.demo.machine import FAULTS, SENSES, match_moments, print_moments, run_machine
from oddwave.fused import fused_verdict
from oddwave.senses.match import Thing


def moment(text, *p_values, alpha=0.1):
    told = dict(zip(SENSES, p_values, strict=False))
    return Thing(text, p_values=told, when=datetime.fromisoformat(text)), fused_verdict(
        text, told, {}, list(SENSES), "cauchy", alpha
    )


def test_moments_are_compared_with_what_was_planted_in_their_hour(capsys):
    given = [
        moment("2026-03-04 03:00:00", 0.02, 0.5, 1.0),
        moment("2026-03-04 04:42:00", 1.0, 1.0, 0.01),  # of no hour: an event that nothing was planted for
        moment("2026-03-04 05:00:00", 0.5, 0.5, 1.0),
        moment("2026-03-04 06:00:00", 0.5, 0.9, 1.0),
    ]
    found = match_moments([thing for thing, _ in given], [verdict for _, verdict in given])
    assert [each.planted and each.planted.name for each in found] == ["tooth lost", None, "bearing dry", None]
    print_moments(found, 0.1)
    told = capsys.readouterr().out
    assert "MISSED" in next(line for line in told.splitlines() if line.startswith("bearing dry"))
    assert "Found 1 of 2 faults by all senses together; 1 false alarm among\n2 healthy moments" in told
    assert "06:00:00" not in told


@pytest.mark.slow
def test_one_machine_is_judged_by_all_its_senses_together(tmp_path, capsys):
    found = run_machine(tmp_path)
    faulty = {each.planted.name: each.verdict for each in found if each.planted is not None}
    assert set(faulty) == {fault.name for fault in FAULTS}
    assert all(verdict.label == 1 for verdict in faulty.values())
    for fault in FAULTS[:3]:
        assert faulty[fault.name].strongest == fault.senses[0]
    assert all(share > 0.1 for share in faulty["gear breaks"].shares.values())
    assert sum(each.verdict.label for each in found if each.planted is None) <= 1
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {tmp_path / 'report.html'}"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(f'href="{name}/report.html"' in page and (tmp_path / name / "report.html").exists() for name in SENSES)
    with (tmp_path / "data" / "planted.csv").open(encoding="utf-8", newline="") as file:
        assert [row["fault"] for row in csv.DictReader(file)] == [fault.name for fault in FAULTS]
