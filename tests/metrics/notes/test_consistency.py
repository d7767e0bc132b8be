import pytest
import torch
from note_sounds import RATE, noise, oddities, tone

from retimbre.core.random import generator
from retimbre.metrics.notes.consistency import timbral_consistency, timbre_vectors


def test_the_formula_by_hand() -> None:
    # Group a at 0 and 1, group b at 4: for the first clip a = 1 and b = 4, so 3/4; the second has a = 1, b = 3.
    found = timbral_consistency(torch.tensor([[0.0], [1.0], [4.0]]), ["a", "a", "b"])
    assert found.values.tolist() == pytest.approx([3 / 4, 2 / 3, 0.0])
    assert found.measured.tolist() == [True, True, False]


def test_clips_of_the_same_key_do_not_make_a_group_consistent() -> None:
    points = torch.tensor([[0.0], [0.0], [2.0], [9.0]])
    found = timbral_consistency(points, ["a", "a", "a", "b"], [60, 60, 72, 60])
    # The first clip is compared with the one at 72 alone: a = 2, b = 9.
    assert float(found.values[0]) == pytest.approx(7 / 9)


def test_instruments_that_keep_their_timbre_are_consistent_and_shuffled_ones_are_not() -> None:
    random = generator(0, "timbres")
    groups = [f"instrument {row % 20}" for row in range(400)]
    centres = torch.randn(20, 12, generator=random)
    points = torch.stack([centres[row % 20] for row in range(400)])
    points = points + 0.1 * torch.randn(400, 12, generator=random)
    assert float(timbral_consistency(points, groups).known.mean()) > 0.85
    shuffled = [groups[row] for row in torch.randperm(400, generator=random)]
    # 400 silhouettes of chance have a mean within a few hundredths of 0.
    assert abs(float(timbral_consistency(points, shuffled).known.mean())) < 0.05


def test_without_another_group_or_another_clip_or_any_difference_nothing_is_measured() -> None:
    points = torch.tensor([[0.0], [1.0]])
    assert not timbral_consistency(points, ["a", "a"]).measured.any()
    assert not timbral_consistency(points, ["a", "b"]).measured.any()
    assert not timbral_consistency(torch.zeros(4, 1), ["a", "a", "b", "b"]).measured.any()
    assert not timbral_consistency(points[:0], []).measured.any()


def test_groups_are_counted() -> None:
    with pytest.raises(ValueError, match="1 groups and 0 pitches for 2 clips"):
        timbral_consistency(torch.zeros(2, 1), ["a"])


@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
def test_timbre_tells_instruments_apart_over_their_keys(rate: int) -> None:
    keys_hz = (220.0, 247.0, 294.0, 330.0)
    dark = [tone(hz, 2, rate=rate) for hz in keys_hz]
    bright = [tone(hz, 12, rate=rate).sign() * 0.3 for hz in keys_hz]
    vectors, sounding = timbre_vectors(torch.stack([*dark, *bright]).float(), rate)
    assert sounding.measured.all()
    found = timbral_consistency(vectors, ["dark"] * 4 + ["bright"] * 4, range(8))
    # By chance it is 0; the bright notes' few partials below 4 kHz leave a quarter.
    assert float(found.values.min()) > 0.15


def test_timbre_knows_no_level_and_depends_on_no_batch() -> None:
    note = (tone(220.0) + noise()[0]).float()
    vectors, _ = timbre_vectors(torch.stack([note, 0.01 * note, tone(60.0).float()]), RATE)
    alone, _ = timbre_vectors(note[None], RATE)
    # Cepstra of decibels in float32: a ten-thousandth of a decibel.
    torch.testing.assert_close(vectors[:2], alone.expand(2, -1), rtol=0, atol=1e-3)


def test_silence_has_no_timbre() -> None:
    sounds = oddities()
    vectors, sounding = timbre_vectors(
        torch.stack([sounds["silence"], sounds["faint"], sounds["click"]]), RATE
    )
    assert sounding.measured.tolist() == [False, False, True]
    assert vectors.isfinite().all()
    assert vectors[:2].abs().max() == 0
    assert not timbre_vectors(torch.zeros(2, 0), RATE)[1].measured.any()
    assert timbre_vectors(torch.ones(2, 1), RATE)[0].isfinite().all()
