"""Writing the files of a listening pack into a folder.

Levels can be set only when all sounds are known, since the loudest peak decides for all. So every sound is made once
and kept aside as it is, measured, and written again at its level: memory holds one sound at a time.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.files import fingerprint, sha256_of
from retimbre.dsp import audiofile
from retimbre.dsp.resample import resample
from retimbre.workflows.study.listening.manifest import write_manifest
from retimbre.workflows.study.listening.options import PackOptions
from retimbre.workflows.study.listening.page import write_rating_page
from retimbre.workflows.study.listening.reels import GAP_S, joined, write_reels
from retimbre.workflows.study.listening.selection import Selection
from retimbre.workflows.study.listening.sounds import (
    ANCHOR_SETTINGS,
    GRIFFIN_LIM,
    LOW_PASS,
    LOW_PASS_MIN_RATE,
    PEAK_DB,
    THROUGH,
    Level,
    Meter,
    pack_loudness_lufs,
    through_griffin_lim,
    through_representation,
    without_treble,
)
from retimbre.workflows.study.listening.stimuli import SCORED, Stimulus, scored_in, screens, stimuli
from retimbre.workflows.study.listening.systems import REAL, System

# A sound that is softer than the rest by less than this is not.
_NO_SHORTFALL_LU = 0.05


@final
class PackWriter:
    """Writes the files of one pack.

    Attributes:
        folder: Where to; empty, and to be moved to its place when it is whole.
        rate: The sample rate of all sounds, the highest that was met.
        remarks: What the reader of the results should know; grows while sounds are made.
    """

    def __init__(self, folder: Path, options: PackOptions, selection: Selection) -> None:
        self.folder = folder
        self.options = options
        self.selection = selection
        self.rate = selection.rates[-1]
        self.remarks = list(selection.remarks)

    def write(self, systems: Sequence[System], real: System | None) -> dict[str, Any]:
        """Writes everything; returns the manifest."""
        mode = self.options.mode
        names = [each.name for each in systems] + self._reals(real)
        sounds = stimuli(self.selection, names, mode, self.options.seed)
        loudness_lufs, entries = self._sounds(sounds)
        self._playlists(sounds)
        files = {name: self.folder / entry["file"] for name, entry in entries.items()}
        reels = write_reels(self.folder, sounds, files, self.options.reel) if self.options.reel else {}
        identity = fingerprint({"sounds": entries, "mode": mode, "question": self.options.asked})
        page = self._listeners / "rate.html"
        embedded = write_rating_page(page, identity, (mode, self.options.asked), screens(sounds, mode))
        content = {
            "id": identity,
            "mode": mode,
            "reference": REAL if real else "",
            "systems": {name: _about(name, systems, real) for name in names},
            "settings": self._settings(loudness_lufs, embedded=embedded),
            "trials": {sound.trial: scored_in(sounds, sound.trial) for sound in sounds},
            "reels": reels,
            "sounds": entries,
            "remarks": self.remarks,
            "failed": list(self.selection.failed),
        }
        return write_manifest(self.folder, content)

    @property
    def _listeners(self) -> Path:
        return self.folder / "listeners"

    @property
    def _staging(self) -> Path:
        return self.folder / "staging"

    def _reals(self, real: System | None) -> list[str]:
        """The names of the real sounds and of the anchors made of them."""
        if real is None:
            self.remarks.append(
                "no real sounds were given (--real), so there is no anchor: scores will say which system is liked "
                "better, not how far any is from real"
            )
            return []
        through = [f"{THROUGH}{name}" for name in self.options.through]
        if self.options.mode == "mos":
            return [REAL, GRIFFIN_LIM, *through]
        if self.rate < LOW_PASS_MIN_RATE:
            self.remarks.append(f"no low anchor: {self.rate} Hz leave nothing above 3.5 kHz to take away")
            return [REAL, GRIFFIN_LIM, *through]
        return [REAL, GRIFFIN_LIM, *through, LOW_PASS]

    def _sounds(self, sounds: Sequence[Stimulus]) -> tuple[float, dict[str, dict[str, Any]]]:
        """Writes all sounds; returns the loudness they have and what the manifest says of each."""
        meters = {sound.name: self._stage(sound) for sound in sounds}
        loudness_lufs = pack_loudness_lufs(list(meters.values()))
        entries = {
            sound.name: self._write_sound(sound, meters[sound.name].level(loudness_lufs)) for sound in sounds
        }
        shutil.rmtree(self._staging)
        return loudness_lufs, entries

    def _stage(self, sound: Stimulus) -> Meter:
        """Makes a sound, keeps it aside at its own level, and measures it."""
        excerpt = sound.source.excerpt(sound.item.key, self.options.seconds)
        samples = resample(excerpt.samples, excerpt.sample_rate, self.rate)
        if sound.system == GRIFFIN_LIM:
            samples = through_griffin_lim(samples, self.options.seed)
        elif sound.system == LOW_PASS:
            samples = without_treble(samples, self.rate)
        elif sound.system.startswith(THROUGH):
            samples = through_representation(samples, sound.system.removeprefix(THROUGH), self.rate)
        if sound.original:
            self.remarks += [f"{sound.system}: {sound.item.key}: {line}" for line in excerpt.remarks]
        audiofile.write(self._staging / f"{sound.name}.wav", samples, self.rate)
        return Meter.of(samples, self.rate)

    def _write_sound(self, sound: Stimulus, level: Level) -> dict[str, Any]:
        samples = _read(self._staging / f"{sound.name}.wav") * 10.0 ** (level.gain_db / 20.0)
        path = self._listeners / "sounds" / f"{sound.name}.flac"
        audiofile.write(path, samples, self.rate)
        if level.shortfall_lu > _NO_SHORTFALL_LU and sound.role == SCORED:
            self.remarks.append(
                f"{sound.system}: {sound.item.key} is {level.shortfall_lu:.1f} LU softer than the others, because its "
                "peak allows no more"
            )
        return {
            "system": sound.system,
            "role": sound.role,
            "item": sound.item.name,
            "trial": sound.trial,
            "key": sound.item.key,
            "file": path.relative_to(self.folder).as_posix(),
            "sha256": sha256_of(path),
            "seconds": round(len(samples) / self.rate, 4),
            **{name: round(value, 3) for name, value in asdict(level).items()},
        }

    def _playlists(self, sounds: Sequence[Stimulus]) -> None:
        for trial in dict.fromkeys(sound.trial for sound in sounds):
            heard = [_read(self._listeners / "sounds" / f"{name}.flac") for name in scored_in(sounds, trial)]
            path = self.folder / "playlists" / f"{trial}.wav"
            audiofile.write_pieces(path, joined(heard, self.rate), self.rate, integers=True)

    def _settings(self, loudness_lufs: float, *, embedded: bool) -> dict[str, Any]:
        return {
            **asdict(self.options),
            "through": list(self.options.through),
            "question": self.options.asked,
            "sample_rate": self.rate,
            "loudness_lufs": round(loudness_lufs, 3),
            "loudness": "ITU-R BS.1770-4, integrated, one channel",
            "peak_dbfs": PEAK_DB,
            "gap_s": GAP_S,
            "page_holds_sounds": embedded,
            "version": retimbre.__version__,
        }


def _about(name: str, systems: Sequence[System], real: System | None) -> dict[str, Any]:
    """What the manifest says of a system or an anchor."""
    for system in (*systems, *([real] if real else [])):
        if system.name == name:
            return {"source": system.source, "anchor": system is real}
    if name.startswith(THROUGH):
        settings = {"method": "encoded and decoded", "representation": name.removeprefix(THROUGH)}
        return {"source": REAL, "anchor": True, **settings}
    return {"source": REAL, "anchor": True, **ANCHOR_SETTINGS[name]}


def _read(path: Path) -> Float[Tensor, " samples"]:
    return audiofile.read(path).samples
