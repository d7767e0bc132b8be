"""How fast, and how near, is phase recovery against librosa's Griffin-Lim and pghipy's PGHI?

Both sides get the same magnitudes on one thread, warmed up; the best of several runs counts, in the time of the
process, so a busy machine disturbs less. Printed are milliseconds per clip, the ratio, and the spectral convergence
of both, which is measured with our own transform. pghipy is told the window, our Gaussian, and integrates on the same
magnitudes. Its tolerance is 1e-6 unless told; ours is 1e-5, and the same one is compared, too.

    python benchmarks/phase.py [SOUNDS...] [--peers PYTHON]

The peers need librosa and pghipy (the extra `benchmarks`); `--peers` names the Python of another environment that has
them. Sounds are files of 16 kHz or folders of them; without any, decaying harmonic tones in noise are made.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

N_FFT = 1024
HOPS = (256, 128)
TOLERANCES = (1e-5, 1e-6)
ITERATIONS = 32
SECONDS = 1.0
SAMPLE_RATE = 16_000


def best_s(run: Callable[[], object], repeats: int) -> float:
    run()
    times_s = []
    for _ in range(repeats):
        start_s = time.process_time()
        run()
        times_s.append(time.process_time() - start_s)
    return min(times_s)


def peers(folder: Path, repeats: int) -> None:
    """In the peers' environment: times and results of librosa and pghipy on the magnitudes of `folder`."""
    import librosa
    import pghipy

    times_ms = {}
    given = np.load(folder / "griffin-lim.npy")

    def griffin_lim() -> list[np.ndarray]:
        settings = {"n_iter": ITERATIONS, "hop_length": HOPS[0], "length": int(SECONDS * SAMPLE_RATE)}
        return [librosa.griffinlim(clip, random_state=0, **settings) for clip in given]

    times_ms["griffin-lim"] = 1000.0 * best_s(griffin_lim, min(repeats, 2)) / len(given)
    np.save(folder / "griffin-lim.peer.npy", np.stack(griffin_lim()))
    # Of the magnitudes that it is given: a Gaussian cut off at 0.003.
    gamma = np.pi * (N_FFT / 2) ** 2 / -np.log(0.003)
    for hop_length in HOPS:
        clips = [np.ascontiguousarray(clip.T) for clip in np.load(folder / f"pghi-{hop_length}.npy")]
        for tolerance in TOLERANCES:

            def integrate(
                clips: list[np.ndarray] = clips, hop_length: int = hop_length, tolerance: float = tolerance
            ) -> list[np.ndarray]:
                return [pghipy.pghi(clip, N_FFT, hop_length, gamma, tolerance) for clip in clips]

            name = f"pghi-{hop_length}-{tolerance:g}"
            times_ms[name] = 1000.0 * best_s(integrate, repeats) / len(clips)
            np.save(folder / f"{name}.peer.npy", np.stack([phases.T for phases in integrate()]))
    (folder / "times.json").write_text(json.dumps(times_ms), encoding="utf-8")


def clips(sounds: list[Path], count: int) -> np.ndarray:
    """So many clips of 4 s: the first of every so many sounds, or made ones."""
    import torch

    from retimbre.core.random import generator
    from retimbre.dsp.audiofile import find_sounds, read

    samples = 4 * SAMPLE_RATE
    if not sounds:
        second = torch.arange(samples) / SAMPLE_RATE
        random = generator(0, "phase benchmark")
        pitch_hz = 80.0 * 8.0 ** torch.rand(count, 1, generator=random)
        tones = sum(torch.sin(2 * torch.pi * k * pitch_hz * second) / k for k in range(1, 9))
        decay = torch.exp(-second * 4.0 * torch.rand(count, 1, generator=random))
        return (0.2 * tones * decay + 1e-4 * torch.randn(count, samples, generator=random)).numpy()
    paths = find_sounds(sounds)
    chosen = paths[:: max(len(paths) // count, 1)][:count]
    read_ones = [read(path, sample_rate=SAMPLE_RATE, max_seconds=4.0).samples for path in chosen]
    return np.stack([np.pad(each.numpy(), (0, samples - len(each))) for each in read_ones])


def show(name: str, ours_ms: float, peer_ms: float, ours_db: float, peer_db: float) -> None:
    print(
        f"{name:<34}{ours_ms:>9.2f}{peer_ms:>9.2f}{peer_ms / ours_ms:>7.1f}x{ours_db:>10.2f}{peer_db:>10.2f}"
    )


def ours(folder: Path, audio: np.ndarray, python: str, repeats: int) -> None:
    import torch

    from retimbre.dsp.stft import StftSettings, magnitude

    torch.set_num_threads(1)
    sounds = torch.from_numpy(audio)
    short = sounds[:, : int(SECONDS * SAMPLE_RATE)].contiguous()
    cases = {"griffin-lim": (short, StftSettings(N_FFT, HOPS[0]))}
    cases |= {f"pghi-{hop}": (sounds, StftSettings(N_FFT, hop, window="gaussian")) for hop in HOPS}
    given = {name: magnitude(*case) for name, case in cases.items()}
    for name, magnitudes in given.items():
        np.save(folder / f"{name}.npy", magnitudes.numpy())
    command = [python, __file__, "--in-peers", str(folder), "--repeats", str(repeats)]
    subprocess.run(command, check=True)
    peer_ms = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    print(f"{len(audio)} clips, one thread; milliseconds per clip, and spectral convergence in dB")
    print(f"{'':<34}{'retimbre':>9}{'peer':>9}{'ratio':>8}{'retimbre':>10}{'peer':>10}")
    compare_griffin_lim(given["griffin-lim"], folder, peer_ms["griffin-lim"], repeats)
    for hop_length in HOPS:
        compare_pghi(given[f"pghi-{hop_length}"], hop_length, folder, peer_ms, repeats)


def compare_griffin_lim(magnitudes: "Tensor", folder: Path, peer_ms: float, repeats: int) -> None:
    import torch

    from retimbre.dsp.phase import GriffinLim, spectral_convergence_db
    from retimbre.dsp.stft import StftSettings

    settings, method = StftSettings(N_FFT, HOPS[0]), GriffinLim(ITERATIONS)

    def run() -> torch.Tensor:
        return method.recover(magnitudes, settings, num_samples=int(SECONDS * SAMPLE_RATE))

    ours_ms = 1000.0 * best_s(run, repeats) / len(magnitudes)
    peer = torch.from_numpy(np.load(folder / "griffin-lim.peer.npy"))
    figures = [spectral_convergence_db(magnitudes, each, settings).mean().item() for each in (run(), peer)]
    show(f"Griffin-Lim {ITERATIONS}, 1 s, librosa", ours_ms, peer_ms, *figures)


def compare_pghi(
    magnitudes: "Tensor", hop_length: int, folder: Path, peer_ms: dict[str, float], repeats: int
) -> None:
    import torch

    from retimbre.dsp.phase import GriffinLim, integrated_phases, project, spectral_convergence_db
    from retimbre.dsp.stft import StftSettings

    settings = StftSettings(N_FFT, hop_length, window="gaussian")

    def convergence_db(phases: torch.Tensor) -> float:
        start = phases.to(magnitudes)
        samples = 4 * SAMPLE_RATE
        found = project(magnitudes, start, settings, method=GriffinLim(0), num_samples=samples)
        return spectral_convergence_db(magnitudes, found, settings).mean().item()

    for tolerance in TOLERANCES:
        name = f"pghi-{hop_length}-{tolerance:g}"

        def run(tolerance: float = tolerance) -> torch.Tensor:
            return integrated_phases(magnitudes, settings, tolerance=tolerance)

        ours_ms = 1000.0 * best_s(run, repeats) / len(magnitudes)
        peer = torch.from_numpy(np.load(folder / f"{name}.peer.npy"))
        figures = (convergence_db(run()), convergence_db(peer))
        show(f"PGHI hop {hop_length}, 4 s, at {tolerance:g}, pghipy", ours_ms, peer_ms[name], *figures)
    default_ms = 1000.0 * best_s(lambda: integrated_phases(magnitudes, settings), repeats) / len(magnitudes)
    print(f"    each at its default tolerance: {peer_ms[f'pghi-{hop_length}-1e-06'] / default_ms:.1f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description="Times phase recovery against librosa and pghipy.")
    parser.add_argument("sounds", nargs="*", type=Path, help="sounds or folders of them (default: made ones)")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has librosa and pghipy")
    parser.add_argument("--clips", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--repeats", type=int, default=4, help="runs, of which the best counts (default 4)")
    parser.add_argument("--in-peers", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_peers:
        peers(options.in_peers, options.repeats)
        return
    with tempfile.TemporaryDirectory() as folder:
        ours(Path(folder), clips(options.sounds, options.clips), options.peers, options.repeats)


if __name__ == "__main__":
    main()
