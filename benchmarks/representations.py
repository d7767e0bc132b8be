"""How fast and how exact is each representation, and how much faster than librosa are those of the short-time family?

    python benchmarks/representations.py [--peers PYTHON] [--threads 1] [--batch 64] [--names NAME ...]

Clips of one second at 16 kHz go to features and back in batches. The first table gives clips per second of wall time
for each way, the best of several repeats, and the signal-to-noise ratio of what comes back in float32 and in float64
(of an exact one, its rounding; of any other, what its estimate misses). The second compares the short-time family with
the same formulas in librosa and NumPy, which `--peers`, an interpreter with librosa 0.11, runs in the same number of
threads and with the same settings of the memory allocator, in turns with ours: once in a loop over the clips, as is
usual, and once over the whole array, which librosa also takes. `ratio` is our rate of encoding and decoding to theirs.

With a CUDA device the first table is printed for it too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
if any(os.environ.get(name) != value for name, value in MALLOC.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC)

import numpy as np  # noqa: E402 - the allocator is set before anything allocates
import torch  # noqa: E402

from retimbre.core.random import generator  # noqa: E402
from retimbre.representation.base import Representation  # noqa: E402
from retimbre.representation.catalog import REPRESENTATIONS, representation  # noqa: E402

SAMPLE_RATE = 16_000
FAMILY = ("stft", "stft-compressed", "mag-phase", "mag-if")

# The formulas of FAMILY with librosa's transform, for the other interpreter; prints milliseconds per batch as JSON.
PEER = """
import json, sys, time
import librosa
import numpy as np
clips = np.load(sys.argv[1])
n_fft, hop, length = 1024, 256, clips.shape[1]
def transform(audio):
    return librosa.stft(audio, n_fft=n_fft, hop_length=hop, pad_mode="constant")
def back(spectrum):
    return librosa.istft(spectrum, n_fft=n_fft, hop_length=hop, length=length)
def scaled(spectrum, exponent):
    return spectrum * np.maximum(np.abs(spectrum), 1e-15) ** (exponent - 1)
def polar(audio):
    spectrum = transform(audio)
    return np.log(np.abs(spectrum) + 1e-6), np.angle(spectrum)
def from_polar(features):
    return back((np.exp(features[0]) - 1e-6) * np.exp(1j * features[1]))
def turning(audio):
    magnitude, phase = polar(audio)
    return magnitude, np.diff(np.unwrap(phase, axis=-1), axis=-1, prepend=0) / np.pi
def from_turning(features):
    return from_polar((features[0], np.cumsum(features[1], axis=-1) * np.pi))
pairs = {
    "stft": (transform, back),
    "stft-compressed": (lambda audio: scaled(transform(audio), 0.3), lambda z: back(scaled(z, 1 / 0.3))),
    "mag-phase": (polar, from_polar),
    "mag-if": (turning, from_turning),
}
def best_s(function):
    function()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)
print(json.dumps({
    name: {
        "loop": best_s(lambda: [decode(encode(clip)) for clip in clips]),
        "whole": best_s(lambda: decode(encode(clips))),
    }
    for name, (encode, decode) in pairs.items()
}))
"""


def clips(count: int) -> torch.Tensor:
    """Decaying harmonic tones in noise, each different, in float64."""
    random = generator(0, "benchmark of representations", count)
    time_s = torch.arange(SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    pitch_hz = 60.0 * 2.0 ** (4.0 * torch.rand(count, 1, generator=random))
    tones = sum(torch.sin(2 * torch.pi * number * pitch_hz * time_s) / number for number in range(1, 9))
    return 0.2 * tones * torch.exp(-3.0 * time_s) + 0.01 * torch.randn(count, SAMPLE_RATE, generator=random)


def best_s(function: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Seconds that a call takes, the best of some after a warm-up."""

    def seconds() -> float:
        start_s = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start_s

    seconds()
    return min(seconds() for _ in range(repeats))


def round_trip_snr_db(chosen: Representation, audio: torch.Tensor) -> float:
    back = chosen.decode(chosen.encode(audio), num_samples=audio.shape[-1])
    error = (audio - back).double().square().sum()
    return (10.0 * torch.log10(audio.double().square().sum() / error.clamp_min(1e-300))).item()


def measure(chosen: Representation, audio: torch.Tensor, repeats: int) -> tuple[float, float]:
    """Seconds to encode a batch, and to decode it; of one that cannot be decoded, the second is zero."""
    encode_s = best_s(lambda: chosen.encode(audio), repeats, audio.device)
    if not chosen.invertible:
        return encode_s, 0.0
    features = chosen.encode(audio)
    return encode_s, best_s(
        lambda: chosen.decode(features, num_samples=audio.shape[-1]), repeats, audio.device
    )


def print_catalog(names: list[str], batch: int, repeats: int, device: torch.device) -> None:
    """The table of all representations."""
    audio = clips(batch).to(device)
    print(f"\n{device.type}: {batch} clips of 1 s at {SAMPLE_RATE} Hz")
    print(
        f"{'representation':<26}{'exact':>6}{'encode/s':>11}{'decode/s':>11}{'SNR f32 dB':>12}{'f64 dB':>8}"
    )
    for name in names:
        chosen = representation(name, SAMPLE_RATE)
        # What takes a hundred iterations is measured on few clips.
        few = audio[: batch if chosen.exact else max(1, batch // 8)]
        encode_s, decode_s = measure(chosen, few.float(), repeats if chosen.exact else max(1, repeats // 8))
        rates = f"{len(few) / encode_s:>11,.0f}" + (
            f"{len(few) / decode_s:>11,.0f}" if decode_s else f"{'-':>11}"
        )
        snr = [
            f"{round_trip_snr_db(chosen, few[:8].to(dtype)):.0f}" if chosen.invertible else "-"
            for dtype in (torch.float32, torch.float64)
        ]
        print(f"{name:<26}{'yes' if chosen.exact else 'no':>6}{rates}{snr[0]:>12}{snr[1]:>8}", flush=True)


def print_ratios(peers: str, batch: int, repeats: int, rounds: int) -> None:
    """The table of ratios to librosa: we and they in turns, and of each the best."""
    audio, cpu = clips(batch).float(), torch.device("cpu")
    ours = dict.fromkeys(FAMILY, float("inf"))
    theirs = {name: {"loop": float("inf"), "whole": float("inf")} for name in FAMILY}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clips.npy", audio.numpy())
        for _ in range(rounds):
            for name in FAMILY:
                ours[name] = min(ours[name], sum(measure(representation(name, SAMPLE_RATE), audio, repeats)))
            command = [peers, "-c", PEER, str(Path(folder) / "clips.npy")]
            found = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            )
            for name in FAMILY:
                theirs[name] = {how: min(theirs[name][how], found[name][how]) for how in theirs[name]}
    print(f"\n{cpu.type}: encode and decode, {batch} clips, against librosa (best of {rounds} turns each)")
    print(
        f"{'representation':<18}{'ours clips/s':>14}{'loop/s':>9}{'ratio':>7}{'whole array/s':>15}{'ratio':>7}"
    )
    for name in FAMILY:
        loop, whole = theirs[name]["loop"], theirs[name]["whole"]
        print(
            f"{name:<18}{batch / ours[name]:>14,.0f}{batch / loop:>9,.0f}{loop / ours[name]:>7.1f}"
            f"{batch / whole:>15,.0f}{whole / ours[name]:>7.1f}"
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="", help="an interpreter with librosa; without it, no ratios")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="turns that we and librosa take")
    parser.add_argument("--names", nargs="*", default=list(REPRESENTATIONS), choices=list(REPRESENTATIONS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
    print(f"torch {torch.__version__}, {options.threads} threads")
    if options.peers:
        with torch.inference_mode():
            print_ratios(options.peers, options.batch, options.repeats, options.rounds)
    devices = [torch.device("cpu")] + ([torch.device("cuda")] if torch.cuda.is_available() else [])
    with torch.inference_mode():
        for device in devices:
            print_catalog(options.names, options.batch, options.repeats, device)


if __name__ == "__main__":
    main()
