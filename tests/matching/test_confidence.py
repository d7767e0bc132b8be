import json
from pathlib import Path

import pytest
import torch

from retimbre.core.random import generator
from retimbre.matching.confidence import NEAR_DB, confidence, is_fitted_on


def test_confidence_falls_with_the_loss_and_rises_with_the_pitch() -> None:
    by_loss = [confidence(loss, 0.9).value for loss in (0.0, 2.0, 5.0, 9.0, 20.0, 1e6)]
    assert by_loss == sorted(by_loss, reverse=True)
    by_pitch = [confidence(8.0, sure).value for sure in (0.0, 0.5, 1.0)]
    assert by_pitch == sorted(by_pitch)


@pytest.mark.parametrize("loss", [0.0, 1.0, 8.0, 40.0, 1e9, float("inf")])
def test_confidence_is_a_number_from_0_to_1_with_a_word(loss: float) -> None:
    found = confidence(loss, 0.5)
    assert 0.0 <= found.value <= 1.0
    assert found.words == ("high" if found.value >= 0.7 else "medium" if found.value >= 0.3 else "low")


def test_a_perfect_match_is_trusted_and_the_distance_of_another_sound_is_not() -> None:
    assert confidence(0.0, 0.0).value > 0.95
    # Unrelated patches are some 20 dB apart, and the loss is no less than the distance.
    assert confidence(20.0, 1.0).value < 0.05
    assert NEAR_DB < 20.0


def test_about_half_of_all_sounds_served_the_fit() -> None:
    share = sum(is_fitted_on(f"sound {number}.wav") for number in range(1000)) / 1000
    assert share == pytest.approx(0.5, abs=0.06)


def measured() -> tuple[torch.Tensor, torch.Tensor]:
    """What is stated of matches of real sounds that served no fit, and 1 where they came near."""
    golden = json.loads(
        (Path(__file__).parents[1] / "golden" / "confidence.json").read_text(encoding="utf-8")
    )
    assert not any(is_fitted_on(row[0]) for row in golden["matches"])
    stated = [confidence(loss, pitch).value for _, _, loss, pitch, _ in golden["matches"]]
    near = [float(mss_db <= NEAR_DB) for *_, mss_db in golden["matches"]]
    return torch.tensor(stated, dtype=torch.float64), torch.tensor(near, dtype=torch.float64)


def test_on_sounds_not_fitted_as_many_come_near_as_stated() -> None:
    stated, near = measured()
    bins = (stated * 5).long().clamp_max(4)

    def calibration_error(outcomes: torch.Tensor) -> torch.Tensor:
        gaps = torch.zeros(*outcomes.shape[:-1], 5, dtype=torch.float64)
        return gaps.index_add_(-1, bins, stated - outcomes).abs().sum(dim=-1) / len(stated)

    draws = torch.rand(2000, len(stated), dtype=torch.float64, generator=generator(0, "perfect forecasts"))
    perfect = calibration_error((draws < stated).double())
    # 0.06 is what a perfect forecast of 80 matches would have in the mean, by chance alone.
    assert float(calibration_error(near)) < float(perfect.quantile(0.95))
    assert float(stated.mean()) == pytest.approx(float(near.mean()), abs=0.05)


def test_on_sounds_not_fitted_the_confidence_says_more_than_their_share() -> None:
    stated, near = measured()
    brier = float((stated - near).square().mean())
    # Always saying the very share that came near; less than half of its error was measured.
    assert brier < 0.5 * float((near - near.mean()).square().mean())
