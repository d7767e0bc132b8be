"""Learning from sound alone: what is played, which way the gradient points, and which recordings are heard when."""

import dataclasses

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.matching.inverter import Inverter, InverterConfig
from retimbre.matching.propose import OSCILLATORS
from retimbre.matching.sampling import class_centres
from retimbre.matching.self_supervised import (
    Listening,
    SoundBatch,
    SoundLossConfig,
    Sounds,
    check_gradient,
    class_weights,
    gumbel_noise,
    played_knobs,
    sound_scores,
)
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.knobs import Choice
from retimbre.synth.parameters import ParameterSpace

CPU = torch.device("cpu")
SHORT_S = 0.125


def inverter_of(synth: str) -> Inverter:
    torch.manual_seed(0)
    return Inverter(InverterConfig(synth, "C1", seconds=SHORT_S, sample_rate=8_000))


def scores_of(inverter: Inverter, count: int = 2) -> torch.Tensor:
    """Logarithms of probabilities that differ for every class."""
    outputs = torch.randn(count, inverter.head.num_outputs, generator=torch.Generator().manual_seed(1))
    return inverter.head.log_probabilities(outputs)


def rendered(inverter: Inverter, classes: torch.Tensor, note: Note) -> torch.Tensor:
    knobs = inverter.space.from_unit(class_centres(inverter.space, classes))
    return inverter.synth.render(knobs, note, num_samples=inverter.num_samples)


def recordings(count: int, seed: int = 0) -> Sounds:
    """Recordings that can be told apart by their pitch."""
    pitch_hz = torch.arange(count) + 100.0
    return Sounds(torch.randn(count, 64), pitch_hz, torch.full((count,), 0.1), seed)


@pytest.mark.parametrize("name", SYNTHS)
def test_what_is_played_is_the_likeliest_class_of_every_knob(name: str) -> None:
    inverter = inverter_of(name)
    scores = scores_of(inverter)
    note = Note.of(2, gate_s=0.1)
    knobs = played_knobs(inverter, class_weights(scores, 1.0, straight_through=True))
    audio = inverter.synth.render(knobs, note, num_samples=inverter.num_samples)
    expected = rendered(inverter, scores.argmax(2), note)
    # Weights are 1 to within rounding, and phases multiply the rounding of a pitch by the hundreds of cycles heard.
    torch.testing.assert_close(audio, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", SYNTHS)
def test_some_slope_reaches_every_kind_of_knob_and_all_are_finite(name: str) -> None:
    inverter = inverter_of(name)
    weights = class_weights(scores_of(inverter), 1.0, straight_through=True).requires_grad_()
    note = Note.of(2, gate_s=0.1)
    batch = SoundBatch(torch.randn(2, inverter.num_samples) * 0.1, note, torch.arange(2))
    measured = sound_scores(inverter, weights, batch)
    (slope,) = torch.autograd.grad((measured["mss"] + measured["sot"]).sum(), weights)
    assert slope.isfinite().all()
    kinds = {type(knob) for knob in inverter.space.searched}
    moved = {
        type(knob)
        for index, knob in enumerate(inverter.space.searched)
        if float(slope[:, index].abs().max()) > 0
    }
    assert moved == kinds


def test_the_backward_pass_sees_the_probabilities() -> None:
    scores = torch.log_softmax(torch.tensor([[[0.3, -0.2, 0.9]]]), 2).requires_grad_()
    pull = torch.tensor([1.0, 2.0, 4.0])
    straight = torch.autograd.grad((class_weights(scores, 2.0, straight_through=True) * pull).sum(), scores)
    soft = torch.autograd.grad((class_weights(scores, 2.0, straight_through=False) * pull).sum(), scores)
    torch.testing.assert_close(straight, soft)


def test_a_class_that_a_knob_does_not_have_gets_no_weight_and_no_slope() -> None:
    scores = torch.tensor([[[0.0, -1.0, -torch.inf]]]).log_softmax(2).requires_grad_()
    weights = class_weights(scores, 1.0, straight_through=False)
    (slope,) = torch.autograd.grad((weights * torch.tensor([1.0, 2.0, 3.0])).sum(), scores)
    assert float(weights.detach()[0, 0, 2]) == 0.0
    assert slope.isfinite().all()


def test_sampled_classes_come_as_often_as_they_are_likely() -> None:
    likely = torch.tensor([0.2, 0.5, 0.3])
    noise = gumbel_noise(0, torch.arange(20_000), torch.Size([1, 3]))
    drawn = (likely.log() + noise).argmax(2)[:, 0]
    share = torch.bincount(drawn, minlength=3) / len(drawn)
    # Four standard errors of a share of a half in 20,000 draws.
    torch.testing.assert_close(share, likely, atol=0.015, rtol=0)


def test_what_is_sampled_for_a_row_depends_on_the_seed_and_the_row_alone() -> None:
    shape = torch.Size([2, 3])
    together = gumbel_noise(3, torch.arange(4), shape)
    assert torch.equal(gumbel_noise(3, torch.tensor([2]), shape)[0], together[2])
    assert not torch.equal(gumbel_noise(4, torch.arange(4), shape), together)


def test_every_pass_hears_each_recording_once_in_an_order_of_its_own() -> None:
    sounds = recordings(7)
    passes = [sounds.at(torch.arange(7) + 7 * lap).note.pitch_hz for lap in range(3)]
    for heard in passes:
        assert torch.equal(heard.sort().values, sounds.pitch_hz)
    assert not torch.equal(passes[0], passes[1])


def test_the_shares_of_two_processes_make_the_batch_of_one() -> None:
    listening = Listening(SoundLossConfig(batch_size=5), recordings(7), recordings(1))
    whole = listening.batch(3, slice(0, 5), CPU)
    parts = [listening.batch(3, rows, CPU) for rows in (slice(0, 3), slice(3, 5))]
    assert torch.equal(torch.cat([part.audio for part in parts]), whole.audio)
    assert torch.equal(torch.cat([part.rows for part in parts]), whole.rows)


def test_validation_hears_every_recording_once_in_the_same_order() -> None:
    listening = Listening(SoundLossConfig(batch_size=2), recordings(1), recordings(5))
    heard = torch.cat([batch.note.pitch_hz for batch in listening.held_out(CPU)])
    assert torch.equal(heard, listening.validation.pitch_hz)


@pytest.mark.parametrize("how", ["likeliest", "sampled", "expected"])
def test_moving_outputs_against_the_slope_comes_nearer_to_the_sound(how: str) -> None:
    inverter = inverter_of("subtractive").train()
    note = Note.of(1, pitch_hz=220.0, gate_s=0.1)
    truth = rendered(inverter, torch.tensor([[count // 3 for count in inverter.space.class_counts]]), note)
    batch = SoundBatch(truth, note, torch.arange(1))
    config = SoundLossConfig(patch=how, slope_limit=1.0)  # pyright: ignore[reportArgumentType]
    listening = Listening(config, recordings(1), recordings(1))
    outputs = torch.zeros(1, inverter.head.num_outputs, requires_grad=True)
    adam = torch.optim.Adam([outputs], lr=0.3)
    inverter.eval()
    before = float(listening.distance(inverter, outputs, batch).detach())
    for step in range(10):
        inverter.train()
        adam.zero_grad()
        turn = dataclasses.replace(batch, rows=torch.tensor([step]))
        listening.distance(inverter, outputs, turn).sum().backward()
        adam.step()
    inverter.eval()
    assert float(listening.distance(inverter, outputs, batch).detach()) < before


def test_no_knob_of_a_recording_pulls_harder_than_the_limit_and_the_distance_stays() -> None:
    inverter = inverter_of("subtractive").train()
    batch = SoundBatch(torch.randn(2, inverter.num_samples), Note.of(2, gate_s=0.1), torch.arange(2))
    outputs = torch.randn(2, inverter.head.num_outputs, requires_grad=True)
    steep, gentle = (
        Listening(SoundLossConfig(slope_limit=limit), recordings(1), recordings(1)).distance(
            inverter, outputs, batch
        )
        for limit in (0.0, 1e-3)
    )
    torch.testing.assert_close(steep, gentle)
    slopes = [torch.autograd.grad(each.sum(), outputs)[0] for each in (steep, gentle)]
    # Through a softmax a slope of length s gives one of at most s / 2 to each of 23 knobs.
    assert float(slopes[1].norm()) <= 2 * 0.5e-3 * len(inverter.space.searched) ** 0.5
    assert float(slopes[0].norm()) > float(slopes[1].norm())


@pytest.mark.parametrize("name", OSCILLATORS)
def test_voices_whose_pitch_is_a_knob_are_played_at_the_pitch_heard(name: str) -> None:
    inverter = inverter_of(name)
    classes = torch.zeros(1, len(inverter.space.searched), dtype=torch.int64)
    weights = torch.nn.functional.one_hot(classes, max(inverter.space.class_counts)).float()
    heard = Note.of(1, pitch_hz=300.0, gate_s=0.1)
    knobs = inverter.space.from_unit(class_centres(inverter.space, classes))
    loudest = min(
        float(knobs[pitch]) for pitch, amplitude in OSCILLATORS[name] if _is_loudest(knobs, name, amplitude)
    )
    key = dataclasses.replace(heard, pitch_hz=heard.pitch_hz * 440.0 / loudest)
    truth = inverter.synth.render(knobs, key, num_samples=inverter.num_samples)
    measured = sound_scores(inverter, weights, SoundBatch(truth, heard, torch.arange(1)))
    assert float(measured["mss"]) < 1e-2


def _is_loudest(knobs: dict[str, torch.Tensor], name: str, amplitude: str) -> bool:
    loudness = [float(knobs[other]) if other else 1.0 for _, other in OSCILLATORS[name]]
    return (float(knobs[amplitude]) if amplitude else 1.0) >= max(loudness)


@pytest.mark.parametrize("name", SYNTHS)
def test_every_synthesizer_of_the_catalog_can_teach_by_sound(name: str) -> None:
    check_gradient(inverter_of(name))


def test_a_space_of_named_choices_alone_is_refused() -> None:
    inverter = inverter_of("subtractive")
    choices = [knob.name for knob in inverter.space.parameters if isinstance(knob, Choice)]
    fixed = {knob.name: knob.default for knob in inverter.space.parameters if knob.name not in choices}
    inverter.space = ParameterSpace(inverter.space.parameters).with_fixed(fixed)
    with pytest.raises(ConfigError, match="named choices alone"):
        check_gradient(inverter)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "0 or more"),
        ({"temperature": 0.0}, "temperature above 0"),
        ({"batch_size": 0}, "batch_size 1 or more"),
        ({"weight": 0.0}, "nothing is learned"),
        ({"mss": 0.0, "sot": 0.0}, "nothing is learned"),
    ],
)
def test_weights_that_teach_nothing_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SoundLossConfig(**options)  # pyright: ignore[reportArgumentType]
