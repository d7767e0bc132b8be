import pytest
import torch

from retimbre.synth.audibility import audible
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS


def heard(name: str, values: dict[str, float | str], note: Note, seconds: float) -> dict[str, bool]:
    synth = SYNTHS[name]
    knobs = synth.space.from_values(values)
    result = audible(synth, knobs, note, num_samples=round(seconds * synth.sample_rate))[0].tolist()
    return dict(zip((parameter.name for parameter in synth.space.searched), result, strict=True))


@pytest.mark.parametrize("name", ["fm2op", "wavetable", "subtractive", "inversynth"])
def test_a_release_is_heard_only_once_the_key_has_come_up(name: str) -> None:
    release = "r" if name == "inversynth" else "release"
    assert not heard(name, {}, Note.of(1, gate_s=0.5), 0.3)[release]
    assert heard(name, {}, Note.of(1, gate_s=0.1), 0.3)[release]


def test_a_knob_of_what_is_mixed_out_is_not_heard() -> None:
    solo = heard("subtractive", {"mix": 0.0, "wave1": "sine", "noise": 0.0}, Note.of(1), 0.2)
    assert not solo["wave2"]
    assert not solo["interval"]
    assert not solo["pulse_width"]
    assert solo["wave1"]
    assert solo["cutoff"]


def test_the_rate_of_a_vibrato_without_depth_is_not_heard() -> None:
    assert not heard("subtractive", {"vibrato": 0.0}, Note.of(1), 0.2)["vibrato_rate"]
    assert heard("subtractive", {"vibrato": 30.0}, Note.of(1), 0.2)["vibrato_rate"]


@pytest.mark.parametrize("name", SYNTHS)
def test_every_knob_is_heard_in_some_clip(name: str) -> None:
    synth = SYNTHS[name]
    draw = torch.rand(24, len(synth.space.searched), generator=torch.Generator().manual_seed(0))
    knobs = synth.space.from_unit(synth.space.draw_unit(draw))
    note = Note.of(24, gate_s=0.2)
    found = audible(synth, knobs, note, num_samples=synth.sample_rate)
    assert bool(found.any(dim=0).all())


@pytest.mark.parametrize("name", SYNTHS)
def test_in_silence_nothing_is_heard(name: str) -> None:
    synth = SYNTHS[name]
    note = Note.of(2, velocity=0.0)
    knobs = synth.space.from_unit(synth.space.draw_unit(torch.rand(2, len(synth.space.searched))))
    assert not bool(audible(synth, knobs, note, num_samples=1000).any())


def test_what_is_heard_of_a_clip_does_not_depend_on_its_batch() -> None:
    synth = SYNTHS["subtractive"]
    draw = torch.rand(3, len(synth.space.searched), generator=torch.Generator().manual_seed(1))
    knobs = synth.space.from_unit(synth.space.draw_unit(draw))
    together = audible(synth, knobs, Note.of(3), num_samples=4000)
    alone = audible(synth, {name: knob[1:2] for name, knob in knobs.items()}, Note.of(1), num_samples=4000)
    assert torch.equal(together[1], alone[0])
