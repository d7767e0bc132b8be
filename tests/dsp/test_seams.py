"""Pieces of sound that are joined so that the seam is not heard."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.dsp import seams

RATE = 16_000


def tones(first: int, count: int, frequencies_hz: tuple[float, ...] = (220.0, 443.0, 1_111.0)) -> Tensor:
    time_s = (first + torch.arange(count, dtype=torch.float64)) / RATE
    return sum(0.3 * torch.sin(2 * math.pi * hz * time_s + hz) for hz in frequencies_hz).float()


def test_tones_are_continued_as_they_would_have_gone_on() -> None:
    found = seams.continued(tones(0, 4_000), 320)
    # The prediction is drawn in a little, so that it dies away: by a few per cent in 20 ms.
    assert (found - tones(4_000, 320)).abs().max() < 0.05


def test_what_is_predicted_never_grows() -> None:
    source = torch.Generator().manual_seed(0)
    noise = torch.randn(2_048, generator=source)
    assert seams.continued(noise, 20_000).abs().max() <= noise.abs().max()
    assert seams.continued(noise, 20_000)[-1_000:].abs().max() < 0.01


def test_silence_and_very_short_pieces_are_continued_by_silence() -> None:
    assert seams.continued(torch.zeros(500), 10).tolist() == [0.0] * 10
    assert seams.continued(torch.ones(2), 10).tolist() == [0.0] * 10


@pytest.mark.parametrize("order", [2, 4])
def test_the_weights_of_resonances_are_found(order: int) -> None:
    # Samples that are exactly weighted sums of those before them.
    tone = sum(
        torch.cos(2 * math.pi * hz * torch.arange(4_000).double()) for hz in (0.05, 0.13)[: order // 2]
    )
    weights = seams.burg(tone, order)
    predicted = sum(weights[k] * tone[order - 1 - k : -1 - k] for k in range(order))
    assert (predicted - tone[order:]).abs().max() < 0.02
    with pytest.raises(ValueError, match="takes more samples than weights"):
        seams.burg(torch.zeros(4), 4)


def test_a_joined_piece_keeps_its_length_and_all_but_its_beginning() -> None:
    before, after = tones(0, 4_000), -tones(900, 2_000)
    joined = seams.joined(before, after, 320)
    assert len(joined) == len(after)
    assert torch.equal(joined[320:], after[320:])
    assert torch.equal(seams.joined(torch.zeros(0), after, 320), after)


def test_the_bends_at_seams_are_below_those_inside() -> None:
    source = torch.Generator().manual_seed(1)
    pieces = [tones(int(1e5 * torch.rand((), generator=source)), 4_000) for _ in range(12)]
    pieces = [piece + 0.02 * torch.randn(4_000, generator=source) for piece in pieces]
    plain = torch.cat(pieces)
    places = list(range(4_000, len(plain), 4_000))
    sound = pieces[0]
    for piece in pieces[1:]:
        sound = seams.smoothed(torch.cat([sound, seams.joined(sound, piece, 320)]), len(sound), RATE)
    inside = plain.diff(n=2).abs().quantile(0.99)
    spanning = [
        torch.stack([each.diff(n=2).abs()[at - 2 : at].max() for at in places]) for each in (plain, sound)
    ]
    assert spanning[0].max() > inside  # there is something to be heard
    assert spanning[1].max() <= inside
    # Nor was it moved to beside the seams: of the 386 bends there, the largest lie above the 99th percentile of noise.
    around, _ = seams.largest_bends(sound, places, RATE)
    assert around.median() <= 1.5 * inside


def swelling(pieces: int) -> list[Tensor]:
    """Low tones that do not fit each other in phase, louder in their middle than at their ends."""
    source = torch.Generator().manual_seed(3)
    swell = 0.5 + 0.5 * torch.hann_window(4_000)
    return [
        swell * tones(int(1e5 * torch.rand((), generator=source)), 4_000, (110.0, 220.0))
        for _ in range(pieces)
    ]


@pytest.mark.parametrize("left_out", ["", "joined", "joined and smoothed"])
def test_only_a_join_keeps_the_bends_around_seams_below_those_inside(left_out: str) -> None:
    pieces = swelling(8)
    places = list(range(4_000, 32_000, 4_000))
    sound = pieces[0]
    for piece in pieces[1:]:
        fitted = piece if "joined" in left_out else seams.joined(sound, piece, 320)
        whole = torch.cat([sound, fitted])
        sound = whole if "smoothed" in left_out else seams.smoothed(whole, len(sound), RATE)
    at_seams, inside = seams.largest_bends(sound, places, RATE)
    # Tones are half as loud at the seams, so there is room for a fade; a step, even a dulled one, takes more.
    assert (at_seams.max() > inside.quantile(0.99)) == bool(left_out)


def test_only_what_is_near_a_seam_is_made_dull() -> None:
    sound = torch.randn(1_000, generator=torch.Generator().manual_seed(2))
    dull = seams.smoothed(sound, 500, RATE)
    changed = torch.nonzero(dull != sound).flatten()
    assert 500 - seams.reach_of(RATE) <= changed.min()
    assert changed.max() < 500 + seams.reach_of(RATE)
    assert torch.equal(seams.smoothed(sound, 3, RATE), sound)  # not enough before it


def test_a_step_is_told_wherever_a_join_may_have_put_it() -> None:
    touched = seams.touched_around(1_000, RATE)
    assert (touched.start, touched.stop) == (1_000 - 64, 1_000 + 320)  # 4 ms before, 20 ms behind
    for step, is_at_seam in {
        touched.start - 2: False,
        touched.start: True,
        1_000: True,
        touched.stop: True,  # between the last sample that was changed and the next
        touched.stop + 2: False,
    }.items():
        sound = torch.zeros(3_000)
        sound[step:] = 1.0
        at_seams, inside = seams.largest_bends(sound, [1_000, 2_000], RATE)
        assert at_seams.tolist() == [float(is_at_seam), 0.0]
        assert (inside.max() == 0.0) == is_at_seam
        assert len(inside) == 2_998 - 2 * (64 + 320 + 2)
