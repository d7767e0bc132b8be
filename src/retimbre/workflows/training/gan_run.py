"""The run files of GANs: which clips a generator learns from, and how long it grows.

Clips come from the corpora that the program makes itself, or from a prepared set (`retimbre data ...`). A set may have
any attributes; the corpora have `pitch`, `velocity` and `family`.
"""

import dataclasses
from typing import Any, final

from retimbre.core.errors import ConfigError
from retimbre.gan.config import GanConfig
from retimbre.gan.growth import Growth
from retimbre.listening.listener import NSYNTH_FAMILIES
from retimbre.training.loop import FitConfig
from retimbre.workflows.training.envelope_clips import EnvelopeClips
from retimbre.workflows.training.listener_run import CORPORA, Corpus
from retimbre.workflows.training.nsynth_notes import NSynthNotes
from retimbre.workflows.training.settings import RunConfig, TrainConfig


@final
@dataclasses.dataclass(frozen=True)
class GanDataConfig:
    """[data]: the clips that a generator learns from."""

    corpora: tuple[Corpus, ...] = ("notes",)
    """Where notes are from, in equal shares; `soundfont` needs FluidSynth and a General MIDI SoundFont."""
    set: str = ""
    """The folder of a prepared set, which takes the place of the corpora."""
    nsynth: NSynthNotes | None = None
    """Notes of a raw corpus, in place of both; see `nsynth_notes`."""
    envelopes: EnvelopeClips | None = None
    """Sounds before and after an envelope, in place of all of these; see `envelope_clips`."""
    notes: int = 12_000
    """Clips of each corpus, or of the set, that are kept in memory."""
    instruments: int = 200
    """Instruments of each family of the corpus `notes`."""
    families: tuple[str, ...] = NSYNTH_FAMILIES
    """Of the corpora's instruments."""
    lowest_pitch: int = 24
    """As a MIDI number, as is `highest_pitch`; of the corpora."""
    highest_pitch: int = 84
    """The highest."""
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127)
    """MIDI velocities of the corpora."""
    soundfont: str = ""
    """The `.sf2` file; empty looks where packages put one."""
    peak: bool = True
    """Whether each clip is brought to a peak of 1; clips of the corpora always are."""
    fade_out: float = 0.0
    """The part of a clip, at its end, over which it is faded out; 0 for none."""
    shuffled_labels: bool = False
    """Whether clips get the labels of other clips: the control of a comparison."""
    validation_clips: int = 500
    """Held-out clips that every validation goes through."""

    def __post_init__(self) -> None:
        """Refuses what leaves nothing to hear."""
        if not self.set and (not self.corpora or len(set(self.corpora)) < len(self.corpora)):
            raise ConfigError(f"[data] corpora takes one or more of {', '.join(CORPORA)}, each once")
        if sum(map(bool, (self.set, self.nsynth, self.envelopes))) > 1:
            raise ConfigError("[data] has several of set, nsynth and envelopes; takes one of them")
        for name in ("notes", "instruments", "validation_clips"):
            if getattr(self, name) < 1:
                raise ConfigError(f"[data] {name} is {getattr(self, name)}, but takes 1 or more")
        if not 0.0 <= self.fade_out <= 1.0:
            raise ConfigError(f"[data] fade_out is {self.fade_out:g}, but takes a part from 0 to 1")
        if self.lowest_pitch > self.highest_pitch:
            raise ConfigError(
                f"[data] lowest_pitch is {self.lowest_pitch}, but takes highest_pitch, {self.highest_pitch}, or less"
            )


@final
@dataclasses.dataclass(frozen=True)
class GanRun(RunConfig):
    """A run file that trains a GAN."""

    task: GanConfig
    train: TrainConfig
    data: GanDataConfig = dataclasses.field(default_factory=GanDataConfig)
    growth: Growth | None = None
    """How the networks grow; left out, they have their full size from the start."""
    seed: int = 0
    """Which weights, clips and latents."""

    def fit_config(self) -> FitConfig:
        """As for every run, but the best state is the one whose sounds are nearest to held-out ones.

        Sounds of a smaller scale may be nearer, while the details are yet to be learned; but they are not what the run
        is for. So the best state is one of the last scale, faded in where its fade ends at all.
        """
        return dataclasses.replace(super().fit_config(), monitor="kad", best_after=self._best_after())

    def _best_after(self) -> int:
        if self.growth is None:
            return 0
        whole = self.growth.whole_after
        return whole if whole < self.train.steps else self.growth.last_begins_after

    @property
    def kind(self) -> str:
        """What is trained."""
        return self.task.kind

    def resolved(self) -> "GanRun":
        """The same: nothing is left to the defaults of catalogs."""
        return self

    def facts_at(self, step: int) -> dict[str, Any]:
        """How far networks had grown: the scale, 0 for the smallest, of how many, and the share of the one before."""
        if self.growth is None:
            return {}
        stage = self.growth.at(step)
        return {"stage": {"scale": stage.scale, "scales": len(self.growth.steps), "fade": stage.fade}}

    def batch_size_at(self, step: int) -> int:
        """Clips in each update of a step."""
        return (self.growth.batch_size_at(step) if self.growth else 0) or self.train.batch_size

    def clips_after(self, step: int) -> int:
        """How many real clips the critics are shown in the updates up to a step."""
        each = self.task.loss.critic_steps
        if self.growth is None or not self.growth.batch_sizes:
            return step * each * self.train.batch_size
        shown, left = 0, step
        for scale in range(self.growth.start_scale, len(self.growth.steps)):
            is_largest = scale == len(self.growth.steps) - 1
            here = left if is_largest else min(left, self.growth.steps[scale])
            shown, left = shown + here * each * self.growth.batch_sizes[scale], left - here
        return shown
