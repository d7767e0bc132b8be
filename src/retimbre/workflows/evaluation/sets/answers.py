"""An inverter as a generator: its answers to real clips, rendered.

An inverter makes no sounds of its own; it says which knobs would make a given one. Asked about every clip of a real set
it yields a set of the same size, clip by clip, which any distance between sets can judge. The answer is the likeliest
class of every knob, without any search, played at the pitch and for as long as was heard, at the clip's level, from
where the clip's note begins.

A clip in which there is no note to answer (silence, a click) is answered by silence, which counts against the model as
it does against the listener.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import AudioError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length, match_level, peak
from retimbre.dsp.resample import resample
from retimbre.matching.inverter import Inverter, load_inverter
from retimbre.matching.propose import Proposals, joined, with_notes
from retimbre.matching.target import Target, TargetSettings, find_target
from retimbre.synth.base import Note
from retimbre.synth.patches import synth_at_rate
from retimbre.workflows.evaluation.sets.clips import About, Clips
from retimbre.workflows.evaluation.sets.embed import Progress, batches, ignore
from retimbre.workflows.evaluation.sets.spool import SpooledClips, spooled


def inverter_answers(
    model: str, real: Clips, device: torch.device, progress: Progress = ignore
) -> SpooledClips:
    """The answers of an inverter to a set, at the set's rate and length.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        real: The clips it is asked about.
        device: Where the network listens and the patches are rendered.
        progress: Told of every batch.

    Raises:
        CheckpointError: The model cannot be read.
    """
    answering = _Answering(load_inverter(model).eval().to(device), real, device)
    about = About(
        name=model,
        sample_rate=real.sample_rate,
        num_samples=real.num_samples,
        names=real.names,
        labels=real.labels,
        remarks=("these are the answers of an inverter to the real clips, not sounds of its own",),
    )
    return spooled(about, answering.sounds(progress), answering.remarks)


@final
class _Answering:
    """An inverter going through a set.

    Attributes:
        unanswered: How many clips held no note so far.
    """

    def __init__(self, inverter: Inverter, real: Clips, device: torch.device) -> None:
        self.inverter, self.real, self.device = inverter, real, device
        self.unanswered = 0

    def sounds(self, progress: Progress) -> Iterator[Float[Tensor, "batch samples"]]:
        """The answers, as many at once as clips are read."""
        done = 0
        for audio in batches(self.real):
            targets = [self._target(samples, row + done) for row, samples in enumerate(audio)]
            answers = torch.zeros_like(audio)
            heard = [row for row, target in enumerate(targets) if target is not None]
            if heard:
                answers[heard] = self._rendered([target for target in targets if target is not None])
            self.unanswered += len(targets) - len(heard)
            done += len(audio)
            progress(done, len(self.real))
            yield answers

    def remarks(self) -> tuple[str, ...]:
        """What was met on the way."""
        silent, total = self.unanswered, len(self.real)
        told = f"{silent} of {total} real clips hold no note to answer, and are answered by silence"
        return (told,) if silent else ()

    def _target(self, samples: Float[Tensor, " samples"], row: int) -> Target | None:
        """The note in a clip, if there is one."""
        sound = audiofile.Sound(
            samples=samples,
            sample_rate=self.real.sample_rate,
            path=Path(self.real.names[row]),
            source_rate=self.real.sample_rate,
            channels=1,
            subtype="FLOAT",
            clipped=False,
            mix="mono",
            gain=1.0,
            truncated=False,
        )
        try:
            return find_target(sound, TargetSettings(max_seconds=max(sound.seconds, 1.0)))
        except AudioError:
            return None

    @torch.no_grad()
    def _rendered(self, targets: list[Target]) -> Float[Tensor, "targets samples"]:
        proposals = joined(*(self._likeliest(target) for target in targets))
        synth = synth_at_rate(self.inverter.config.synth, self.real.sample_rate)
        knobs = self.inverter.space.from_unit(proposals.unit.to(self.device))
        note = proposals.note().to(self.device)
        played = synth.render(knobs, note, num_samples=self.real.num_samples).cpu()
        return torch.stack(
            [
                _placed(sound, target, self.real.num_samples)
                for sound, target in zip(played, targets, strict=True)
            ]
        )

    def _likeliest(self, target: Target) -> Proposals:
        """The likeliest class of every knob; chance takes no part in it."""
        inverter, hint, chance = self.inverter, target.hint, random.generator(0, "likeliest")
        rate = inverter.config.sample_rate
        clip = fit_length(resample(target.samples, target.sample_rate, rate), inverter.num_samples)
        note = Note.of(1, pitch_hz=hint.pitch_hz, gate_s=hint.gate_s, device=self.device)
        unit = inverter.propose(clip[None].to(self.device), note, 1, generator=chance)
        return with_notes(inverter.config.synth, inverter.space, unit, hint, chance)


def _placed(sound: Float[Tensor, " samples"], target: Target, num_samples: int) -> Float[Tensor, " samples"]:
    """A rendered note at the level of the one it answers, within full scale, from where that one begins."""
    answer = fit_length(sound, len(target.samples))
    largest = float(peak(sound))
    gain = min(float(match_level(target.samples, answer)), 1.0 / largest) if largest > 0 else 1.0
    lead = torch.zeros(round(target.start_s * target.sample_rate))
    return fit_length(torch.cat([lead, gain * sound]), num_samples)
