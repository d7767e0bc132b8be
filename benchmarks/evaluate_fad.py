"""How long does a Frechet audio distance take from files to number, and what do interval, checks and cache cost?

    python benchmarks/evaluate_fad.py [--clips 1000] [--embedder listener] [--resamples 200]

Two sets of one-second clips of the note corpus are written to a temporary folder and measured as `retimbre evaluate
fad` does it: every file looked at and hashed, heard, compared, resampled 200 times. Cold starts from an empty cache,
warm finds the vectors there. Threads are those that torch has.

The yardstick, `plain`, is what a script would do: read all files with soundfile into one array, hear it in batches, fit
two normal distributions with NumPy and take the eigenvalues of the product of their covariances. It has no interval,
looks at nothing, and holds all sounds in memory. The last column is how far the two values are apart. The lines below
tell the parts of the cold time, and by how much the peak of memory rose from a quarter of the clips to all of them.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from retimbre.core.memory import keep_freed_memory
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.plan import NotesSettings
from retimbre.dsp import audiofile
from retimbre.listening.catalog import embedder
from retimbre.workflows.evaluation.sets.clips import ClipOptions, open_clips
from retimbre.workflows.evaluation.sets.folders import SetOptions, measure_sounds
from retimbre.workflows.evaluation.sets.measure import MeasureOptions

RATE = 16_000
AT_ONCE = 64


def write_set(folder: Path, count: int, seed: int) -> Path:
    """A folder of notes, drawn evenly from a corpus."""
    corpus = NotesCorpus(NotesSettings(sample_rate=RATE, seconds=1.0, seed=seed))
    order = torch.randperm(len(corpus), generator=torch.Generator().manual_seed(seed))[:count]
    for some in order.split(AT_ONCE):
        for number, sound in zip(some.tolist(), corpus.audio(some), strict=True):
            audiofile.write(folder / f"{number:08d}.wav", sound, RATE, integers=True)
    return folder


def plain(real: Path, fake: Path, name: str) -> float:
    """The yardstick."""
    heard_by = embedder(name, RATE)
    moments = []
    for folder in (real, fake):
        clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(folder.glob("*.wav"))]
        audio = torch.from_numpy(np.stack(clips))
        with torch.inference_mode():
            vectors = torch.cat([heard_by(some) for some in audio.split(AT_ONCE)]).double().numpy()
        moments.append((vectors.mean(0), np.cov(vectors, rowvar=False)))
    (mean, spread), (other_mean, other_spread) = moments
    overlap = np.sqrt(np.linalg.eigvals(spread @ other_spread).real.clip(0)).sum()
    return float(((mean - other_mean) ** 2).sum() + np.trace(spread) + np.trace(other_spread) - 2 * overlap)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time, and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def peak_mb() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--embedder", default="listener")
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        real, fake = (
            write_set(folder / name, options.clips, seed) for seed, name in enumerate(("real", "fake"))
        )

        def ours(cache: str, most: int = 0, resamples: int = options.resamples) -> dict[str, Any]:
            hearing = MeasureOptions(embedder=options.embedder, resamples=resamples, cache=cache)
            return measure_sounds(
                "fad", fake, "", SetOptions(str(real), ClipOptions(RATE, most=most), hearing)
            )

        cache = str(folder / "cache")
        ours("none", most=options.clips // 4)
        quarter_mb = peak_mb()
        cold_s, result = timed(lambda: ours(cache))
        whole_mb = peak_mb()
        warm_s, again = timed(lambda: ours(cache))
        few_s, _ = timed(lambda: ours(cache, resamples=1))
        look_s, _ = timed(lambda: [open_clips(each, ClipOptions(RATE)) for each in (real, fake)])
        plain_s, expected = timed(lambda: plain(real, fake, options.embedder))
    assert result["value"] == again["value"]
    print(f"{options.embedder}, 2 x {options.clips} clips of 1 s, {torch.get_num_threads()} threads")
    print(f"{'':8}{'seconds':>9}{'clips/s':>9}{'to plain':>10}{'FAD':>10}{'apart':>10}")
    for name, seconds, value in (
        ("cold", cold_s, result["value"]),
        ("warm", warm_s, again["value"]),
        ("plain", plain_s, expected),
    ):
        rate = 2 * options.clips / seconds
        print(
            f"{name:8}{seconds:9.2f}{rate:9.0f}{seconds / plain_s:10.2f}{value:10.4f}{value - expected:10.1e}"
        )
    print(
        f"looking at the files {look_s:.2f} s, hearing {cold_s - warm_s:.2f} s, interval {warm_s - few_s:.2f} s"
    )
    print(f"interval {result['low']:.4f} to {result['high']:.4f} of {options.resamples} resamples")
    print(f"peak memory: {quarter_mb:.0f} MB with a quarter of the clips, {whole_mb:.0f} MB with all")


if __name__ == "__main__":
    main()
