import pytest

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
