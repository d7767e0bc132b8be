import pytest
import torch

from retimbre.core.random import generator
from retimbre.metrics.catalog import METRICS
from retimbre.metrics.parameters import FIGURES, Predictions
from retimbre.metrics.suite import SUITE

OF_SOUNDS = [name for name, metric in METRICS.items() if metric.compares == "sounds"]
OF_CLASSES = [name for name, metric in METRICS.items() if metric.compares == "classes"]


@pytest.mark.parametrize("name", METRICS)
def test_every_entry_says_what_a_reader_needs(name: str) -> None:
    metric = METRICS[name]
    assert metric.better in ("lower", "higher")
    assert metric.unit
    assert metric.description.endswith(".")
    assert metric.identical == 0.0 or metric.better == "higher"


@pytest.mark.parametrize("name", OF_SOUNDS)
def test_a_perfect_estimate_has_the_ideal_value_and_another_sound_a_worse_one(name: str) -> None:
    metric = METRICS[name]
    clips = 0.1 * torch.randn(2, 16000, generator=generator(0, "catalog noise"))
    clips[1] *= torch.linspace(0.0, 1.0, 16000) ** 4
    perfect, worse = metric.compute(clips, clips, 16000), metric.compute(clips, clips.flip(0), 16000)
    torch.testing.assert_close(perfect, torch.full((2,), metric.identical), rtol=0, atol=1e-6)
    assert bool(
        (worse > perfect + 1e-3).all() if metric.better == "lower" else (worse < perfect - 1e-3).all()
    )


@pytest.mark.parametrize("name", OF_CLASSES)
def test_perfect_predictions_have_the_ideal_value_and_inverted_ones_a_worse_one(name: str) -> None:
    metric = METRICS[name]
    truth = torch.arange(16).reshape(8, 2)
    scores = -(torch.arange(16.0) - truth[..., None]).abs()
    perfect, worse = metric.compute(Predictions(scores, truth)), metric.compute(Predictions(-scores, truth))
    assert perfect.unique().tolist() == [metric.identical]
    assert bool((worse > perfect).all() if metric.better == "lower" else (worse < perfect).all())


def test_the_catalog_holds_the_suite_and_the_figures_of_reports() -> None:
    assert set(SUITE) <= set(OF_SOUNDS)
    # The catalog has one entry for the five of top-k, and exact is top-1.
    assert {name for name in FIGURES if not name.startswith("top_")} <= set(OF_CLASSES)
