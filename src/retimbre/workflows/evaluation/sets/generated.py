"""A generator as a set: as many sounds as there are real clips, asked for by their labels.

A set of generated notes is only comparable with a set of real ones if both have the same keys, velocities and families
in the same shares; otherwise a distance between them is one between scores of music. So a conditional generator is
asked, clip by clip, for the labels of the real clip. What the real clips do not tell, and classes that the generator
does not know, are drawn evenly, and the remarks say how many.

Level is not something it was told: generators learn notes at a peak of 1, and whoever plays one sets its level. Each
sound is therefore brought to the peak of the real clip whose labels it has. It hears nothing else of the real clips, so
its sounds may be compared with all of them.

Without real clips the labels are drawn, and the sounds are as the generator makes them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.level import fit_length, peak
from retimbre.dsp.resample import resample
from retimbre.gan.base import Classes
from retimbre.workflows.evaluation.sets.clips import About, ClipLabels, ClipOptions, Clips
from retimbre.workflows.evaluation.sets.embed import Progress, batches, ignore
from retimbre.workflows.evaluation.sets.spool import SpooledClips, spooled
from retimbre.workflows.generate.player import MANY, Player, drawn_classes, load_unconditioned

# Sounds of a generator that is not held against anything; an interval over so many is narrow.
_COUNT_ALONE = 1024

_Asked = dict[str, tuple[str, ...]]


def generator_sounds(
    model: str, real: Clips, device: torch.device, progress: Progress = ignore
) -> SpooledClips:
    """The sounds of a generator for the labels of a real set, at the set's rate, length and peaks.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        real: Whose labels are asked for; it is read for its levels.
        device: Where the generator runs.
        progress: Told of every batch.

    Raises:
        CheckpointError: The model cannot be read.
    """
    player = _player(model, device)
    asked, remarks = asked_for(player.sounds.classes, real.labels, len(real))
    about = _about(player, asked, len(real), real.sample_rate, real.num_samples)
    levels = (level for audio in batches(real) for level in peak(audio))
    remarks += ("each sound has the peak of the real clip whose labels it was asked for",)
    return spooled(about, _sounds(player, asked, about, levels, progress), lambda: remarks)


def generator_alone(
    model: str, options: ClipOptions, device: torch.device, progress: Progress = ignore
) -> SpooledClips:
    """The sounds of a generator, with labels drawn evenly.

    Args:
        model: A run folder, a checkpoint file or a shipped name.
        options: Rate, length, number (0 for 1,024) of the sounds; a length of 0 is the generator's own.
        device: Where the generator runs.
        progress: Told of every batch.

    Raises:
        CheckpointError: The model cannot be read.
    """
    player = _player(model, device)
    count = options.most or _COUNT_ALONE
    asked, _ = asked_for(player.sounds.classes, ClipLabels(), count)
    seconds = options.seconds or player.sounds.num_samples / player.sounds.sample_rate
    about = _about(player, asked, count, options.sample_rate, round(seconds * options.sample_rate))
    return spooled(about, _sounds(player, asked, about, None, progress))


def asked_for(classes: Classes, labels: ClipLabels, count: int) -> tuple[_Asked, tuple[str, ...]]:
    """The class of each attribute that each sound is asked for, and remarks on those that are not the real clip's.

    A velocity that is not a class becomes the nearest one; of anything else that is no class, one is drawn.
    """
    asked: _Asked = {}
    remarks: list[str] = []
    for name, names in classes.items():
        asked[name] = drawn_classes(classes, name, count, seed=0)
        wanted = labels.known().get(name, ())
        if not wanted:
            continue
        told = tuple(_nearest(str(value), names) if name == "velocity" else str(value) for value in wanted)
        asked[name] = tuple(
            each if each in names else drawn for each, drawn in zip(told, asked[name], strict=True)
        )
        others = sum(str(value) != each for value, each in zip(wanted, asked[name], strict=True))
        if others:
            instead = "the nearest one was asked for" if name == "velocity" else "another was drawn"
            remarks.append(
                f"the generator does not know the {name} of {others} of {count} real clips; {instead}"
            )
    return asked, tuple(remarks)


def _nearest(velocity: str, names: tuple[str, ...]) -> str:
    return min(names, key=lambda each: (abs(int(each) - int(velocity)), int(each)))


def _player(model: str, device: torch.device) -> Player:
    return Player(load_unconditioned(model).to(device), model, device=device)


def _about(player: Player, asked: _Asked, count: int, sample_rate: int, num_samples: int) -> About:
    sounds = player.sounds
    own_s, seconds = sounds.num_samples / sounds.sample_rate, num_samples / sample_rate
    how = "cut" if own_s > seconds else "followed by zeros"
    found = {
        f"made at {sounds.sample_rate} Hz and resampled to {sample_rate} Hz": sounds.sample_rate
        != sample_rate,
        f"made {own_s:.4g} s long and {how}: clips have {seconds:.4g} s": abs(own_s - seconds)
        > 1 / sounds.sample_rate,
    }
    return About(
        name=player.name,
        sample_rate=sample_rate,
        num_samples=num_samples,
        names=tuple(f"generated_{row:05d}" for row in range(count)),
        labels=_clip_labels(asked),
        source_rates=(sounds.sample_rate,),
        remarks=tuple(remark for remark, true in found.items() if true),
    )


def _clip_labels(asked: Mapping[str, tuple[str, ...]]) -> ClipLabels:
    numbers: dict[str, Any] = {
        name: tuple(int(each) for each in asked[name]) for name in ("pitch", "velocity") if name in asked
    }
    names: dict[str, Any] = {name: asked[name] for name in ("family", "instrument") if name in asked}
    return ClipLabels(**numbers, **names)


def _sounds(
    player: Player, asked: _Asked, about: About, levels: Iterator[Tensor] | None, progress: Progress
) -> Iterator[Float[Tensor, "batch samples"]]:
    """The sounds, a batch at a time, as the set has them."""
    count = len(about.names)
    latents = player.sounds.draw_latents(count, seed=0, purpose="evaluation")
    done = 0
    for audio in player.play_all(latents, asked, MANY):
        heard = fit_length(resample(audio, player.sounds.sample_rate, about.sample_rate), about.num_samples)
        if levels is not None:
            heard = torch.stack([_at_level(samples, float(next(levels))) for samples in heard])
        done += len(heard)
        progress(done, count)
        yield heard


def _at_level(samples: Float[Tensor, " samples"], level: float) -> Float[Tensor, " samples"]:
    """A sound with a peak of `level`; a silent one stays silent, and a silent real clip says nothing of levels."""
    largest = float(peak(samples))
    return samples * (level / largest) if largest > 0.0 and level > 0.0 else samples
