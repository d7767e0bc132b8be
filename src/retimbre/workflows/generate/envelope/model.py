"""What can put an envelope on a sound: a generator that is told a curve, one that is told classes, or an earlier one.

All are asked in the same way, for a stretch of a sound at a time. A generator of this program needs only some samples
on either side of a stretch, and to be told where in the sound it is, to make of it what it would make of the whole. The
earlier system's normalisations hear the whole sound at once, so it gets that.

A generator that knows classes gets the nearest ones, and says so; what it was told is then the envelope that the result
is measured by.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, CheckpointError, ConfigError
from retimbre.core.files import sha256_of
from retimbre.corpora.envelopes.corpus import STAGES
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.networks.told.envelope import EnvelopeGenerator
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.training.devices import pick_device
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.generate.envelope.curve import Curve, Stages, Wanted
from retimbre.workflows.generate.player import LARGEST
from retimbre.workflows.legacy import neurosynth
from retimbre.workflows.legacy.neurosynth_networks import ATTACKS, RELEASES, SUSTAINS, NeuroSynthGenerator

_BLOCK_SAMPLES = 1 << 16


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """Some samples of a sound.

    Attributes:
        sound: The samples.
        gain: What they are to be multiplied by, 0 to 1.
        first: The number of the first of them.
        total: Samples of the whole sound.
    """

    sound: Float[Tensor, " samples"]
    gain: Float[Tensor, " samples"]
    first: int
    total: int


class Shaper(abc.ABC):
    """Puts one envelope on sounds.

    Attributes:
        name: What the model was called by.
        path: Its file.
        wanted: The envelope that it was told: with classes, the nearest.
        remarks: What a reader should know of that.
        block: Samples that it makes at a time.
        context: Samples that it has to hear on either side of these.
        device: Where it runs.
    """

    block: int = _BLOCK_SAMPLES
    context: int = 0

    def __init__(self, name: str, path: Path, wanted: Wanted, device: torch.device) -> None:
        self.name, self.path, self.wanted, self.device = name, path, wanted, device
        self.remarks: list[str] = []

    def shaped(self, stretch: Stretch) -> Float[Tensor, " samples"]:
        """A stretch under the envelope, on the CPU; of its first and last `context` samples only if the sound ends.

        Raises:
            AudioError: The result is NaN, infinite or immense: the weights are nothing that training leads to.
        """
        with torch.inference_mode():
            made = self._shaped(stretch).float().cpu()
        if not float(made.abs().max()) <= LARGEST:  # of NaN every comparison is false
            raise AudioError(f"{self.name}: what it makes of the sound is not finite, or immense")
        return made.clone()

    def facts(self) -> dict[str, str]:
        """What names the model, as JSON values."""
        return {"model": self.name, "sha256": sha256_of(self.path), "device": self.device.type}

    @abc.abstractmethod
    def _shaped(self, stretch: Stretch) -> Float[Tensor, " samples"]:
        """The work itself."""


def open_shaper(model: str | Path, wanted: Wanted, device: str = "auto") -> Shaper:
    """A model that puts an envelope on sounds.

    Args:
        model: A run folder, a checkpoint, a shipped name, or a file of the earlier system's weights.
        wanted: The envelope.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        CheckpointError: There is no such model, it is damaged, or it is of another kind.
        ConfigError: It is a generator that reshapes nothing, or cannot be told such an envelope.
    """
    chosen, path = pick_device(device), find_checkpoint(model)
    if neurosynth.is_legacy(path):
        return _LegacyShaper(str(model), path, wanted, chosen)
    sounds = load_generator(model)
    if not isinstance(sounds.network, EnvelopeGenerator):
        raise ConfigError(
            f"{model}: a {sounds.config.generator.kind} generator, which puts no envelope on sounds; takes one of the "
            "kind 'envelope', such as the shipped one"
        )
    return _NetworkShaper(str(model), path, wanted, chosen, sounds)


@final
class _NetworkShaper(Shaper):
    """A generator of this program."""

    def __init__(
        self, name: str, path: Path, wanted: Wanted, device: torch.device, sounds: SoundGenerator
    ) -> None:
        super().__init__(name, path, wanted, device)
        if not isinstance(sounds.network, EnvelopeGenerator):
            raise CheckpointError(f"{name}: holds no envelope network")
        self.network, self.context = sounds.network.to(device).eval(), sounds.network.context
        self.block = -(-_BLOCK_SAMPLES // self.network.stride) * self.network.stride
        self.latent = sounds.draw_latents(1, seed=0, purpose="envelope").to(device)
        self.classes: dict[str, Tensor] = {}
        if sounds.classes:
            values = {stage: [float(each) for each in names] for stage, names in sounds.classes.items()}
            self.wanted, places, self.remarks = _nearest(name, wanted, values)
            self.classes = {stage: torch.tensor([place], device=device) for stage, place in places.items()}

    def _shaped(self, stretch: Stretch) -> Float[Tensor, " samples"]:
        sound = stretch.sound.to(self.device)[None, None]
        labels = {SOUND: sound, ENVELOPE: stretch.gain.to(sound)[None], **self.classes}
        number = torch.arange(len(stretch.sound), device=self.device, dtype=torch.float64) + stretch.first
        time = (2.0 * number / max(1, stretch.total - 1) - 1.0).to(sound.dtype)
        return self.network.reshaped(self.latent, labels, time[None, None])[0, 0]


@final
class _LegacyShaper(Shaper):
    """The network of the earlier system."""

    block = neurosynth.MOST_SAMPLES

    def __init__(self, name: str, path: Path, wanted: Wanted, device: torch.device) -> None:
        super().__init__(name, path, wanted, device)
        self.network: NeuroSynthGenerator = neurosynth.load_generator_weights(path).to(device)
        values = {"attack": ATTACKS, "sustain": SUSTAINS, "release": RELEASES}
        self.wanted, places, self.remarks = _nearest(name, wanted, values)
        self.classes = torch.tensor([[places[stage] for stage in values]], device=device)

    def _shaped(self, stretch: Stretch) -> Float[Tensor, " samples"]:
        if stretch.total > neurosynth.MOST_SAMPLES:
            raise AudioError(
                f"{self.name}: hears a sound as a whole, so it takes {neurosynth.MOST_SAMPLES:,} samples at most, not "
                f"{stretch.total:,}"
            )
        sound = stretch.sound.to(self.device)[None]
        return neurosynth.reshape_as_neurosynth(self.network, sound, self.classes)[0]


def _nearest(
    name: str, wanted: Wanted, values: Mapping[str, Sequence[float]]
) -> tuple[Stages, dict[str, int], list[str]]:
    """The nearest classes: the envelope that they stand for, their places, and what was moved.

    Raises:
        ConfigError: A curve, a stage that the model does not know, or classes of something else.
    """
    unknown = [stage for stage in values if stage not in STAGES]
    if unknown or isinstance(wanted, Curve):
        told = ", ".join(values)
        raise ConfigError(f"{name}: is told classes of {told}, no curve; takes a model that is told one")
    asked = dataclasses.asdict(wanted)
    rest = dataclasses.asdict(Stages())
    for stage in STAGES:
        if stage not in values and asked[stage] != rest[stage]:
            raise ConfigError(f"{name}: knows no {stage}; takes {', '.join(values)}")
    places = {
        stage: min(range(len(known)), key=lambda place: abs(known[place] - asked[stage]))
        for stage, known in values.items()
    }
    told = {stage: values[stage][place] for stage, place in places.items()}
    remarks = [
        f"{name} knows {stage}s of {_listed(known)}; {asked[stage]:g} became {told[stage]:g}"
        for stage, known in values.items()
        if abs(told[stage] - asked[stage]) > 1e-9
    ]
    return Stages(**told), places, remarks


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{each:g}" for each in values)
