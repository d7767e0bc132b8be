"""An earlier program's tables of settings: each is the entry, the settings and the clips that they meant there."""

import warnings

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.representation.aliases import AliasWarning
from retimbre.representation.catalog import REPRESENTATIONS, representation
from retimbre.representation.transform_table import TRANSFORMS, translate_transform

README_TABLE = {
    "transform": "mag-if",
    "fade_out": True,
    "fft_size": 1024,
    "win_size": 1024,
    "n_frames": 64,
    "hop_size": 256,
    "log": True,
    "ifreq": True,
    "sample_rate": 16_000,
    "audio_length": 16_000,
}


def translate(table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AliasWarning)
        return translate_transform(table)


def made_from(table):
    transform = translate(table)
    return representation(transform.name, transform.sample_rate, transform.settings)


def shape_from(table):
    return tuple(made_from(table).encode(torch.zeros(1, translate(table).num_samples)).shape[1:])


def test_the_readme_s_transform_table_gives_its_representation_and_64_frames():
    transform = translate(README_TABLE)
    assert (transform.name, transform.num_samples, transform.fade_out) == ("sony2020-mag-if", 16_383, True)
    assert shape_from(README_TABLE) == (2, 512, 64)
    assert made_from(README_TABLE) == REPRESENTATIONS["sony2020-mag-if"]


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        ({"transform": "mel", "hop_size": 512, "fft_size": 2048}, (1, 128, 64)),
        ({"transform": "mel", "hop_size": 256, "n_mels": 64}, (1, 64, 64)),
        ({"transform": "mfcc", "hop_size": 512, "fft_size": 2048, "n_mel": 64, "n_mfcc": 40}, (1, 40, 64)),
        ({"transform": "cqt", "hop_size": 256, "n_cqt": 96, "bins_per_octave": 24}, (2, 96, 64)),
        ({"transform": "mel"}, (1, 128, 64)),
        ({"transform": "mfcc"}, (1, 20, 64)),
        ({"transform": "cqt"}, (2, 84, 64)),
        ({"transform": "stft", "hop_size": 128, "fft_size": 512, "win_size": 512}, (2, 256, 64)),
        ({"transform": "stft", "fft_size": 2048, "rm_dc": False}, (2, 1025, 64)),
        # Without a hop: half a window of 1,024 samples, and half of the window that is given.
        ({"transform": "specgrams", "ifreq": True}, (2, 512, 64)),
        ({"transform": "specgrams", "win_size": 512}, (2, 512, 64)),
    ],
)
def test_every_transform_with_frames_has_as_many_as_the_table_asks_for(table, shape):
    assert shape_from(table | {"n_frames": 64}) == shape


def test_a_clip_without_frames_has_the_length_that_is_given():
    assert translate({"transform": "stft", "audio_length": 64_000}).num_samples == 64_000
    assert translate({}).num_samples == 16_000


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        ({"transform": "specgrams"}, {"n_fft": 1024, "hop_length": 512}),
        ({"transform": "mel", "gl_n_iter": 32}, {"n_fft": 1024, "hop_length": 512, "iterations": 32}),
        (
            {
                "transform": "cq_nsgt",
                "ifreq": True,
                "n_bins": 192,
                "fmin": 40,
                "fmax": 7000.0,
                "fold_cqt": True,
            },
            {
                "bins": 192,
                "f_min_hz": 40,
                "f_max_hz": 7000.0,
                "fold": True,
                "spacing": "log",
                "mirrored": True,
            },
        ),
        (
            {"transform": "cq_nsgt", "ifreq": True, "nsgt_scale": "oct", "n_bins": 12, "real": True},
            {"bins": 12, "spacing": "octave", "mirrored": False},
        ),
    ],
)
def test_every_option_is_the_setting_of_another_name(table, settings):
    assert translate(table).settings == settings


def test_without_ifreq_phases_are_raw():
    names = [translate({"transform": "specgrams", "ifreq": turns}).name for turns in (False, True)]
    assert names == ["sony2020-mag-phase", "sony2020-mag-if"]
    raw, turned = (vars(REPRESENTATIONS[name])["coordinates"] for name in names)
    for transform in ("cqt", "cq_nsgt"):
        assert vars(made_from({"transform": transform}))["coordinates"] == raw
        assert vars(made_from({"transform": transform, "ifreq": True}))["coordinates"] == turned


@pytest.mark.parametrize("spelled", sorted(TRANSFORMS))
def test_a_transform_that_is_called_otherwise_here_is_told_once(spelled):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        name = translate_transform({"transform": spelled}).name
    assert len(caught) == (spelled != name)
    assert all(each.category is AliasWarning and repr(name) in str(each.message) for each in caught)


def test_options_of_other_transforms_are_named_as_making_no_difference():
    with pytest.warns(AliasWarning) as caught:
        translate_transform({"transform": "stft", "n_mels": 64, "fold_cqt": True})
    assert "make no difference to 'stft': fold_cqt, n_mels" in str(caught[-1].message)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"hop_sice": 256}, "no option 'hop_sice'; did you mean 'hop_size'"),
        ({"transform": "specgram"}, "no transform 'specgram'; did you mean 'specgrams'"),
        ({"transform": ["stft"]}, r"'transform' should be a valid string, not \['stft'\]"),
        ({"n_frames": "64"}, "'n_frames' should be a valid integer, not '64'"),
        ({"hop_size": 0}, "'hop_size' should be greater than 0"),
        ({"rm_dc": "no"}, "'rm_dc' should be a valid boolean"),
        ({"transform": "specgrams", "log_mag": False}, "log_mag is false, but .* are logarithmic"),
        ({"transform": "mag-if", "ifreq": False}, "ifreq is false, which 'mag-if' contradicts"),
        ({"transform": "mag_phase", "ifreq": True}, "ifreq is true, which 'mag_phase' contradicts"),
        ({"transform": "mel", "win_size": 512}, "win_size is 512 and fft_size 1024"),
        ({"transform": "cq_nsgt", "matrix_form": False}, "matrix_form must be true"),
        ({"transform": "stft", "hop_size": 4096}, "hop"),
        ({"transform": "cq_nsgt", "nsgt_scale": "logg"}, "no nsgt_scale 'logg'; did you mean 'log'"),
    ],
)
def test_what_a_table_cannot_mean_is_refused_with_the_reason(table, message):
    with pytest.raises(ConfigError, match=message):
        translate({"transform": "stft"} | table)
