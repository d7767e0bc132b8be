import math
from pathlib import Path

import pytest
import torch

from retimbre.dsp.level import peak, rms
from retimbre.matching.propose import NoteHint, even_pool
from retimbre.matching.target import Target
from retimbre.matching.verdict import MEASURES, Bench
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import render_patch


def target_of(samples: torch.Tensor, rate: int) -> Target:
    hint = NoteHint(440.0, 1.0, 0.2, len(samples) / rate)
    return Target(Path("t.wav"), samples, rate, len(samples), 0.0, hint, -20.0, "all", ())


def note_of(rate: int, seconds: float = 0.25) -> torch.Tensor:
    time_s = torch.arange(round(seconds * rate)) / rate
    return 0.2 * torch.sin(2 * math.pi * 440.0 * time_s) * torch.exp(-5.0 * time_s)


@pytest.mark.parametrize("name", SYNTHS)
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_candidates_are_what_their_patches_render_scored_and_in_order(name: str, rate: int) -> None:
    synth = SYNTHS[name]
    target = target_of(note_of(rate), rate)
    pool = even_pool(name, synth.space, target.hint, 3, torch.Generator().manual_seed(0))
    found = Bench.of(target).candidates(synth, synth.space, pool, torch.zeros(3).double())
    assert [one.loss for one in found] == sorted(one.loss for one in found)
    for one in found:
        assert torch.equal(render_patch(one.patch), one.samples)
        assert set(one.scores) == set(one.raw_scores) == set(MEASURES)
        assert all(math.isfinite(score) for score in (*one.scores.values(), *one.raw_scores.values()))
        assert one.patch.sample_rate == synth.sample_rate
        assert len(one.samples) / one.patch.sample_rate == pytest.approx(target.seconds, abs=1e-4)


def test_candidates_have_the_target_s_level_unless_they_would_clip() -> None:
    synth = SYNTHS["subtractive"]
    for gain in (0.05, 1.0, 4.9):
        target = target_of(gain * note_of(16_000), 16_000)
        pool = even_pool("subtractive", synth.space, target.hint, 4, torch.Generator().manual_seed(0))
        for one in Bench.of(target).candidates(synth, synth.space, pool, torch.zeros(4).double()):
            assert float(peak(one.samples)) <= 0.99
            level_db = 20 * math.log10(float(rms(one.samples) / rms(target.samples)))
            # A hundredth of a decibel is what a patch file resolves.
            assert level_db == pytest.approx(0.0, abs=0.011) or float(peak(one.samples)) > 0.98


def test_what_a_target_s_rate_cannot_hold_counts_in_the_raw_score_alone() -> None:
    synth = SYNTHS["subtractive"]
    target = target_of(note_of(8_000), 8_000)
    pool = even_pool("subtractive", synth.space, target.hint, 8, torch.Generator().manual_seed(0))
    found = Bench.of(target).candidates(synth, synth.space, pool, torch.zeros(8).double())
    assert sum(one.raw_scores["mss"] - one.scores["mss"] for one in found) / 8 > 0.5  # dB, from above 4 kHz


def test_at_a_target_s_full_rate_both_scores_are_one() -> None:
    synth = SYNTHS["fm"]
    target = target_of(note_of(44_100), 44_100)
    pool = even_pool("fm", synth.space, target.hint, 2, torch.Generator().manual_seed(0))
    for one in Bench.of(target).candidates(synth, synth.space, pool, torch.zeros(2).double()):
        assert one.scores == one.raw_scores
