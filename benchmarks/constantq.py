"""How fast and how exact are the constant-Q transforms, beside the nsgt package, librosa and nnAudio?

Batches of one-second clips at 16 kHz go forward and back; a table gives clips per second of wall time, the best of
several repeats, and the signal-to-noise ratio of what comes back, in float32 and float64. The peers run one after the
other in the same run, each in the environment it needs, on the same clips with the same number of threads: the
package goes clip by clip, as it does, and librosa too; nnAudio takes the batch. Ratios compare like with like: the
package's ragged form with our ragged one and its matrix with our matrix, forward and inverse together; the others,
whose inverse is not exact, with the ragged notes, forward.

    python benchmarks/constantq.py [--nsgt-peer PYTHON] [--peers PYTHON] [--threads 2]

`--nsgt-peer` is an interpreter with nsgt 0.19 (and NumPy before 2); `--peers` one with librosa, and nnAudio or not.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from retimbre.core.memory import keep_freed_memory
from retimbre.core.random import generator
from retimbre.dsp.gabor import gabor, inverse_gabor
from retimbre.dsp.gabor_frame import GaborSettings
from retimbre.representation.base import Representation
from retimbre.representation.catalog import representation

SAMPLE_RATE = 16_000
NAMES = ("nsgt", "nsgt-mag-if", "nsgt-ragged", "cqt", "erb", "sony2020-cq-nsgt", "sony2020-cqt")
# What both peers' scripts begin with: clips, and the best rate of some repeats of a function over a few of them.
PEER = """
import json, sys, time
import numpy as np
clips = np.load(sys.argv[1])
def rate(function, count, repeats=3):
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return count / min(times)
def snr_db(sound, estimate):
    return float(10 * np.log10(np.square(sound).sum() / np.square(sound - estimate).sum()))
rows = {}
"""
NSGT_PEER = (
    PEER
    + """
import nsgt.nsgfwin_sl
class Patched:  # the package clips integers to infinity, which NumPy refuses
    clip = staticmethod(lambda values, low, high, out: np.maximum(values, low, out=out))
    def __getattr__(self, name):
        return getattr(np, name)
nsgt.nsgfwin_sl.np = Patched()
few = clips[:8].astype(np.float64)
for name, matrix in (("nsgt package, ragged", False), ("nsgt package, matrix", True)):
    transform = nsgt.NSGT(nsgt.LogScale(20, 8000, 96), 16000, clips.shape[1], real=True, matrixform=matrix)
    there = [transform.forward(clip) for clip in few]
    back = np.stack([transform.backward(each) for each in there])
    rows[name] = (
        rate(lambda: [transform.forward(clip) for clip in few], len(few)),
        rate(lambda: [transform.backward(each) for each in there], len(few)),
        snr_db(few, back),
    )
print(json.dumps(rows))
"""
)
CQT_PEER = (
    PEER
    + """
import librosa
few = clips[:4]
there = [librosa.cqt(clip, sr=16000, n_bins=84) for clip in few]
back = np.stack([librosa.icqt(each, sr=16000, length=clips.shape[1]) for each in there])
rows["librosa.cqt"] = (
    rate(lambda: [librosa.cqt(clip, sr=16000, n_bins=84) for clip in few], len(few)),
    rate(lambda: [librosa.icqt(each, sr=16000, length=clips.shape[1]) for each in there], len(few)),
    snr_db(few, back),
)
try:
    import torch
    from nnAudio.features.cqt import CQT2010v2
except ImportError:
    pass
else:
    torch.set_num_threads(int(sys.argv[2]))
    layer = CQT2010v2(sr=16000, n_bins=84, verbose=False)
    batch = torch.from_numpy(clips)
    with torch.inference_mode():
        rows["nnAudio CQT2010v2"] = (rate(lambda: layer(batch), len(batch)), None, None)
print(json.dumps(rows))
"""
)


def clips(count: int) -> torch.Tensor:
    """Decaying harmonic tones in noise, each different, in float64."""
    random = generator(0, "constant-q benchmark", count)
    time_s = torch.arange(SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    pitch_hz = 60.0 * 2.0 ** (4.0 * torch.rand(count, 1, generator=random))
    tones = sum(torch.sin(2 * torch.pi * number * pitch_hz * time_s) / number for number in range(1, 9))
    return 0.2 * tones * torch.exp(-3.0 * time_s) + 0.01 * torch.randn(count, SAMPLE_RATE, generator=random)


def snr_db(sound: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (sound - estimate).double().square().sum()
    return (10.0 * torch.log10(sound.double().square().sum() / error)).item()


def rate(function: Callable[[], object], count: int, repeats: int, device: torch.device) -> float:
    """Clips per second of wall time, the best of some repeats."""

    def seconds() -> float:
        start_s = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start_s

    seconds()
    return count / min(seconds() for _ in range(repeats))


Row = tuple[float, float, float, float]


def measure_frame(sounds: torch.Tensor, settings: GaborSettings, repeats: int) -> Row:
    """The bare transform, whose bands stay in groups of one length."""
    num_samples = sounds.shape[1]
    batch = sounds.float()
    groups = gabor(batch, settings)
    double = inverse_gabor(gabor(sounds[:4], settings), settings, num_samples=num_samples)
    return (
        rate(lambda: gabor(batch, settings), len(batch), repeats, batch.device),
        rate(
            lambda: inverse_gabor(groups, settings, num_samples=num_samples),
            len(batch),
            repeats,
            batch.device,
        ),
        snr_db(batch, inverse_gabor(groups, settings, num_samples=num_samples)),
        snr_db(sounds[:4], double),
    )


def measure(sounds: torch.Tensor, chosen: Representation, repeats: int) -> Row:
    """A representation: clips per second both ways, and what comes back in both precisions."""
    batch, num_samples = sounds.float(), sounds.shape[1]
    features = chosen.encode(batch)
    double = chosen.decode(chosen.encode(sounds[:4]), num_samples=num_samples)
    return (
        rate(lambda: chosen.encode(batch), len(batch), repeats, batch.device),
        rate(lambda: chosen.decode(features, num_samples=num_samples), len(batch), repeats, batch.device),
        snr_db(batch, chosen.decode(features, num_samples=num_samples)),
        snr_db(sounds[:4], double),
    )


def peer_rows(python: str, script: str, sounds: torch.Tensor, threads: int) -> dict[str, list[float | None]]:
    """What a peer's script prints, run by its own interpreter on the same clips."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.npy"
        np.save(path, sounds.float().cpu().numpy())
        command = [python, "-W", "ignore", "-c", script, str(path), str(threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, row: list[float | None], ratio: str = "") -> None:
    forward, inverse, *snrs = [*row, None][:4]
    rates = "".join(f"{value:>11,.0f}" if value else f"{'-':>11}" for value in (forward, inverse))
    decibels = "".join(f"{value:>9.0f}" if value is not None else f"{'-':>9}" for value in snrs)
    print(f"{name:<26}{rates}{decibels}  {ratio}")


def show_device(sounds: torch.Tensor, repeats: int) -> dict[str, Row]:
    """Prints our rows on the device of the clips, and returns them."""
    cqt_ragged = GaborSettings(representation("cqt", SAMPLE_RATE).transform.scale, ragged=True)
    log_ragged = representation("nsgt-ragged", SAMPLE_RATE).transform
    rows = {
        "ragged, 96 bins": measure_frame(sounds, log_ragged, repeats),
        "ragged, 84 notes": measure_frame(sounds, cqt_ragged, repeats),
    }
    for name in NAMES:
        # The least-squares inverse takes a hundred times as long as the exact ones.
        count = 8 if name == "sony2020-cqt" else len(sounds)
        rows[name] = measure(sounds[:count], representation(name, SAMPLE_RATE), min(repeats, 3))
    for name, row in rows.items():
        show(name, list(row))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the constant-Q transforms against their peers.")
    parser.add_argument("--batch", type=int, default=64, help="clips per call (default 64)")
    parser.add_argument("--repeats", type=int, default=15, help="runs, of which the best counts (default 15)")
    parser.add_argument("--threads", type=int, default=2, help="threads of all of them (default 2)")
    parser.add_argument("--nsgt-peer", help="an interpreter with the nsgt package")
    parser.add_argument("--peers", help="an interpreter with librosa, and nnAudio")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    sounds = clips(options.batch)
    print(
        f"{options.batch} clips of 1 s at {SAMPLE_RATE} Hz, {options.threads} threads; clips per second, dB"
    )
    print(f"{'':<26}{'forward':>11}{'inverse':>11}{'float32':>9}{'float64':>9}  ours to it")
    with torch.inference_mode():
        ours = show_device(sounds, options.repeats)
        if options.nsgt_peer:
            for name, row in peer_rows(options.nsgt_peer, NSGT_PEER, sounds, options.threads).items():
                like = ours["nsgt" if "matrix" in name else "ragged, 96 bins"]
                both = (1.0 / row[0] + 1.0 / row[1]) / (1.0 / like[0] + 1.0 / like[1])
                show(name, [row[0], row[1], None, row[2]], f"{both:.1f}x, forward and inverse")
        if options.peers:
            for name, row in peer_rows(options.peers, CQT_PEER, sounds, options.threads).items():
                show(name, row, f"{ours['ragged, 84 notes'][0] / row[0]:.0f}x, forward")
        if torch.cuda.is_available():
            print(torch.cuda.get_device_name())
            show_device(clips(1024).cuda(), options.repeats)


if __name__ == "__main__":
    main()
