"""What a network makes as it learns, to listen to and to look at: a folder of samples for every so many steps.

    RUN/samples/step-00000500/real.wav          held-out clips, one after the other with short silences between
    RUN/samples/step-00000500/generated.wav     what the network makes of their labels, in the same order
    RUN/samples/step-00000500/rainbowgrams.png  both, one row above the other

Losses of a generator and its critics say little about sounds: each is measured against an opponent that learns, too.
Ears and eyes find in seconds what no curve shows, such as notes that all sound alike, clicks where frames meet, or a
partial that is out of tune. So that folders can be compared, all show the same clips, labels and latents, and all
pictures have the axes of the held-out clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import whole_file
from retimbre.dsp.audiofile import write_pieces
from retimbre.workflows.report.rainbow import rainbow_axes
from retimbre.workflows.report.rainbowgram import RainbowSound, rainbowgram_grid_png

SAMPLES = "samples"  # of a run folder
_SILENCE_S = 0.15


@final
@dataclass(frozen=True, eq=False)
class Samples:
    """Clips and what was made of their labels.

    Attributes:
        names: Of each pair: its labels, or its number.
    """

    real: Float[Tensor, "clips samples"]
    generated: Float[Tensor, "clips samples"]
    names: tuple[str, ...]
    sample_rate: int


def folder_of(run: Path, step: int) -> Path:
    """Where the samples of a run after a step are."""
    return run / SAMPLES / f"step-{step:08d}"


def write_samples(folder: Path, samples: Samples) -> None:
    """Writes samples as sounds and as a sheet of rainbowgrams; such files that are there already are replaced.

    Raises:
        ValueError: A clip is empty or not finite.
        AudioError: There is no clip, or the sample rate is out of bounds.
    """
    rate = samples.sample_rate
    sets = {"real": samples.real.cpu().float(), "generated": samples.generated.cpu().float()}
    for name, audio in sets.items():
        write_pieces(folder / f"{name}.wav", _apart(audio, rate), rate)
    sheet = rainbowgram_grid_png(
        [[RainbowSound(clip, rate) for clip in audio] for audio in sets.values()],
        list(sets),
        samples.names,
        axes=rainbow_axes(list(sets["real"]), [rate] * len(sets["real"])),
    )
    with whole_file(folder / "rainbowgrams.png") as aside:
        aside.write_bytes(sheet)


def _apart(audio: Float[Tensor, "clips samples"], sample_rate: int) -> Sequence[Float[Tensor, " _"]]:
    """The clips with a silence between each two."""
    silence = audio.new_zeros(round(_SILENCE_S * sample_rate))
    return [piece for clip in audio for piece in (clip, silence)][:-1]
