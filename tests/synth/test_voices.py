"""Laws of synthesizers, over every one of the catalog."""

import dataclasses

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import uniform
from retimbre.synth.base import Note, Synth
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.knobs import Choice

every_synth = pytest.mark.parametrize("synth", SYNTHS.values(), ids=SYNTHS)
NUM_SAMPLES = 4000


def drawn(synth: Synth, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rows = torch.arange(count)
    return synth.space.from_unit(
        synth.space.draw_unit(uniform(seed, "voices", rows, len(synth.space.searched)))
    )


def notes(count: int) -> Note:
    return Note(
        pitch_hz=torch.linspace(60.0, 2000.0, count),
        velocity=torch.linspace(0.5, 1.0, count),
        gate_s=torch.linspace(0.0, 0.2, count),
        noise_seed=torch.arange(count),
    )


@every_synth
def test_audio_is_finite_float32_and_has_the_length_asked_for(synth: Synth) -> None:
    for num_samples in (1, 63, 64, 65, NUM_SAMPLES):
        audio = synth.render(drawn(synth, 8), notes(8), num_samples=num_samples)
        assert audio.shape == (8, num_samples)
        assert audio.dtype == torch.float32
        assert bool(audio.isfinite().all())


@every_synth
def test_an_item_does_not_depend_on_its_batch(synth: Synth) -> None:
    knobs, note = drawn(synth, 5), notes(5)
    together = synth.render(knobs, note, num_samples=NUM_SAMPLES)
    for item in range(5):
        only = slice(item, item + 1)
        alone = synth.render(
            {name: knob[only] for name, knob in knobs.items()}, note[only], num_samples=NUM_SAMPLES
        )
        # Matrix products round differently by batch size; a wave's edge may then fall a sample to the side.
        difference = (alone - together[only]).square().mean().sqrt()
        assert float(difference) <= 1e-4 * float(together[only].square().mean().sqrt()) + 1e-7


@every_synth
def test_rendering_in_chunks_changes_nothing(synth: Synth) -> None:
    knobs, note = drawn(synth, 7), notes(7)
    whole = synth.render(knobs, note, num_samples=NUM_SAMPLES)
    parts = synth.render_in_chunks(knobs, note, num_samples=NUM_SAMPLES, chunk_samples=2 * NUM_SAMPLES)
    assert float((whole - parts).square().mean().sqrt()) <= 1e-4 * float(whole.square().mean().sqrt())


@every_synth
def test_gradients_are_finite_at_the_edges_of_the_unit_cube(synth: Synth) -> None:
    corners = torch.stack(
        [torch.zeros(synth.space.width), torch.ones(synth.space.width), torch.full((synth.space.width,), 0.5)]
    )
    unit = corners.requires_grad_()
    pitch = notes(3).pitch_hz.requires_grad_()
    note = dataclasses.replace(notes(3), pitch_hz=pitch)
    energy = synth.render(synth.space.from_unit(unit), note, num_samples=1000).square().sum()
    for slope in torch.autograd.grad(energy, (unit, pitch), allow_unused=True):  # steps alone have no slope
        assert slope is None or bool(slope.isfinite().all())


@every_synth
def test_smooth_knobs_have_the_slope_that_a_small_turn_measures(synth: Synth) -> None:
    """Along a random direction in the cube, the gradient of a smooth loss equals its finite difference in float32."""
    loudness = [
        name
        for name in ("A", "A1", "A_sin", "a1", "index", "resonance", "sustain")
        if name in synth.space.names
    ]
    name = loudness[0]
    knobs = {key: knob.detach() for key, knob in drawn(synth, 1, seed=3).items()}
    parameter = synth.space[name]
    assert not isinstance(parameter, Choice)
    values = sorted(float(value) for value in parameter.class_values())
    centre, step = values[len(values) // 2], 0.02 * (values[-1] - values[0])

    def energy(value: torch.Tensor) -> torch.Tensor:
        note = dataclasses.replace(notes(1), gate_s=torch.tensor([0.15]))
        return synth.render(knobs | {name: value}, note, num_samples=NUM_SAMPLES).double().square().sum()

    value = torch.tensor([centre], requires_grad=True)
    (slope,) = torch.autograd.grad(energy(value), value)
    with torch.no_grad():
        measured = (energy(torch.tensor([centre + step])) - energy(torch.tensor([centre - step]))) / (
            2 * step
        )
    assert float(slope) == pytest.approx(float(measured), rel=0.05, abs=1e-4)


@every_synth
def test_every_knob_is_heard(synth: Synth) -> None:
    """Moving one knob from end to end changes the sound of at least one of 32 random patches."""
    base = synth.space.draw_unit(uniform(5, "heard", torch.arange(32), len(synth.space.searched)))
    note = dataclasses.replace(Note.of(32, gate_s=0.15), pitch_hz=torch.full((32,), 330.0))
    column = 0
    for parameter in synth.space.searched:
        low, high = base.clone(), base.clone()
        columns = slice(column, column + parameter.width)
        low[:, columns], high[:, columns] = 0.0, 0.0
        low[:, column], high[:, column + parameter.width - 1] = float(parameter.width > 1), 1.0
        column += parameter.width
        one, other = (
            synth.render(synth.space.from_unit(unit), note, num_samples=12_000) for unit in (low, high)
        )
        assert float((one - other).abs().max()) > 1e-3, f"{synth.name}: {parameter.name} is never heard"


@every_synth
def test_velocity_scales_the_sound(synth: Synth) -> None:
    knobs, note = drawn(synth, 4), notes(4)
    full = synth.render(knobs, dataclasses.replace(note, velocity=torch.ones(4)), num_samples=NUM_SAMPLES)
    half = synth.render(
        knobs, dataclasses.replace(note, velocity=torch.full((4,), 0.5)), num_samples=NUM_SAMPLES
    )
    assert torch.allclose(half, 0.5 * full, atol=1e-5)


@pytest.mark.parametrize(
    "synth", [synth for synth in SYNTHS.values() if synth.name != "fm4"], ids=lambda synth: synth.name
)
def test_a_curve_for_a_knob_that_takes_none_is_refused(synth: Synth) -> None:
    """Every knob of `fm4` takes one."""
    name = next(
        name for name in synth.space.names if name not in synth.curves and synth.space[name].width == 1
    )
    knobs = drawn(synth, 2) | {name: torch.ones(2, 5)}
    with pytest.raises(ConfigError, match=f"{name} cannot vary within a clip"):
        synth.render(knobs, notes(2), num_samples=100)


@every_synth
def test_a_curve_that_stands_still_sounds_like_the_knob(synth: Synth) -> None:
    knobs, note = drawn(synth, 3), notes(3)
    steady = synth.render(knobs, note, num_samples=NUM_SAMPLES)
    for name in sorted(synth.curves):
        curved = synth.render(
            knobs | {name: knobs[name][:, None].expand(-1, 4)}, note, num_samples=NUM_SAMPLES
        )
        # The curved way adds its phase up in another order; edges of squares may fall a sample to the side.
        error = (curved - steady).square().mean().sqrt() / steady.square().mean().sqrt()
        assert float(error) < 0.05, name
