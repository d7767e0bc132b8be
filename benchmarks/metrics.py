"""How fast is the four-measure suite, against the librosa implementation that the published figures come from?

Scores a batch of estimates of 4 s at 16 kHz against one reference, on one core, and prints for every measure the
milliseconds per pair of both, their ratio, and the largest difference between the values. librosa's dynamic time
warping is its own compiled one (numba), not a Python loop. Both sides are warmed up and the best of several runs
counts; time is that of the process, so a busy machine disturbs little.

    python benchmarks/metrics.py        needs the extra `benchmarks`, for librosa
"""

import argparse
import time
from collections.abc import Callable

import librosa
import numpy as np
import torch

from retimbre.core.random import generator
from retimbre.metrics.suite import FAST_SUITE, SUITE, SuiteReference

SAMPLE_RATE = 16000
SECONDS = 4.0


def librosa_mss(reference: np.ndarray, estimate: np.ndarray) -> float:
    distances = []
    for window_ms, hop_ms, n_mels in ((10, 5, 32), (25, 10, 64), (100, 50, 128)):
        sizes = {
            "n_fft": window_ms * SAMPLE_RATE // 1000,
            "hop_length": hop_ms * SAMPLE_RATE // 1000,
            "n_mels": n_mels,
        }
        first, second = (
            librosa.power_to_db(librosa.feature.melspectrogram(y=audio, sr=SAMPLE_RATE, **sizes), ref=np.max)
            for audio in (reference, estimate)
        )
        distances.append(np.abs(first - second).mean())
    return float(np.mean(distances))


def librosa_wmfcc(reference: np.ndarray, estimate: np.ndarray) -> float:
    sizes = {"n_fft": SAMPLE_RATE // 20, "hop_length": SAMPLE_RATE // 100, "n_mfcc": 20, "n_mels": 128}
    first, second = (
        librosa.feature.mfcc(y=audio, sr=SAMPLE_RATE, **sizes).T for audio in (reference, estimate)
    )
    costs = np.abs(first[:, None] - second[None]).mean(axis=-1).astype(np.float64)
    total = librosa.sequence.dtw(C=costs, weights_mul=np.array([2.0, 1.0, 1.0]), backtrack=False)
    return float(total[-1, -1] / sum(costs.shape))


def librosa_sot(reference: np.ndarray, estimate: np.ndarray) -> float:
    first, second = (
        np.abs(librosa.stft(audio, n_fft=SAMPLE_RATE // 20, hop_length=SAMPLE_RATE // 50))
        for audio in (reference, estimate)
    )
    first, second = (spectrum / np.maximum(spectrum.sum(axis=0), 1e-6) for spectrum in (first, second))
    return float(np.abs(np.cumsum(first, axis=0) - np.cumsum(second, axis=0)).mean())


def librosa_rms(reference: np.ndarray, estimate: np.ndarray) -> float:
    sizes = {"frame_length": SAMPLE_RATE // 20, "hop_length": SAMPLE_RATE // 40}
    first, second = (librosa.feature.rms(y=audio, **sizes)[0] for audio in (reference, estimate))
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


LIBROSA = {"mss": librosa_mss, "wmfcc": librosa_wmfcc, "sot": librosa_sot, "rms": librosa_rms}


def clips(count: int) -> torch.Tensor:
    """Decaying harmonic tones in noise, each different."""
    time_s = torch.arange(int(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    random = generator(0, "metrics benchmark", count)
    pitch_hz = 100.0 * 8.0 ** torch.rand(count, 1, generator=random)
    tones = sum(torch.sin(2 * torch.pi * k * pitch_hz * time_s) / k for k in range(1, 9))
    decay = torch.exp(-time_s * 4.0 * torch.rand(count, 1, generator=random))
    return 0.2 * tones * decay + 0.001 * torch.randn(count, len(time_s), generator=random)


def best_ms(run: Callable[[], object], repeats: int) -> float:
    run()
    times_s = []
    for _ in range(repeats):
        start_s = time.process_time()
        run()
        times_s.append(time.process_time() - start_s)
    return 1000.0 * min(times_s)


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the measure suite against librosa's.")
    parser.add_argument("--batch", type=int, default=32, help="estimates per call (default 32)")
    parser.add_argument("--repeats", type=int, default=15, help="runs, of which the best counts (default 15)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sounds = clips(options.batch + 1)
    target, estimates = SuiteReference.of(sounds[0], SAMPLE_RATE), sounds[1:]
    few = estimates[:4].numpy()
    print(f"{options.batch} estimates of {SECONDS:g} s at {SAMPLE_RATE} Hz, one core, milliseconds per pair")
    print(f"{'measure':<22}{'retimbre':>10}{'librosa':>10}{'ratio':>8}{'difference':>12}")
    with torch.no_grad():
        for name, compute in LIBROSA.items():
            ours_ms = (
                best_ms(lambda name=name: target.score(estimates, (name,)), options.repeats) / options.batch
            )
            theirs_ms = best_ms(lambda run=compute: [run(sounds[0].numpy(), x) for x in few], 2) / len(few)
            expected = torch.tensor([compute(sounds[0].numpy(), estimate) for estimate in few])
            difference = (target.score(estimates[:4], (name,))[name] - expected).abs().max().item()
            print(
                f"{name:<22}{ours_ms:>10.3f}{theirs_ms:>10.2f}{theirs_ms / ours_ms:>7.0f}x{difference:>12.1e}"
            )
        for label, names in (
            ("mss + sot + rms", ("mss", "sot", "rms")),
            ("fast suite", FAST_SUITE),
            ("all", SUITE),
        ):
            batch_ms = best_ms(lambda names=tuple(names): target.score(estimates, names), options.repeats)
            print(f"{label:<22}{batch_ms / options.batch:>10.3f}     {batch_ms:.0f} ms per batch")


if __name__ == "__main__":
    main()
