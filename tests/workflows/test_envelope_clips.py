"""Sounds before and after an envelope as a GAN's clips: conditions that belong to them, and waves that are held out."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.told.envelope import EnvelopeCriticConfig, EnvelopeGeneratorConfig
from retimbre.workflows.training.envelope_clips import EnvelopeClips
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig

# Three roundings to 16 bits: of the sound, the curve and their product.
ROUNDING = 3 / 32_767
ALL = torch.arange(60)


def task_of(attributes=()):
    return GanConfig(
        generator=EnvelopeGeneratorConfig(),
        critics=(CriticEntry(EnvelopeCriticConfig()),),
        num_samples=128,
        attributes=attributes,
        conditions={"sound": 128, "envelope": 128},
    )


def pool_of(part="train", attributes=(), most=60, **clips):
    data = GanDataConfig(envelopes=EnvelopeClips(**clips))
    return clip_pool(data, task_of(attributes), part, most=most, seed=3)


def test_a_clip_is_its_sound_times_its_curve():
    pool = pool_of()
    told = pool.told(ALL, torch.device("cpu"))
    product = told["sound"] * told["envelope"]
    torch.testing.assert_close(pool.audio(ALL), product, atol=ROUNDING, rtol=0)
    assert float(pool.audio(ALL).abs().max()) <= 1.0


def test_the_other_parts_have_waves_that_were_not_learned_from():
    learned, held_out = (set(pool_of(part).census.attributes["wave"]) for part in ("train", "valid"))
    assert learned == set(EnvelopeClips().carriers)
    assert held_out == set(EnvelopeClips().held_out)
    assert learned & held_out == {"wavetable"}
    drawn = {
        part: pool_of(part, carriers=("wavetable",), held_out=("wavetable",), noise=0.0, jitter_rad=0.0)
        for part in ("train", "valid", "test")
    }
    sounds = {part: pool.conditions["sound"](ALL) for part, pool in drawn.items()}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert float(torch.cdist(sounds[one], sounds[other]).min()) > 0.1


def test_a_pool_of_fewer_clips_is_the_beginning_of_a_larger_one():
    small, large = pool_of(most=10), pool_of(most=60)
    assert torch.equal(small.samples, large.samples[:10])


def test_classes_are_the_places_of_the_values_in_the_lists():
    pool = pool_of(attributes=("attack", "release"), drawn=0.0)
    assert pool.classes == {"attack": ("0", "0.2", "0.4"), "release": ("0", "0.2", "0.4")}
    curve = pool.conditions["envelope"](ALL)
    # An attack of 0.4 is over after 52 samples, one of 0.2 after 26.
    longest = pool.labels["attack"] == 2
    assert (curve[longest, 25] < 0.51).all()
    assert (curve[pool.labels["attack"] == 1, 25] > 0.99).all()
    assert set(pool.census.attributes) == {"wave", "attack", "release"}


@pytest.mark.parametrize(
    ("attributes", "clips", "message"),
    [
        (("atack",), {"drawn": 0.0}, "no attribute 'atack'; did you mean 'attack'"),
        (("decay",), {"drawn": 0.0}, "no attribute 'decay'"),
        (("attack",), {}, r"drawn is 0.5, but drawn curves have no attack; takes 0"),
        ((), {"carriers": ("sin",)}, "there is no carrier 'sin'; did you mean 'sine'"),
    ],
)
def test_what_the_clips_do_not_have_is_refused(attributes, clips, message):
    with pytest.raises(ConfigError, match=message):
        pool_of(attributes=attributes, **clips)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drawn": 1.5}, "drawn is 1.5; takes a part from 0 to 1"),
        ({"lowest_hz": 0.0, "highest_hz": 100.0}, "lowest_hz is 0; takes more than 0"),
        ({"lowest_hz": 200.0, "highest_hz": 100.0}, "lowest_hz is 200"),
    ],
)
def test_settings_that_make_no_clips_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        EnvelopeClips(**settings)


def test_pitches_that_the_rate_cannot_carry_are_refused_in_hertz():
    with pytest.raises(
        ConfigError, match="pitches are 110 to 4000 Hz; takes fewer than 4000, half the sample rate"
    ):
        EnvelopeClips(lowest_hz=110.0, highest_hz=4000.0).settings(
            "train", sample_rate=8000, num_samples=512, seed=0
        )


def test_envelopes_beside_a_set_are_refused():
    with pytest.raises(ConfigError, match="takes one of them"):
        GanDataConfig(set="somewhere", envelopes=EnvelopeClips())
