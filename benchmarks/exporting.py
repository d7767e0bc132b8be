"""What does a network cost outside torch: how large is its file, how near to torch is it, and how fast?

For each network of the catalog of inverters, with fresh weights, at its full size for the clips of a synthesizer:
megabytes of its ONNX file, seconds of processor time to make it, the largest difference of a probability from torch,
and how long one clip takes in torch and in onnxruntime, on one thread, with the ratio of the two. Features are part of
both.

    python benchmarks/exporting.py [NAME ...] [--synth inversynth]

So too for four generators, whose difference is that of a sample, and which are also told how many seconds of sound they
make in a second: the shipped note generator; with fresh weights networks of frames and of residual blocks that make one
second as magnitudes and turns of phase, inverse transform included; and an envelope put on one second.

The fitted embedders (FC, HC) are fitted on noise. Times are of the processor, and the least of several, since other
work on a machine only ever adds to them.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from retimbre.core.config import build
from retimbre.gan.config import GanConfig
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.listening.base import FittedEmbedder
from retimbre.matching.inverter import Inverter, InverterConfig
from retimbre.matching.networks.catalog import MODELS
from retimbre.workflows.export import graph, parity
from retimbre.workflows.export.generators import generator_part
from retimbre.workflows.export.part import Part
from retimbre.workflows.export.parts import inverter_part

REPEATS = 15

SECOND = 16_383  # samples at 16 kHz, which are 64 frames
NOTES = {"pitch": tuple(str(key) for key in range(24, 85)), "velocity": ("25", "50", "75", "100", "127")}
SPECTRA = {"representation": "mag-if-gated", "settings": {"edges": "no-dc"}, "num_samples": SECOND}
FRESH = {
    "frames": SPECTRA | {"generator": {"kind": "frames", "width": 192, "depth": 5}},
    "residual": SPECTRA
    | {"generator": {"kind": "residual", "channels": [96, 96, 64, 48], "template": ["pitch"]}},
    "envelope": {
        "generator": {"kind": "envelope"},
        "num_samples": SECOND,
        "conditions": {"sound": SECOND, "envelope": SECOND},
    },
}
GENERATORS = ("note-generator", *FRESH)


def fresh(synth: str, network: str) -> Inverter:
    """An inverter with fresh weights, its front end fitted if it needs to be."""
    torch.manual_seed(0)
    model = Inverter(InverterConfig(synth, network)).eval()
    if isinstance(model.front_end, FittedEmbedder):
        model.front_end.fit(0.1 * torch.randn(64, model.num_samples), seed=0)
    return model


def generator(name: str) -> SoundGenerator:
    """The shipped generator of that name, or one with fresh weights."""
    if name not in FRESH:
        return load_generator(name)
    torch.manual_seed(0)
    classes = {} if "conditions" in FRESH[name] else NOTES
    task = {"critics": [{"network": {"kind": "dense"}}], "attributes": [*classes], **FRESH[name]}
    return SoundGenerator(build(GanConfig, task, name), classes).eval()


def least_ms(function: Callable[[], object]) -> float:
    """The least processor time of several runs, in milliseconds, after a first one that is not counted."""
    function()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        function()
        times.append(1e3 * (time.process_time() - started))
    return min(times)


def row(part: Part) -> tuple[str, float, float]:
    """Size, seconds, difference and times of a part as columns; the ratio to torch and milliseconds outside it."""
    started = time.process_time()
    content = graph.to_onnx(part, graph.OLDEST_OPSET).SerializeToString()
    seconds = time.process_time() - started
    output = next(iter(part.outputs))
    difference = parity.largest_differences(part, content)[output]
    runtime = parity.session(content, part.name)
    wanted = {given.name for given in runtime.get_inputs()}
    clip = next(trial for trial in part.trials.values() if len(trial[0]) == 1)
    fed = {name: tensor.numpy() for name, tensor in zip(part.inputs, clip, strict=True) if name in wanted}
    with torch.no_grad():
        in_torch = least_ms(lambda: part.module(*clip))
    outside = least_ms(lambda: runtime.run(None, fed))
    ratio = in_torch / outside
    columns = (
        f"{part.name:<15} {len(content) / 1e6:6.2f} {seconds:8.1f}  {difference:10.1e} {in_torch:9.1f} "
        f"{outside:15.1f} {ratio:6.2f}"
    )
    return columns, ratio, outside


def main() -> None:
    """Prints a row per network, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*MODELS, *GENERATORS])
    parser.add_argument("--synth", default="inversynth")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("network            MB  export s  difference  torch ms  onnxruntime ms  ratio")
    ratios = []
    for network in chosen.networks:
        if network in GENERATORS:
            sounds = generator(network)
            columns, ratio, outside = row(generator_part(sounds, network))
            weights = sum(each.numel() for each in sounds.parameters())
            pace = 1e3 * sounds.num_samples / sounds.sample_rate / outside
            columns += f"  {pace:.0f} times real time, {weights / 1e6:.2f} million weights"
        else:
            columns, ratio, _ = row(inverter_part(fresh(chosen.synth, network), network))
        ratios.append(ratio)
        print(columns, flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
