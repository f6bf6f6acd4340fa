"""The paper's figures: read from the package, complete, and set beside the right cells of ours."""

import pytest

from oddwave.lab.bench.paper import (
    PAPER_SOURCE,
    beside_the_paper,
    paper_ablation,
    paper_auc,
)


def row(dataset, item, protocol, method, auroc, seed="0", error=""):
    return {
        "dataset": dataset, "item": item, "protocol": protocol, "method": method, "seed": seed, "auroc": auroc,
        "error": error,
    }  # fmt: skip


def test_figures_are_the_papers():
    assert "2505.05137" in PAPER_SOURCE
    assert paper_auc("image")["bottle"] == {
        "VAE": 0.891, "AnoGAN": 0.878, "PatchSVDD": 0.903, "DDPM": 0.915, "Ours": 0.946,
    }  # fmt: skip
    assert paper_auc("series")["pems_bay"]["Autoformer"] == 0.899
    assert list(paper_auc("image")["tile"].values()) == [0.887, 0.872, 0.899, 0.913, 0.944]
    assert list(paper_auc("series")["nyc_taxi"].values()) == [0.852, 0.870, 0.895, 0.902, 0.920]
    assert list(paper_auc("series")) == ["nyc_taxi", "machine_temperature", "ecg200", "wafer", "pems_bay"]
    assert {len(figures) for figures in paper_auc("image").values()} == {5}


@pytest.mark.parametrize(("modality", "full", "no_attention"), [("image", 0.941, 0.915), ("series", 0.919, 0.883)])
def test_ablation_has_a_column_for_each_modality(modality, full, no_attention):
    table = paper_ablation(modality)
    assert (table["full"], table["no_attention"], len(table)) == (full, no_attention, 5)
    assert max(table, key=table.get) == "full"


def test_series_stand_beside_the_paper_by_protocol_and_mean_over_seeds():
    taxi, broken = "realKnownCause/nyc_taxi", "DataError: no"
    lines = beside_the_paper(
        "series",
        [
            row("nab", taxi, "semi", "oddwave", "0.50"),
            row("nab", taxi, "semi", "oddwave", "0.60", seed="1"),
            row("nab", taxi, "semi", "oddwave", "", seed="2", error=broken),
            row("nab", taxi, "unsupervised", "transformer", "0.71"),
            row("pems_bay", "sensor_a", "injected", "autoformer", "0.80"),
            row("pems_bay", "sensor_b", "injected", "autoformer", "0.90"),
            row("nab", "realTraffic/speed_6005", "semi", "oddwave", "0.11"),
        ],
    )
    table = [line for line in lines if line.startswith("| ")]
    assert table[0] == (
        "| item | VAE / vae | Transformer-AD / transformer | Autoformer / autoformer | DDPM / plain_ddpm | "
        "the paper's / oddwave |"
    )
    assert table[1:] == [
        "| nyc_taxi (nab, semi) | 0.852 / – | 0.870 / – | 0.895 / – | 0.902 / – | 0.920 / 0.550 |",
        "| nyc_taxi (nab, unsupervised) | 0.852 / – | 0.870 / 0.710 | 0.895 / – | 0.902 / – | 0.920 / – |",
        "| pems_bay (pems_bay, injected) | 0.858 / – | 0.875 / – | 0.899 / 0.850 | 0.906 / – | 0.925 / – |",
    ]


def test_images_have_a_column_for_the_papers_own_setting():
    lines = beside_the_paper(
        "image",
        [
            row("mvtec_ad", "pill", "one_class", "oddwave", "0.96"),
            row("mvtec_ad", "pill", "one_class", "oddwave_pixel", "0.55"),
            row("mvtec_ad", "pill", "one_class", "plain_ddpm_pixel", "0.61"),
            row("other", "tile", "one_class", "oddwave", "0.99"),
        ],
    )
    assert lines[-1] == (
        "| pill (mvtec_ad, one_class) | 0.893 / – | 0.880 / – | 0.905 / – | 0.917 / 0.610 | 0.948 / 0.960 | 0.550 |"
    )
    assert sum(line.startswith("|") for line in lines) == 3


@pytest.mark.parametrize("modality", ["image", "series"])
def test_nothing_to_set_beside_is_said(modality):
    lines = beside_the_paper(modality, [row("ucr", "FordA", "one_class", "oddwave", "0.6")])
    assert "not run here" in lines[-1]
    assert next(iter(paper_auc(modality))) in lines[-1]
