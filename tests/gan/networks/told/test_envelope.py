"""The networks that put an envelope on a sound: what they keep of it, and what they may not be."""

import pytest
import torch
from torch import nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.told.envelope import (
    EnvelopeCritic,
    EnvelopeCriticConfig,
    EnvelopeGenerator,
    EnvelopeGeneratorConfig,
    time_channel,
)
from retimbre.gan.penalties import interpolation_penalty

CLASSES = {"attack": ("0", "0.2", "0.4"), "sustain": ("1", "0.4")}
LATENT_DIM = 3
# Of sums of some hundred products in float32.
ROUNDING = 1e-5


def form_of(length=256, classes=None, *, curve=True):
    conditions = {"sound": (1, length)} | ({"envelope": (length,)} if curve else {})
    return Form((1, length), classes or {}, LATENT_DIM, conditions)


def stirred(network, seed=0):
    """The network with weights drawn anew, so that no layer is at its beginning."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.2 * torch.randn(weights.shape, generator=source))
    return network.eval()


def generator(form=None, **settings) -> EnvelopeGenerator:
    built = EnvelopeGeneratorConfig(**{"channels": 8, "blocks": 2, **settings}).build(form or form_of())
    assert isinstance(built, EnvelopeGenerator)
    return stirred(built)


def told(length, *, rows=2, seed=0, classes=None):
    source = torch.Generator().manual_seed(seed)
    labels = {
        "sound": torch.randn(rows, 1, length, generator=source),
        "envelope": torch.rand(rows, length, generator=source),
    }
    places = {name: torch.arange(rows) % len(names) for name, names in (classes or {}).items()}
    return labels | places, torch.randn(rows, LATENT_DIM, generator=source)


@pytest.mark.parametrize("form", [form_of(), form_of(classes=CLASSES, curve=False)])
def test_a_sound_of_twice_the_level_comes_out_at_twice_the_level_and_silence_stays_silence(form):
    labels, latent = told(256, classes=CLASSES)
    built = generator(form)
    with torch.no_grad():
        once = built(latent, labels)
        # Powers of two are exact in floating point.
        for factor in (2.0, 2.0**-12, 0.0):
            louder = built(latent, labels | {"sound": factor * labels["sound"]})
            assert torch.equal(louder, factor * once)


@pytest.mark.parametrize("length", [1, 3, 255, 256, 1001])
@pytest.mark.parametrize("form", [form_of(), form_of(classes=CLASSES, curve=False)])
def test_sounds_of_any_length_keep_it(form, length):
    labels, latent = told(length, classes=CLASSES)
    with torch.no_grad():
        made = generator(form)(latent, labels)
    assert made.shape == (2, 1, length)
    assert made.isfinite().all()


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_piece_with_its_context_comes_out_as_in_the_whole(stride):
    length, first, stop = 1003, 400, 600
    labels, latent = told(length, rows=1)
    built = generator(stride=stride)
    piece = slice(first - built.context, stop + built.context)
    with torch.no_grad():
        whole = built(latent, labels)
        cut = {name: signal[..., piece] for name, signal in labels.items()}
        alone = built.reshaped(latent, cut, time_channel(labels["sound"])[..., piece])
    torch.testing.assert_close(alone[..., built.context : -built.context], whole[..., first:stop])


def test_the_time_channel_counts_from_minus_one_to_one_for_any_length():
    for length in (2, 128, 5000):
        time = time_channel(torch.zeros(3, 2, length))
        assert time.shape == (3, 1, length)
        assert float(time.min()) == -1.0
        assert float(time.max()) == 1.0


def test_the_blocks_are_truly_residual():
    # Without their last convolution blocks change nothing. The earlier system's had no skip, so nothing came through.
    built = generator()
    seen = torch.randn(2, 8, 16)
    for block in built.blocks:
        nn.init.zeros_(block.last.weight)
        assert torch.equal(block(seen, torch.randn(2, 8, 16)), seen)
    critic = EnvelopeCriticConfig().build(form_of())
    block = critic.layers[2]
    nn.init.zeros_(block.last.weight)
    nn.init.zeros_(block.last.bias)
    shown = torch.randn(2, 16, 64)
    assert torch.equal(block(shown), shown)


def test_a_filter_that_passes_one_sample_makes_the_product_of_sound_and_curve():
    built = generator()
    nn.init.zeros_(built.speak.weight)
    nn.init.dirac_(built.gain.filter.weight)
    labels, latent = told(256)
    with torch.no_grad():
        made = built(latent, labels)
    assert torch.equal(made[:, 0], labels["sound"][:, 0] * labels["envelope"])


def test_without_a_say_for_the_latent_all_latents_give_the_same():
    labels, latent = told(64)
    deaf, hearing = generator(hears_latent=False), generator()
    with torch.no_grad():
        assert torch.equal(deaf(latent, labels), deaf(-latent, labels))
        assert not torch.equal(hearing(latent, labels), hearing(-latent, labels))


def test_the_critic_normalises_nothing_and_its_score_has_no_bounds():
    critic = stirred(EnvelopeCriticConfig(class_logits=True).build(form_of(classes=CLASSES)))
    kinds = {type(layer) for layer in critic.modules()}
    assert kinds & {nn.InstanceNorm1d, nn.BatchNorm1d, nn.GroupNorm, nn.LayerNorm, nn.Sigmoid} == set()
    labels, _ = told(256, classes=CLASSES)
    with torch.no_grad():
        score = critic(1e4 * torch.randn(2, 1, 256), labels).score
    assert float(score.abs().min()) > 10.0


def test_the_critic_hears_the_sample_the_sound_and_the_curve_and_guesses_every_class():
    critic = stirred(EnvelopeCriticConfig(class_logits=True).build(form_of(classes=CLASSES)))
    assert isinstance(critic, EnvelopeCritic)
    labels, _ = told(256, classes=CLASSES)
    sample = torch.randn(2, 1, 256)
    with torch.no_grad():
        verdict = critic(sample, labels)
        for name in ("sound", "envelope"):
            other = critic(sample, labels | {name: labels[name].flip(-1)})
            assert not torch.equal(other.score, verdict.score)
    assert {name: logits.shape for name, logits in verdict.classes.items()} == {
        "attack": (2, 3),
        "sustain": (2, 2),
    }


def test_a_linear_critic_of_slope_one_pays_no_penalty_and_one_with_a_sigmoid_does():
    # The norm is over all samples of a clip. Taken per sample, as the earlier system did, it would be 1/16 here.
    direction = nn.functional.normalize(torch.ones(256), dim=0)
    real, fake, chance = torch.randn(4, 1, 256), torch.randn(4, 1, 256), torch.rand(4)

    def linear(features):
        return features[:, 0] @ direction

    torch.testing.assert_close(
        interpolation_penalty(linear, real, fake, chance), torch.zeros(4), atol=ROUNDING, rtol=0
    )
    squashed = interpolation_penalty(lambda features: linear(features).sigmoid(), real, fake, chance)
    assert float(squashed.detach().min()) > 0.5  # a sigmoid is at most 1/4 steep


def test_both_networks_of_the_shipped_size_are_small():
    form = form_of(2048)
    with torch.device("meta"):
        built = [config.build(form) for config in (EnvelopeGeneratorConfig(), EnvelopeCriticConfig())]
    sizes = [sum(weights.numel() for weights in network.parameters()) for network in built]
    assert max(sizes) < 200_000


@pytest.mark.parametrize("config", [EnvelopeGeneratorConfig(), EnvelopeCriticConfig()])
@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form((2, 64, 32), {}), r"one channel of samples, .* not features of shape \[2, 64, 32\]"),
        (Form((1, 64), {}), "takes \\[task\\] conditions with sound = 64"),
    ],
)
def test_what_is_no_sound_to_reshape_is_refused(config, form, message):
    with pytest.raises(ConfigError, match=message):
        config.build(form)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"taps": 4}, "taps is 4, but takes an odd number"),
        ({"stride": 3}, "stride is 3, but takes an even number"),
        ({"blocks": 0}, "blocks is 0, but takes 1 or more"),
    ],
)
def test_a_generator_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        EnvelopeGeneratorConfig(**settings)


def test_a_critic_that_shortens_nothing_is_refused():
    with pytest.raises(ConfigError, match="stride is 1, but takes 2 or more"):
        EnvelopeCriticConfig(stride=1)
