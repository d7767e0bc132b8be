import pytest
import torch

from retimbre.core.errors import ConfigError, ExistsError, PatchError
from retimbre.dsp import audiofile
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import load_patch
from retimbre.workflows.render import default_patch, patch_of, render

# The earlier system's sample command, its option names and defaults.
SAMPLE = {
    "C": 783.991,
    "M": 12.6,
    "A": 1.0,
    "D": 0.5,
    "attack": 0.2667,
    "decay": 0.6,
    "sustain": 0.2667,
    "sustain_level": 0.0,
    "release": 0.8,
}


@pytest.mark.parametrize("name", SYNTHS)
def test_every_synthesizer_is_heard_at_its_defaults(name):
    rendered = render(default_patch(name))
    assert rendered.samples.shape == (round(SYNTHS[name].default_seconds * SYNTHS[name].sample_rate),)
    assert rendered.peak > 0.1


def test_the_earlier_system_s_sample_is_reproduced_from_its_options():
    patch = patch_of(default_patch("fm"), [f"{name}={value}" for name, value in SAMPLE.items()])
    assert patch.knobs == SAMPLE
    # Its formula in float64: a carrier whose frequency is C (1 + D sin 2 pi M t), and four straight lines around it.
    time_s = torch.arange(16384, dtype=torch.float64) / 16384
    turns = 783.991 * (1 + 0.5 * torch.sin(2 * torch.pi * 12.6 * time_s)) / 16384
    phase = torch.cat([torch.zeros(1, dtype=torch.float64), turns.cumsum(0)[:-1]])
    rise, fall = time_s / 0.2667, 1 - (time_s - 0.2667) / 0.6
    expected = torch.sin(2 * torch.pi * phase) * torch.minimum(rise, fall).clamp(0, 1)
    # -60 dB: single precision phases over a second.
    torch.testing.assert_close(render(patch).samples.double(), expected, rtol=0, atol=1e-3)


def test_what_is_written_is_what_was_rendered_and_its_patch_renders_it_again(tmp_path):
    patch = patch_of(default_patch("fm"), ["M=3"])
    rendered = render(patch, tmp_path / "a.wav", patch_out=tmp_path / "a.json")
    assert torch.equal(audiofile.read(tmp_path / "a.wav").samples, rendered.samples)
    assert load_patch(tmp_path / "a.json") == patch
    assert torch.equal(render(tmp_path / "a.json").samples, rendered.samples)


def test_a_peak_beyond_full_scale_is_kept_and_said(tmp_path):
    loud = patch_of(default_patch("fm"), [])
    loud = type(loud)(**{**vars(loud), "gain_db": 12.0})
    rendered = render(loud, tmp_path / "loud.wav")
    assert rendered.peak > 1
    assert "players clip" in rendered.remarks[0]
    with pytest.raises(ConfigError, match="FLAC cannot hold"):
        render(loud, tmp_path / "loud.flac")
    assert [path.name for path in tmp_path.iterdir()] == ["loud.wav"]


def test_silence_is_said():
    quiet = patch_of(default_patch("fm"), ["attack=1", "sustain=0"])
    assert render(type(quiet)(**{**vars(quiet), "gain_db": -120.0})).remarks == (
        "it is silent with these settings",
    )


def test_nothing_is_overwritten_without_force(tmp_path):
    (tmp_path / "mine.wav").write_text("mine")
    for outputs in ({"out": tmp_path / "mine.wav"}, {"patch_out": tmp_path / "mine.wav"}):
        with pytest.raises(ExistsError, match=r"mine\.wav"):
            render(default_patch("fm"), **outputs)
    assert (tmp_path / "mine.wav").read_text() == "mine"
    render(default_patch("fm"), tmp_path / "mine.wav", force=True)
    assert (tmp_path / "mine.wav").read_bytes()[:4] == b"RIFF"


def test_a_curve_moves_a_knob():
    still, moving = default_patch("fm"), patch_of(default_patch("fm"), [], ["C=440,880"])
    assert moving.knobs["C"] == (440.0, 880.0)
    assert (render(moving).samples - render(still).samples).abs().max() > 0.1


@pytest.mark.parametrize(
    ("settings", "curves", "message"),
    [
        (["C"], [], "KNOB=VALUE"),
        (["=3"], [], "KNOB=VALUE"),
        (["C="], [], "KNOB=VALUE"),
        (["C=1", "C=2"], [], "set twice"),
        (["D=lots"], [], "D takes a number"),
        (["D=nan"], [], "D is nan"),
        (["D=9"], [], "D is 9, but takes 0 to 1.5"),
        (["DD=1"], [], "did you mean 'D'"),
        ([], ["D=1;2"], "numbers with commas"),
        ([], ["D=1"], "two or more"),
        ([], ["attack=0.1,0.2"], "cannot vary"),
        (["D=1"], ["D=0,1"], "both a value and a curve"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings, curves, message):
    with pytest.raises((ConfigError, PatchError), match=message):
        render(patch_of(default_patch("fm"), settings, curves))
