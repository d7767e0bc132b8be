"""How well each method finds phases again: methods by overlaps by families of sounds, in one command.

    OUT/parts/METHOD-OVERLAP.json    what one method got on every sound, and how long it took
    OUT/table.csv                    a row per method, overlap and family
    OUT/convergence.png  report.md   the same, for a reader
    OUT/study.json                   everything

Each sound is analysed, its phases are thrown away, and a method makes sound from the magnitudes. The spectral
convergence says how far the magnitudes of that sound are from the given ones, in decibels. No method sees any other
method's result, so a part that is done is not done again, as long as sounds and settings are the same.

Sounds that cannot be read are listed and the rest is studied; silent ones are named and left out.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, PartialFailure
from retimbre.core.files import fingerprint, sha256_of, write_json, write_text
from retimbre.dsp.phase import GriffinLim, PhaseGradients, PhaseMethod, spectral_convergence_db
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.metrics.bootstrap import Bootstrap, bootstrap
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.jobs import run_jobs
from retimbre.workflows.study.phase.page import convergence_png, report_page
from retimbre.workflows.study.phase.sounds import MOST_SECONDS, N_FFT, SAMPLE_RATE, choose, listen
from retimbre.workflows.study.rows import rows_csv

# Share of a frame that the next one repeats, in percent: samples from one frame to the next.
OVERLAPS = {"75": N_FFT // 4, "87.5": N_FFT // 8}
ALL = "all"
# Rounding of float32, 2^-24 of what is given: no sound can be said to be nearer, and one that is equal has a mean.
_NEAREST_DB = -144.0

Tell = Callable[[str], object]


@final
@dataclasses.dataclass(frozen=True)
class Contender:
    """A window and a way to find phases."""

    window: str
    method: PhaseMethod


def contenders(seed: int) -> dict[str, Contender]:
    """What is compared, by name; random phases are drawn from `seed`."""
    return {
        "griffin-lim-32": Contender("hann", GriffinLim(32, seed=seed)),
        "griffin-lim-100": Contender("hann", GriffinLim(100, seed=seed)),
        "pghi-hann": Contender("hann", PhaseGradients(0, seed=seed)),
        "pghi-hann-1": Contender("hann", PhaseGradients(1, seed=seed)),
        "pghi": Contender("gaussian", PhaseGradients(0, seed=seed)),
        "pghi-1": Contender("gaussian", PhaseGradients(1, seed=seed)),
        "pghi-8": Contender("gaussian", PhaseGradients(8, seed=seed)),
    }


@final
@dataclasses.dataclass(frozen=True)
class PhaseOptions:
    """What is studied.

    Attributes:
        sounds: Files and folders.
        methods: Names of contenders; empty for all.
        seed: Of random phases.
        workers: Processes side by side; with one, the times mean most.
    """

    sounds: tuple[Path, ...]
    methods: tuple[str, ...] = ()
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuses a study of nothing."""
        if not self.sounds:
            raise ConfigError("the study needs sounds: audio files, or folders of them")
        unknown = set(self.methods) - set(contenders(0))
        if unknown or self.workers < 1:
            got = ", ".join(sorted(unknown)) or f"{self.workers} workers"
            raise ConfigError(f"methods are {', '.join(contenders(0))}, and workers at least 1; got {got}")


def study_phase(out: str | Path, options: PhaseOptions, *, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Runs every part of the study that is not done, and writes tables, figure and page.

    A file's family is what its name has before the first "-", as in `guitar_acoustic_100-040-100.wav`; files
    without one make the family "other".

    Returns:
        Under `rows` a row per method, overlap and family; `settings` is what they depend on. `refused`, `left_out` and
        `failed` list the files that could not be read, the sounds that say nothing, and the parts that went wrong;
        `partial_failure` makes an error of the first and the last.

    Raises:
        AudioError: There is no sound that can be used.
    """
    folder, sounds = study_folder(out), choose(options.sounds)
    for line in (*sounds.refused, *sounds.left_out):
        tell(f"left out: {line}")
    names = options.methods or tuple(contenders(options.seed))
    parts = [
        Part(name, overlap, sounds.used, options.seed, folder / "parts" / f"{name}-{overlap}.json")
        for overlap in OVERLAPS
        for name in names
    ]
    failures = run_jobs(parts, options.workers, tell)
    rows = [row for part in parts if part.done for row in part.rows()]
    result = {
        "settings": _settings(options.seed),
        "sounds": len(sounds.used),
        "refused": list(sounds.refused),
        "left_out": list(sounds.left_out),
        "failed": failures,
        "rows": rows,
    }
    write_json(folder / "study.json", result)
    if rows:
        write_text(folder / "table.csv", rows_csv(rows))
        convergence_png(rows, folder / "convergence.png")
        write_text(folder / "report.md", report_page(result))
    return result


def partial_failure(result: dict[str, Any]) -> PartialFailure | None:
    """The error to end with where files were refused or parts failed; None where all went well."""
    lines = [*result["refused"], *result["failed"]]
    return PartialFailure(f"{len(lines)} sounds or parts of the study failed: {lines[0]}") if lines else None


def _settings(seed: int) -> dict[str, Any]:
    return {
        "sample_rate": SAMPLE_RATE,
        "most_seconds": MOST_SECONDS,
        "n_fft": N_FFT,
        "nearest_db": _NEAREST_DB,
        "seed": seed,
    }


@final
@dataclasses.dataclass(frozen=True)
class Part:
    """One method at one overlap, over all sounds."""

    method: str
    overlap: str
    sounds: tuple[Path, ...]
    seed: int
    path: Path

    @property
    def name(self) -> str:
        """For the line that tells of it."""
        return f"{self.method} at {self.overlap} %"

    @property
    def done(self) -> bool:
        """Whether its file has these sounds and settings; a damaged one has not."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, RecursionError):
            return False
        return isinstance(content, dict) and "sounds" in content and content.get("facts") == self.facts

    def run(self) -> str:
        """Measures every sound, unless that is done."""
        if not self.done:
            found = [self._measure(path) for path in self.sounds]
            write_json(self.path, {"facts": self.facts, "sounds": found})
        mean = self.rows()[0]["mean_db"]
        return f"{self.name} overlap: {mean:.2f} dB"

    def rows(self) -> list[dict[str, Any]]:
        """A row for all sounds, then one for each family if there are several."""
        found = json.loads(self.path.read_text(encoding="utf-8"))["sounds"]
        families = sorted({each["family"] for each in found})
        return [
            self._row(name, [each for each in found if name in (ALL, each["family"])])
            for name in (ALL, *(families if len(families) > 1 else ()))
        ]

    @functools.cached_property
    def facts(self) -> str:
        """The fingerprint of all that its figures depend on."""
        contender = contenders(self.seed)[self.method]
        return fingerprint(
            {
                "sounds": {str(path): sha256_of(path) for path in self.sounds},
                "window": contender.window,
                "method": dataclasses.asdict(contender.method),  # pyright: ignore[reportArgumentType]
                "hop_length": OVERLAPS[self.overlap],
                **_settings(self.seed),
            }
        )

    def _measure(self, path: Path) -> dict[str, Any]:
        samples = listen(path)[None]
        contender = contenders(self.seed)[self.method]
        settings = StftSettings(N_FFT, OVERLAPS[self.overlap], window=contender.window)
        given = magnitude(samples, settings)
        recover = contender.method.recover
        # The first sound would pay for what is made once: windows, and plans of the transform.
        if path == self.sounds[0]:
            recover(given, settings, num_samples=samples.shape[1])
        start_s = time.process_time()
        back = recover(given, settings, num_samples=samples.shape[1])
        spent_s = time.process_time() - start_s
        family, dash, _ = path.stem.partition("-")
        return {
            "name": path.name,
            "family": family if dash else "other",
            "convergence_db": _at_best(spectral_convergence_db(given, back, settings)),
            "seconds": samples.shape[1] / SAMPLE_RATE,
            "spent_s": spent_s,
        }

    def _row(self, family: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
        values = torch.tensor([each["convergence_db"] for each in found])
        mean = bootstrap(values, Bootstrap(seed=self.seed))
        return {
            "method": self.method,
            "overlap": self.overlap,
            "family": family,
            "mean_db": mean.value,
            "low_db": mean.low,
            "high_db": mean.high,
            "worst_db": values.max().item(),
            "sounds": mean.n,
            "times_real_time": sum(each["seconds"] for each in found)
            / max(sum(each["spent_s"] for each in found), 1e-9),
        }


def _at_best(convergence_db: Float[Tensor, " one"]) -> float:
    return max(convergence_db.item(), _NEAREST_DB)
