"""How near are the envelopes that come out to those asked for, on waves that nobody trained on?

    python benchmarks/envelope.py OUT [--original-steps 3000 9000] [--updates 0]

Clips are those of the earlier system's toy set: 128 samples, 12 cycles, one of 27 classes of attack, sustain and
release. There are six sets of 500: *learned* waves (sine, sawtooth, square), *held-out* ones (triangle, pulse,
frequency modulation, drawn wavetables), the earlier system's own two questions, a *noisy sine* (noise of 0.3 where
0.05 was learned) and an *inverted sawtooth*, and two without noise: *clean held-out* waves, without the wavetables, and
*the earlier system's four*, sine, sawtooth, square and inverted sawtooth. On each set:

    product         the sound times the envelope, what a perfect network would make
    curve           the shipped model, told the curve: runs/envelope.toml
    untrained       the same network before it learned anything
    curve, seed 1   trained once more from another seed
    sample alone    trained by the difference of samples, the critic having no say
    critic alone    trained by the critic, without a difference of samples
    classes         the shipped model, told the classes: runs/neurosynth.toml
    classes, seed 1 trained once more from another seed
    original, N     the earlier system's networks and training as they are in its program, after N updates

The *envelope error* is the RMS difference in dB of the output's envelope from the one asked for times the level of the
sound, where that is above -40 dB of its peak, both seen through the same follower: power under a Hann window of two
periods, which takes out the wave and nothing else. The *excess* is the same against the product, and so free of what
the sound's own level does. The *spectral distance* is the RMS difference in dB between the spectra of the sustained
part of the output and of the sound at equal level, where the sound's is above -40 dB of its peak. Means over a set are
root mean squares.

Trainings are kept in OUT and are not repeated; `results.json` there has the table. All of them take about half an hour
of one core. `--updates` shortens those by run files, to try the script.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.core.files import write_json
from retimbre.corpora.envelopes.corpus import (
    EnvelopeBatch,
    EnvelopeCorpus,
    EnvelopeSettings,
    envelopes,
    one_hot,
)
from retimbre.dsp.level import match_level
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.metrics.notes.envelope import envelope_error_db
from retimbre.training import checkpoint
from retimbre.workflows.legacy.neurosynth import reshape_as_neurosynth
from retimbre.workflows.legacy.neurosynth_networks import NeuroSynthCritic, NeuroSynthGenerator, numbers, told
from retimbre.workflows.training.fit import train

RUNS = Path(__file__).parent.parent / "runs"
CURVE, CLASSES = "envelope", "envelope-classes"  # as shipped
CLIPS = 500
NOT_LEARNED = 1 << 30  # the number of the first clip that is measured
PERIOD = 128 / 12  # samples
N_FFT = 512
FLOOR_DB = -40.0
KIND = "neurosynth"

Shape = Callable[[EnvelopeBatch, Tensor], Tensor]
"""From clips and the gains asked for to outputs."""

SETS = {
    "learned": EnvelopeSettings(seed=1),
    "held-out": EnvelopeSettings(carriers=("triangle", "pulse", "fm", "wavetable"), seed=1),
    "noisy sine": EnvelopeSettings(carriers=("sine",), noise=0.3, seed=1),
    "inverted sawtooth": EnvelopeSettings(carriers=("inverted-sawtooth",), seed=1),
    "held-out, clean": EnvelopeSettings(carriers=("triangle", "pulse", "fm"), noise=0.0, seed=1),
    "original's four, clean": EnvelopeSettings(
        carriers=("sine", "sawtooth", "square", "inverted-sawtooth"), noise=0.0, seed=1
    ),
}

# A critic without a say is updated all the same, so its loss is one that stays in bounds without a penalty.
SILENT_CRITIC = (
    'task.critics=[{network={kind="envelope"},weight=0.0}]',
    'task.loss.kind="lsgan"',
    "task.loss.gradient_penalty=0.0",
)
TRAININGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "curve, seed 1": ("envelope.toml", ("seed=1",)),
    "sample alone": ("envelope.toml", SILENT_CRITIC),
    "critic alone": (
        "envelope.toml",
        ("task.loss.reconstruction=0.0", "train.steps=1500", "train.validate_every=1500"),
    ),
    "classes, seed 1": ("neurosynth.toml", ("seed=1",)),
}
"""What is trained here, by row: a run file, and what is other than it says."""


def followed(power: Tensor) -> Tensor:
    """Power under a Hann window of two periods."""
    half = round(PERIOD)
    place = torch.arange(-half, half + 1, dtype=torch.float64) / (2 * PERIOD)
    window = torch.where(place.abs() < 0.5, 0.5 + 0.5 * torch.cos(2 * torch.pi * place), 0.0)
    return functional.conv1d(power[:, None], (window / window.sum())[None, None], padding=half)[:, 0]


def envelope_errors(output: Tensor, target: Tensor) -> float:
    """The RMS over clips of the difference in dB of the envelopes of two powers."""
    found = envelope_error_db(followed(output), followed(target)).known
    return float(found.square().mean().sqrt())


def spectral_distances(output: Tensor, sound: Tensor, values: Tensor) -> float:
    """The RMS over clips of the difference in dB of the spectra of the sustained parts."""
    found: list[Tensor] = []
    length = sound.shape[1]
    for row, (attack, _, _, release) in enumerate(values.tolist()):
        held = slice(int(attack * length) + 1, length - int(release * length) - 1)
        before, after = sound[row : row + 1, held].double(), output[row : row + 1, held].double()
        window = torch.hann_window(before.shape[1], periodic=False, dtype=torch.float64)
        spectra = [
            20 * torch.fft.rfft(part * window, N_FFT).abs().clamp_min(1e-9).log10()
            for part in (before, after * match_level(before, after)[:, None])
        ]
        top_db = spectra[0].max()
        heard = spectra[0] > top_db + FLOOR_DB
        lowest_db = top_db + FLOOR_DB - 20
        found.append((spectra[1].clamp_min(lowest_db) - spectra[0])[heard].square().mean().sqrt())
    return float(torch.stack(found).square().mean().sqrt())


def measured(shape: Shape) -> dict[str, dict[str, float]]:
    """The three figures on each set."""
    rows: dict[str, dict[str, float]] = {}
    for name, settings in SETS.items():
        batch = EnvelopeCorpus(settings).batch(torch.arange(CLIPS) + NOT_LEARNED)
        sound = batch.basic
        gain = envelopes(batch.labels.values, settings.num_samples, has_decay=False).float()
        with torch.no_grad():
            output = shape(batch, gain).double()
        asked = gain.double().square() * sound.double().square().mean(dim=1, keepdim=True)
        rows[name] = {
            "envelope_db": envelope_errors(output.square(), asked),
            "excess_db": envelope_errors(output.square(), (sound * gain).double().square()),
            "spectral_db": spectral_distances(output, sound, batch.labels.values),
        }
    return rows


def by(sounds: SoundGenerator) -> Shape:
    """What a generator of this program makes."""

    def shape(batch: EnvelopeBatch, gain: Tensor) -> Tensor:
        stages = dict(zip(("attack", "sustain", "release"), batch.labels.classes.unbind(1), strict=True))
        labels = {SOUND: batch.basic[:, None], ENVELOPE: gain, **stages}
        latent = sounds.draw_latents(len(gain), seed=0)
        return sounds.network(latent, labels)[:, 0]

    return shape


def untrained(model: SoundGenerator) -> SoundGenerator:
    torch.manual_seed(0)
    return SoundGenerator(model.config, model.classes).eval()


def original(out: Path, steps: int) -> Shape:
    """The earlier system after so many updates of its generator; trained now unless OUT has it."""
    path = out / f"original-{steps}.safetensors"
    generator = NeuroSynthGenerator()
    if path.exists():
        state, _ = checkpoint.load(path, kind=KIND)
        generator.load_state_dict(state)
    else:
        train_original(generator, steps)
        checkpoint.save(path, generator.state_dict(), kind=KIND, metadata={"steps": steps})
    return lambda batch, _: reshape_as_neurosynth(generator, batch.basic, batch.labels.classes)


def train_original(
    generator: NeuroSynthGenerator, steps: int, batch_size: int = 64, size: int = 2048
) -> None:
    """Its training: three updates of the critic, each by a loss of its own, and one of the generator.

    The penalty is of weight 1, on the norm over the channels of each sample's gradient, which is what it does in place
    of what it says. Its data has 2,048 clips, gone through in order.
    """
    torch.manual_seed(0)
    corpus = EnvelopeCorpus(EnvelopeSettings(seed=2))
    critic = NeuroSynthCritic()
    of_critic, of_generator = (torch.optim.Adam(each.parameters()) for each in (critic, generator))
    for batch in batches(corpus, steps, batch_size, size):
        labels = one_hot(batch.labels.classes, corpus.settings)
        beside = torch.cat([batch.basic[:, None], numbers(batch.basic)], dim=1)
        heard = told(batch.basic, batch.labels.classes)
        with torch.no_grad():
            made = generator(heard)
        real = batch.target[:, None]
        score, classes = critic(torch.cat([real, beside], dim=1))
        update(of_critic, functional.binary_cross_entropy_with_logits(classes, labels) - score.mean())
        update(of_critic, critic(torch.cat([made, beside], dim=1))[0].mean())
        chance = torch.rand(batch_size, 1, 1)
        between = torch.cat([chance * real + (1 - chance) * made, beside], dim=1).requires_grad_()
        total = critic(between)[0].sum()
        (slope,) = torch.autograd.grad(total, between, create_graph=True)
        update(of_critic, (slope.norm(dim=1) - 1).square().mean())
        score, classes = critic(torch.cat([generator(heard), beside], dim=1))
        update(of_generator, functional.binary_cross_entropy_with_logits(classes, labels) - score.mean())


def batches(corpus: EnvelopeCorpus, steps: int, batch_size: int, size: int) -> Iterator[EnvelopeBatch]:
    order = torch.randperm(size, generator=random.generator(0, "original's clips"))
    for step in range(steps):
        first = step * batch_size % size
        yield corpus.batch(order[first : first + batch_size])


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def trained(out: Path, row: str, updates: int) -> SoundGenerator:
    """The generator of a row; trained now unless OUT has it."""
    run_file, changed = TRAININGS[row]
    shorter = (f"train.steps={updates}", f"train.validate_every={updates}") if updates else ()
    folder = out / row.replace(", ", "-").replace(" ", "-")
    train(RUNS / run_file, out=folder, overrides=[*changed, *shorter], device="cpu")
    return load_generator(folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--original-steps", type=int, nargs="*", default=[3000, 9000])
    parser.add_argument(
        "--updates", type=int, default=0, help="of trainings by run files; 0: as many as these say"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    curve = load_generator(CURVE)
    shapes: dict[str, Shape] = {
        "product": lambda batch, gain: batch.basic * gain,
        "curve": by(curve),
        "untrained": by(untrained(curve)),
        "classes": by(load_generator(CLASSES)),
    }
    shapes |= {row: by(trained(args.out, row, args.updates)) for row in TRAININGS}
    shapes |= {f"original, {steps}": original(args.out, steps) for steps in args.original_steps}
    rows: dict[str, Any] = {name: measured(shape) for name, shape in shapes.items()}
    write_json(args.out / "results.json", {"updates": args.updates, "rows": rows})
    for name, row in rows.items():
        print(f"{name:<16}", *(f"{of['envelope_db']:6.2f} ({of['spectral_db']:.1f})" for of in row.values()))


if __name__ == "__main__":
    main()
