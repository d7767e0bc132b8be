"""How fast do the instruments render, beside the earlier systems' generators and a plain NumPy loop?

    python benchmarks/rendering.py [--quick] [--no-compile]

Everything is measured in one run, on the same threads and with the same memory allocator settings (glibc's
malloc is told to keep large blocks, for every peer alike; the script restarts itself once to set that). Rates
are seconds of audio per second of wall time, the best of several repeats after a warm-up. The yardstick is
`numpy_fm`: a two-operator FM voice in float64 NumPy, one clip at a time, vectorised in time.

The peers of the earlier systems need the `benchmarks` extra (synthplayer); without it they are left out, and
it is said.
"""

import argparse
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
if any(os.environ.get(name) != value for name, value in MALLOC.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC)

import numpy as np  # noqa: E402 - the allocator is set before anything allocates
import torch  # noqa: E402

from retimbre.core.random import uniform  # noqa: E402
from retimbre.synth.base import CHUNK_SAMPLES, Note, Synth  # noqa: E402
from retimbre.synth.catalog import SYNTHS  # noqa: E402
from retimbre.synth.compiled import FUSED_CHUNK_SAMPLES, CompiledRenderer  # noqa: E402
from retimbre.synth.fusing import compiler_available  # noqa: E402
from retimbre.synth.knobs import Stepped  # noqa: E402

RATE = 16_384
BATCH = 32  # of the peer that runs batches


# Peers


def numpy_fm(carrier_hz: float, rate_hz: float, index: float, attack_s: float) -> np.ndarray:
    """The yardstick: sin(2 pi f t + I sin(2 pi v t)) under a linear attack, one second, in float64."""
    second = np.arange(RATE) / RATE
    modulator = index * np.sin(2.0 * np.pi * rate_hz * second)
    return np.minimum(second / attack_s, 1.0) * np.sin(2.0 * np.pi * carrier_hz * second + modulator)


def torch_fm(
    carrier_hz: torch.Tensor, rate_hz: torch.Tensor, index: torch.Tensor, attack_s: torch.Tensor
) -> torch.Tensor:
    """The yardstick's arithmetic, operation for operation, in eager float32 torch over a batch."""
    second = torch.arange(RATE) / RATE
    modulator = index * torch.sin(2.0 * math.pi * rate_hz * second)
    return (second / attack_s).clamp(max=1.0) * torch.sin(2.0 * math.pi * carrier_hz * second + modulator)


def system_b() -> Callable[[], object]:
    """System B's generator: one frequency-modulated sine with an envelope, on synthplayer."""
    from synthplayer.oscillators import EnvelopeFilter, Sine

    def render() -> list[float]:
        modulator = Sine(12.6, amplitude=0.5, samplerate=RATE)
        carrier = Sine(783.991, amplitude=1.0, fm_lfo=modulator, samplerate=RATE)
        return first_second(EnvelopeFilter(carrier, 0.2667, 0.6, 0.2667, 0.0, 0.8, stop_at_end=False))

    return render


def system_a() -> Callable[[], object]:
    """System A's generator: four frequency-modulated waves, mixed, with an envelope, on synthplayer."""
    from synthplayer.oscillators import EnvelopeFilter, MixingFilter, Sawtooth, Sine, SquareH, Triangle

    def render() -> list[float]:
        waves = [
            wave(440.0, amplitude=0.5, fm_lfo=Sine(5.0, amplitude=0.5, samplerate=RATE), samplerate=RATE)
            for wave in (Sine, Sawtooth, Triangle, SquareH)
        ]
        return first_second(EnvelopeFilter(MixingFilter(*waves), 0.1, 0.3, 0.5, 1.0, 0.2, stop_at_end=False))

    return render


def first_second(source: Any) -> list[float]:
    """One second of a synthplayer oscillator."""
    samples: list[float] = []
    blocks = source.blocks()
    while len(samples) < RATE:
        samples.extend(next(blocks))
    return samples[:RATE]


# Measuring


def best_rate(function: Callable[[], object], audio_s: float, repeats: int) -> float:
    """Seconds of audio per second of wall time, the best of some repeats."""
    function()
    fastest = min(_timed(function) for _ in range(repeats))
    return audio_s / fastest


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def batch_of(synth: Synth, count: int, device: torch.device) -> tuple[dict[str, torch.Tensor], Note]:
    """Random patches and notes: A4 where pitch is a knob, A2 to A5 elsewhere."""
    space = synth.space
    rows = torch.arange(count)
    knobs = space.from_unit(space.draw_unit(uniform(0, "benchmark", rows, len(space.searched))).to(device))
    note = Note.of(count, gate_s=synth.default_gate_s, device=device)
    if synth.sample_rate == 44_100:
        note = Note(
            torch.linspace(110.0, 880.0, count, device=device), note.velocity, note.gate_s, rows.to(device)
        )
    return knobs, note


def forward_backward(synth: Synth, unit: torch.Tensor, note: Note, num_samples: int) -> None:
    """One gradient of the energy of a batch with respect to its knobs."""
    unit = unit.detach().requires_grad_()
    synth.render(synth.space.from_unit(unit), note, num_samples=num_samples).square().sum().backward()


def measure_synth(name: str, device: torch.device, repeats: int, compiled: bool) -> dict[str, float]:
    """The rates of one instrument, one-second clips at its own rate."""
    synth = SYNTHS[name]
    num_samples = synth.sample_rate
    batch = FUSED_CHUNK_SAMPLES // num_samples
    knobs, note = batch_of(synth, batch, device)
    unit = synth.space.to_unit(knobs)

    def finished(function: Callable[[], object]) -> Callable[[], object]:
        return lambda: (function(), torch.cuda.synchronize() if device.type == "cuda" else None)

    few = slice(0, CHUNK_SAMPLES // num_samples)  # what eager rendering makes at once
    part = {name: knob[few] for name, knob in knobs.items()}
    with torch.no_grad():
        one_chunk = finished(lambda: synth.render(part, note[few], num_samples=num_samples))
        rates = {"eager": best_rate(one_chunk, few.stop, repeats)}
    if compiled:
        renderer = CompiledRenderer(synth)
        rates["compiled"] = best_rate(
            finished(lambda: renderer.render(knobs, note, num_samples=num_samples)), batch, repeats
        )
    if all(isinstance(knob, Stepped) for knob in synth.space.searched):
        return rates  # steps have no gradient
    rates["gradient"] = best_rate(
        finished(lambda: forward_backward(synth, unit[few], note[few], num_samples)),
        few.stop,
        max(2, repeats // 4),
    )
    return rates


def gpu_memory_per_clip(name: str, device: torch.device) -> float:
    """Peak GPU memory of one uncompiled batch, in bytes per clip of a second."""
    synth = SYNTHS[name]
    batch = CHUNK_SAMPLES // synth.sample_rate
    knobs, note = batch_of(synth, batch, device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        synth.render(knobs, note, num_samples=synth.sample_rate)
    return (torch.cuda.max_memory_allocated() - before) / batch


def error_of_fm() -> float:
    """The `fm` voice against its formula in float64, RMS over RMS, at the default knobs."""
    synth = SYNTHS["fm"]
    audio = synth.render(synth.space.from_values({}), Note.of(1), num_samples=RATE)[0].double().numpy()
    second = np.arange(RATE) / RATE
    carrier, rate, depth = (float(np.float32(value)) for value in (783.991, 12.6, 0.5))
    step = carrier * (1.0 + depth * np.sin(2.0 * np.pi * rate * second)) / RATE
    envelope = np.interp(second, [0.0, 0.2667, 0.8667, 2.0], [0.0, 1.0, 0.0, 0.0])
    reference = envelope * np.sin(2.0 * np.pi * (np.cumsum(step) - step))
    return float(np.sqrt(np.mean((audio - reference) ** 2) / np.mean(reference**2)))


def peers(repeats: int) -> dict[str, float]:
    """The rates of what the instruments are compared with."""
    column = torch.linspace(1.0, 2.0, BATCH)[:, None]
    rates = {
        "numpy_fm (yardstick)": best_rate(
            lambda: [numpy_fm(783.991, 12.6, 3.0, 0.27) for _ in range(32)], 32.0, repeats
        ),
        "torch_fm (its arithmetic, eager, batch 32)": best_rate(
            lambda: torch_fm(440.0 * column, 12.6 * column, 3.0 * column, 0.2 * column), BATCH, repeats
        ),
    }
    try:
        generators = {"system B's generator": system_b(), "system A's generator": system_a()}
    except ImportError:
        print("synthplayer is missing: pip install 'retimbre[benchmarks]'; the earlier systems are left out")
        return rates
    return rates | {
        name: best_rate(generator, 1.0, max(3, repeats // 4)) for name, generator in generators.items()
    }


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--no-compile", action="store_true", help="eager figures only")
    parser.add_argument("--synths", nargs="*", default=list(SYNTHS), choices=list(SYNTHS))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    repeats = 8 if options.quick else 40
    compiled = not options.no_compile and compiler_available(device)
    print(f"torch {torch.__version__}, {options.threads} threads, {device.type}")
    print(f"clips of 1 s, {FUSED_CHUNK_SAMPLES >> 20} M samples a batch")
    touched = torch.ones(1 << 27)  # half a GiB: the first touch of memory after boot is many times slower
    del touched
    beside = peers(repeats)
    yardstick = beside["numpy_fm (yardstick)"]
    print(f"\n{'peer':<44}{'audio s/s':>12}{'x yardstick':>13}")
    for name, rate in beside.items():
        print(f"{name:<44}{rate:>12,.0f}{rate / yardstick:>13.2f}")
    print(
        f"\n{'instrument':<14}{'rate Hz':>9}{'how':>10}{'audio s/s':>12}{'x yardstick':>13}{'x B':>8}{'x A':>8}"
    )
    for name in options.synths:
        for how, rate in measure_synth(name, device, repeats, compiled).items():
            ratios = [
                rate / beside[peer] if peer in beside else math.nan
                for peer in ("system B's generator", "system A's generator")
            ]
            print(
                f"{name:<14}{SYNTHS[name].sample_rate:>9}{how:>10}{rate:>12,.0f}{rate / yardstick:>13.2f}"
                f"{ratios[0]:>8.0f}{ratios[1]:>8.0f}"
            )
    print(f"\nfm against float64: {20 * math.log10(error_of_fm()):.0f} dB")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    if device.type == "cuda":
        for name in options.synths:
            print(f"{name}: {gpu_memory_per_clip(name, device) / 2**20:.1f} MiB of GPU memory per clip")


if __name__ == "__main__":
    main()
