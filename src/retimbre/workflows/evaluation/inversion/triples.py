"""Triples to listen to: a held-out clip, its label rendered again, and what each model makes of it.

    audio/00000_original.wav     the clip
    audio/00000_rerender.wav     its true label, rendered again
    audio/00000_<model>.wav      the likeliest class of every knob, rendered with the true note

The second is no luxury. If the label of a clip does not sound like the clip, whatever is trained on such labels learns
something else, and every figure of this evaluation is about something else. So the two are compared, clip by clip.
Rendering the same knobs twice is not bit for bit the same: a batch of another size is summed in another order, and a
GPU has other sines. The energy of the difference stays far below what can be heard; more than `TOLERANCE_DB` is told.

Files are 32-bit float, so that nothing is lost. `listen.html` holds the first triples with players and pictures.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.synth.audibility import DIFFERENCE_FLOOR_DB
from retimbre.workflows.evaluation.inversion.contenders import Contender, Measured, differences
from retimbre.workflows.evaluation.inversion.judge import rendered
from retimbre.workflows.report.listen import ListenedClip, write_listening_page
from retimbre.workflows.report.page import ReportSound

AUDIO_FOLDER, LISTEN_FILE = "audio", "listen.html"
ORIGINAL, RERENDER = "original", "rerender"

# What the program takes for no difference elsewhere, too.
TOLERANCE_DB = DIFFERENCE_FLOOR_DB

# How much of a page is pleasant to load: some 20 MB of sounds and pictures.
MOST_ON_PAGE = 32

# An error in a clip softer than this RMS counts as if the clip had it: -80 dB, below which a sound is silent.
_QUIETEST_RMS = 1e-4
_LEAST_ERROR_DB = -200.0


@final
@dataclasses.dataclass(frozen=True)
class KeptTriples:
    """What was written.

    Attributes:
        errors_db: How far the re-rendering of each clip is from the clip: energy of the difference over energy.
    """

    errors_db: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many triples there are."""
        return len(self.errors_db)

    def name_files(self, measured: Sequence[Measured], rows: Mapping[str, list[dict[str, Any]]]) -> None:
        """Tells the files and the error of each kept clip in the rows of its models."""
        for each in measured:
            for clip, row in enumerate(rows[each.contender.name][: self.count]):
                row |= {
                    "original file": file_of(clip, ORIGINAL),
                    "rerender file": file_of(clip, RERENDER),
                    "prediction file": file_of(clip, each.contender.label),
                    "rerender_error_db": self.errors_db[clip],
                }

    @property
    def table(self) -> dict[str, Any]:
        """What is told of them, as JSON can hold it."""
        return {
            "count": self.count,
            "folder": AUDIO_FOLDER,
            "page": LISTEN_FILE,
            "rerender_error_db": max(self.errors_db),
            "tolerance_db": TOLERANCE_DB,
            "beyond_tolerance": sum(error > TOLERANCE_DB for error in self.errors_db),
        }


def file_of(clip: int, name: str) -> str:
    """The file of a clip, below the folder of the tables."""
    return f"{AUDIO_FOLDER}/{clip:05d}_{name}.wav"


def check_same_clips(groups: Sequence[Sequence[Contender]]) -> None:
    """Makes sure that all models hear the same clips.

    Raises:
        ConfigError: They do not, and triples would not be triples.
    """
    if len(groups) > 1:
        first, other = groups[0][0], groups[1][0]
        raise ConfigError(
            f"{other.name} hears other clips than {first.name} ({', '.join(differences(first, other))} differ), so "
            "their sounds cannot be kept side by side; evaluate them apart"
        )


def clear(folder: Path) -> None:
    """Removes the sounds and the page of an earlier evaluation, which would be taken for those of this one."""
    for old in (folder / AUDIO_FOLDER).glob("[0-9][0-9][0-9][0-9][0-9]_*.wav"):
        old.unlink()
    (folder / LISTEN_FILE).unlink(missing_ok=True)


@torch.no_grad()
def keep_triples(folder: Path, measured: Sequence[Measured], count: int, device: torch.device) -> KeptTriples:
    """Writes the sounds of the first clips, and the page.

    Args:
        measured: Models that heard the same clips.
        count: How many clips, or all if there are fewer.
    """
    shown: list[ListenedClip] = []
    errors_db: list[float] = []
    total = min(count, measured[0].contender.clips.count)
    for clip, sounds, about in _sounds(measured, total, device):
        rate = measured[0].contender.inverter.config.sample_rate
        for name, samples in sounds.items():
            audiofile.write(folder / file_of(clip, name), samples, rate)
        error_db = difference_db(sounds[ORIGINAL], sounds[RERENDER])
        errors_db.append(error_db)
        if clip < MOST_ON_PAGE:
            views = [ReportSound(name, samples, rate) for name, samples in sounds.items()]
            heading = f"{clip:05d}"
            shown.append(ListenedClip(heading, f"{about}, re-rendering {error_db:.0f} dB", views))
    kept = KeptTriples(tuple(errors_db))
    write_listening_page(folder / LISTEN_FILE, _title(measured), shown, _notes(kept))
    return kept


def difference_db(original: Float[Tensor, " samples"], again: Float[Tensor, " samples"]) -> float:
    """Energy of the difference of two sounds over the energy of the first, in decibels; -200 if they are equal."""
    least = len(original) * _QUIETEST_RMS**2
    energy = max(float(original.double().square().sum()), least)
    error = float((original.double() - again.double()).square().sum()) / energy
    return 10.0 * math.log10(error) if error > 10.0 ** (_LEAST_ERROR_DB / 10.0) else _LEAST_ERROR_DB


def _sounds(
    measured: Sequence[Measured], count: int, device: torch.device
) -> Iterator[tuple[int, dict[str, Tensor], str]]:
    """Every clip with its sounds by name, one at a time: a batch of one, as who renders the label alone would."""
    clips = measured[0].contender.clips
    for clip in range(count):
        batch = clips.pairs(range(clip, clip + 1), device)
        sounds = {ORIGINAL: batch.audio, RERENDER: clips.rerender(batch)}
        for each in measured:
            answer = each.judgement.answers.likeliest[clip : clip + 1].to(device)
            sounds[each.contender.label] = clips.as_kept(
                rendered(each.contender.inverter, answer, batch.note)
            )
        about = f"{float(batch.note.pitch_hz[0]):.1f} Hz, held {float(batch.note.gate_s[0]):.2f} s"
        yield clip, {name: audio[0].cpu() for name, audio in sounds.items()}, about


def _title(measured: Sequence[Measured]) -> str:
    return f"{measured[0].contender.inverter.config.synth}: original, re-rendering, reconstruction"


def _notes(kept: KeptTriples) -> list[str]:
    table = kept.table
    notes = [
        f"The re-rendering is the true label of the clip, rendered again. Its largest difference from the original is "
        f"{table['rerender_error_db']:.1f} dB of the original's energy; {TOLERANCE_DB:g} dB is taken for none.",
    ]
    if table["beyond_tolerance"]:
        notes.append(
            f"{table['beyond_tolerance']} of {kept.count} re-renderings differ by more: the labels do not describe "
            "these clips."
        )
    if kept.count > MOST_ON_PAGE:
        notes.append(f"This page holds the first {MOST_ON_PAGE} of {kept.count} clips; the files hold all.")
    return notes
