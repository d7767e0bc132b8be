"""What a learned basis is worth: `retimbre study basis`.

    OUT/table.csv               signal-to-noise ratio by values per second: the basis, the same untrained, MDCTs
    OUT/excerpts.csv            the same, excerpt by excerpt and for every window of the MDCT
    OUT/functions.csv           where each function lies in frequency and time, and its place in two orders
    OUT/snr.png  functions.png  codes.png
    OUT/NAME-original.wav  NAME-RATE.wav      the first excerpts, and what so many values per second made of them
    OUT/report.html             all of it on one page that fetches nothing
    OUT/study.json              the figures and all settings

Sounds are cut into excerpts of one length. Recordings that cannot be read are listed and the rest is studied; excerpts
that are silent or mostly padding are left out.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError, PartialFailure, RetimbreError
from retimbre.core.files import (
    csv_text,
    free_files,
    sha256_of,
    unique_names,
    whole_file,
    write_json,
    write_text,
)
from retimbre.data.folder import Cutting, cut_file
from retimbre.dsp.audiofile import find_sounds, write
from retimbre.dsp.level import is_silent
from retimbre.dsp.pursuit import PursuitSettings
from retimbre.representation.learned_basis import Basis, find_basis, load_basis
from retimbre.training import devices
from retimbre.workflows.study.basis.contest import (
    LEARNED,
    UNTRAINED,
    Contender,
    basis_contender,
    mdct_contenders,
    measure,
    rows_of,
    union_contender,
)
from retimbre.workflows.study.basis.page import Reconstruction, write_page
from retimbre.workflows.study.basis.pictures import codes_png, functions_png, snr_png
from retimbre.workflows.study.basis.shapes import shape_rows
from retimbre.workflows.study.rows import rows_csv

RATES = (250.0, 500.0, 1_000.0, 2_000.0, 4_000.0)
FILES = (
    "table.csv",
    "excerpts.csv",
    "functions.csv",
    "snr.png",
    "functions.png",
    "codes.png",
    "report.html",
    "study.json",
)

_MOST_HEARD = 3
# What is kept of an excerpt at the end of a recording has to be mostly sound.
_LEAST_SOUND = 0.5
_PICTURED_PER_S = 1_000.0

Tell = Callable[[str], object]


@final
@dataclasses.dataclass(frozen=True)
class BasisOptions:
    """What is studied.

    Attributes:
        model: A basis: a run folder, a file or a shipped name.
        sounds: Files and folders.
        per_s: Values per second that are not zero.
        seconds: Length of an excerpt.
        rounds: Of the pursuits.
        polish: Steps of conjugate gradients after each.
        most: Excerpts at most, evenly from all there are; 0 for all.
    """

    model: str
    sounds: tuple[Path, ...]
    per_s: tuple[float, ...] = RATES
    seconds: float = 4.0
    rounds: int = 16
    polish: int = 8
    most: int = 0

    def __post_init__(self) -> None:
        """Refuses a study of nothing."""
        if not self.sounds:
            raise ConfigError("the study needs sounds: audio files, or folders of them")
        if not self.per_s or not 0.0 < min(self.per_s) <= max(self.per_s) <= 1e6:
            raise ConfigError(
                f"values per second are {', '.join(f'{each:g}' for each in self.per_s) or 'none'}; takes one or more "
                "numbers above 0 and up to 1,000,000"
            )
        if not 0.1 <= self.seconds <= 60.0:
            raise ConfigError(f"seconds is {self.seconds:g}, but takes 0.1 to 60")
        if self.most < 0:
            raise ConfigError(f"the most excerpts are {self.most}, but takes 0 or more")

    @property
    def pursuit(self) -> PursuitSettings:
        """How sparse codes are found."""
        return PursuitSettings(self.rounds, self.polish)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Excerpts:
    """What the basis is tried on.

    Attributes:
        names: Of each, the recording's with its second.
        refused: Recordings that could not be read, and why.
        left_out: Excerpts that say nothing.
    """

    audio: Float[Tensor, "excerpts samples"]
    names: tuple[str, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]


def study_basis(
    out: str | Path, options: BasisOptions, *, force: bool = False, tell: Tell = lambda line: None
) -> dict[str, Any]:
    """Runs the study and writes its files.

    Returns:
        Under `rows` a row per number of values and family; `settings` is what they depend on; `refused` and `left_out`
        list recordings that could not be read and excerpts that say nothing.

    Raises:
        CheckpointError: There is no such basis.
        AudioError: There is no sound that can be used.
        ExistsError: The folder holds such files already.
    """
    free_files(out, *FILES, force=force)
    basis, facts = load_basis(options.model)
    excerpts = cut_excerpts(options, basis.config.sample_rate)
    files = free_files(out, *FILES, *_sound_names(excerpts, options), force=force)
    for line in (*excerpts.refused, *excerpts.left_out):
        tell(f"left out: {line}")
    contenders = contenders_for(basis, options.pursuit)
    scores = _scores(excerpts.audio, contenders, (options, basis.config.sample_rate), tell)
    rows = [row for per_s in options.per_s for row in rows_of(per_s, scores[per_s], contenders)]
    shapes = shape_rows(basis)
    result = {
        "settings": _settings(options, basis),
        "model_facts": facts,
        "excerpts": list(excerpts.names),
        "refused": list(excerpts.refused),
        "left_out": list(excerpts.left_out),
        "rows": rows,
    }
    write_text(files["table.csv"], rows_csv(rows))
    write_text(files["excerpts.csv"], _excerpts_csv(excerpts.names, scores))
    write_text(files["functions.csv"], rows_csv(shapes))
    pictures = {
        "snr.png": snr_png(rows),
        "functions.png": functions_png(basis),
        "codes.png": _codes_picture(basis, excerpts.audio[:1], options),
    }
    for name, picture in pictures.items():
        _write_bytes(files[name], picture)
    heard = _reconstructions(files, basis, excerpts, options)
    write_page(files["report.html"], result, pictures, heard)
    write_json(files["study.json"], result)
    return result


def contenders_for(basis: Basis, pursuit: PursuitSettings) -> dict[str, Contender]:
    """The basis, the same before it learned, several MDCTs together, and each alone.

    Kernels that begin at random are drawn anew.
    """
    devices.restart_random(0, "untrained basis", 0)
    untrained = Basis(basis.config).eval().requires_grad_(False)
    entries = [
        basis_contender(LEARNED, basis, pursuit),
        basis_contender(UNTRAINED, untrained, pursuit),
        union_contender(basis, pursuit),
    ]
    return {entry.name: entry for entry in (*entries, *mdct_contenders())}


def cut_excerpts(options: BasisOptions, sample_rate: int) -> Excerpts:
    """The excerpts of the sounds that can be read.

    Raises:
        AudioError: There are none.
    """
    cutting = Cutting(sample_rate, options.seconds, long="window", hop_s=options.seconds)
    audio: list[Tensor] = []
    names: list[str] = []
    refused: list[str] = []
    left_out: list[str] = []
    paths = find_sounds(options.sounds)
    for path, stem in zip(paths, unique_names([path.stem for path in paths]), strict=True):
        try:
            cut = cut_file(path, cutting)
        except RetimbreError as error:
            refused.append(str(error))
            continue
        for clip, start, length in zip(cut.audio, cut.starts, cut.lengths, strict=True):
            name = f"{stem}-{start / sample_rate:g}s"
            if is_silent(clip) or length < _LEAST_SOUND * cutting.num_samples:
                left_out.append(f"{name}: {'silent' if is_silent(clip) else 'mostly padding'}")
            else:
                audio.append(clip)
                names.append(name)
    if not audio:
        reason = (refused or left_out or ["no sound files"])[0]
        raise AudioError(f"no excerpt of {options.seconds:g} s can be used: {reason}")
    count = min(len(audio), options.most or len(audio))
    chosen = torch.linspace(0, len(audio) - 1, count).round().long().tolist()
    return Excerpts(
        torch.stack([audio[place] for place in chosen]),
        tuple(names[place] for place in chosen),
        tuple(refused),
        tuple(left_out),
    )


def partial_failure(result: Mapping[str, Any]) -> PartialFailure | None:
    """The error to end with where files were refused; None where all went well."""
    lines = result["refused"]
    return PartialFailure(f"{len(lines)} sounds could not be read: {lines[0]}") if lines else None


def _scores(
    audio: Float[Tensor, "excerpts samples"],
    contenders: Mapping[str, Contender],
    setting: tuple[BasisOptions, int],
    tell: Tell,
) -> dict[float, dict[str, Float[Tensor, " excerpts"]]]:
    """For each number of values what every contender got on each excerpt."""
    options, sample_rate = setting
    scores: dict[float, dict[str, Tensor]] = {}
    for per_s in options.per_s:
        scores[per_s] = {name: measure(each, audio, per_s, sample_rate) for name, each in contenders.items()}
        means = {name: float(scores[per_s][name].mean()) for name in (LEARNED, UNTRAINED)}
        words = ", ".join(f"{name} {mean:.2f} dB" for name, mean in means.items())
        tell(f"{per_s:g} values per second: {words}")
    return scores


def _settings(options: BasisOptions, basis: Basis) -> dict[str, Any]:
    """All that the figures depend on, but for the sounds."""
    return {
        "model": options.model,
        "model_sha256": sha256_of(find_basis(options.model)),
        "basis": dump(basis.config),
        "nonzeros_per_s": list(options.per_s),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "polish": options.polish,
    }


def _excerpts_csv(
    names: Sequence[str], scores: Mapping[float, Mapping[str, Float[Tensor, " excerpts"]]]
) -> str:
    heading: list[list[object]] = [["excerpt", "nonzeros_per_s", "contender", "snr_db"]]
    return csv_text(
        heading
        + [
            [name, per_s, contender, round(value, 4)]
            for per_s, own in scores.items()
            for contender, values in own.items()
            for name, value in zip(names, values.tolist(), strict=True)
        ]
    )


def _codes_picture(basis: Basis, audio: Float[Tensor, "1 samples"], options: BasisOptions) -> bytes:
    per_s = min(options.per_s, key=lambda each: abs(each - _PICTURED_PER_S))
    count = basis.num_nonzeros(per_s, audio.shape[1], basis.config.sample_rate)
    with torch.no_grad():
        codes = basis.encode(audio, count, options.pursuit)[0]
    return codes_png(codes, options.seconds)


def _sound_names(excerpts: Excerpts, options: BasisOptions) -> list[str]:
    """The sound files of a study."""
    kinds = ["original", *(f"{per_s:g}" for per_s in options.per_s)]
    return [f"{name}-{kind}.wav" for name in excerpts.names[:_MOST_HEARD] for kind in kinds]


def _reconstructions(
    files: Mapping[str, Path], basis: Basis, excerpts: Excerpts, options: BasisOptions
) -> list[Reconstruction]:
    """Writes the first excerpts, and what the basis made of them, as sound files."""
    rate, contender = basis.config.sample_rate, basis_contender(LEARNED, basis, options.pursuit)
    heard = []
    for audio, name in zip(excerpts.audio[:_MOST_HEARD], excerpts.names, strict=False):
        write(files[f"{name}-original.wav"], audio, rate)
        made = {}
        for per_s in options.per_s:
            with torch.no_grad():
                made[per_s] = contender.code(audio[None], max(1, round(per_s * options.seconds)))[0]
            write(files[f"{name}-{per_s:g}.wav"], made[per_s], rate)
        heard.append(Reconstruction(name, rate, audio, made))
    return heard


def _write_bytes(path: Path, content: bytes) -> None:
    with whole_file(path) as aside:
        aside.write_bytes(content)
