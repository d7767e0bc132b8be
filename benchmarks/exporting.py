"""What does a network cost outside torch: how large is its file, how near to torch is it, and how fast?

For each network of the catalog, with fresh weights, at its full size for the clips of a synthesizer: megabytes of its
ONNX file, seconds of processor time to make it, the largest difference of a probability from torch, and how long one
clip takes in torch and in onnxruntime, on one thread, with the ratio of the two. Features are part of both.

    python benchmarks/exporting.py [NAME ...] [--synth inversynth]

The fitted embedders (FC, HC) are fitted on noise. Times are of the processor, and the least of several, since other
work on a machine only ever adds to them.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from retimbre.listening.base import FittedEmbedder
from retimbre.matching.inverter import Inverter, InverterConfig
from retimbre.matching.networks.catalog import MODELS
from retimbre.workflows.export import graph, parity
from retimbre.workflows.export.parts import inverter_part

REPEATS = 15


def fresh(synth: str, network: str) -> Inverter:
    """An inverter with fresh weights, its front end fitted if it needs to be."""
    torch.manual_seed(0)
    model = Inverter(InverterConfig(synth, network)).eval()
    if isinstance(model.front_end, FittedEmbedder):
        model.front_end.fit(0.1 * torch.randn(64, model.num_samples), seed=0)
    return model


def least_ms(function: Callable[[], object]) -> float:
    """The least processor time of several runs, in milliseconds, after a first one that is not counted."""
    function()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        function()
        times.append(1e3 * (time.process_time() - started))
    return min(times)


def main() -> None:
    """Prints a row per network, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*MODELS])
    parser.add_argument("--synth", default="inversynth")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("network    MB     export s  difference  torch ms  onnxruntime ms  ratio")
    ratios = []
    for network in chosen.networks:
        part = inverter_part(fresh(chosen.synth, network), network)
        started = time.process_time()
        content = graph.to_onnx(part, graph.OLDEST_OPSET).SerializeToString()
        seconds = time.process_time() - started
        difference = parity.largest_differences(part, content)["probabilities"]
        runtime = parity.session(content, network)
        wanted = {given.name for given in runtime.get_inputs()}
        clip = part.trials["noise"]
        fed = {name: tensor.numpy() for name, tensor in zip(part.inputs, clip, strict=True) if name in wanted}
        with torch.no_grad():
            in_torch = least_ms(lambda part=part, clip=clip: part.module(*clip))
        outside = least_ms(lambda runtime=runtime, fed=fed: runtime.run(None, fed))
        ratios.append(in_torch / outside)
        print(
            f"{network:<9} {len(content) / 1e6:6.2f} {seconds:8.1f}  {difference:10.1e} {in_torch:9.1f} "
            f"{outside:15.1f} {ratios[-1]:6.2f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
