"""How many clips a second does each embedder hear, and what is that to the plainest one?

    python benchmarks/embedders.py [--threads 1] [--clips 8] [--seconds 1.0] [--names NAME ...]

Noisy tones at 16 kHz are embedded in one batch, the best of several repeats; `x statistics` is the rate relative to
that of `statistics`, measured in the same run. On a CPU, time is that of the process, so a busy machine disturbs little
and a rate is one per core. Time does not depend on the values of weights, so those of others' networks are drawn at
random and written to a temporary file of the published shapes, and what has to be fitted is fitted to noisy tones.
`million` counts the weights, and `s to load` is the time from the file to the first vector (with making the file, or
fitting). With a CUDA device the table is printed for it too.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from retimbre.core.random import generator
from retimbre.listening.base import Embedder, FittedEmbedder
from retimbre.listening.catalog import EMBEDDERS, ExternalEntry, embedder
from retimbre.listening.clap_weights import LAION, AudioHalf
from retimbre.listening.htsat import HtsatConfig
from retimbre.listening.inception import Inception
from retimbre.listening.panns import Cnn14
from retimbre.listening.vggish_weights import PUBLISHED, Vggish
from retimbre.listening.weights_file import weights_of

SAMPLE_RATE = 16_000
BASELINE = "statistics"


def clap_weights() -> dict[str, Tensor]:
    named = weights_of(AudioHalf(HtsatConfig(), 512))
    return {LAION.names(name)[0]: weights for name, weights in named.items()}


# The tensors of a file for each external embedder.
WEIGHTS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "clap": clap_weights,
    "vggish": lambda: weights_of(Vggish(PUBLISHED)),
    "vggish-pca": lambda: weights_of(Vggish(PUBLISHED)),
    "panns-cnn14": lambda: weights_of(Cnn14()),
    "panns-cnn14-16k": lambda: weights_of(Cnn14()),
    "sony-inception": lambda: weights_of(Inception(27)),
}


def clips(count: int, seconds: float) -> Tensor:
    source = generator(0, "embedders")
    num_samples = round(seconds * SAMPLE_RATE)
    hz = 100.0 * 2.0 ** (5.0 * torch.rand(count, 1, generator=source))
    tone = torch.sin(2.0 * torch.pi * hz * torch.arange(num_samples) / SAMPLE_RATE)
    return 0.3 * tone + 0.05 * torch.randn(count, num_samples, generator=source)


def ready(name: str, folder: Path) -> Embedder:
    file = ""
    if isinstance(EMBEDDERS[name], ExternalEntry):
        path = folder / "weights.safetensors"
        save_file(WEIGHTS[name](), path)
        components = {"pca_means": torch.zeros(128), "pca_eigen_vectors": torch.eye(128)}
        torch.save(components, folder / "vggish_pca_params-970ea276.pth")  # noqa: TID251 (as they are published)
        file = str(path)
    made = embedder(name, SAMPLE_RATE, file)
    if isinstance(made, FittedEmbedder):
        # Enough clips for its thousand words or components.
        made.fit(clips(64, 1.0), seed=0)
    return made


def best_s(function: Callable[[], Tensor], repeats: int, now: Callable[[], float]) -> float:
    times = []
    for _ in range(repeats):
        start = now()
        function()
        times.append(now() - start)
    return min(times)


def gpu_time() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def million_weights(made: nn.Module) -> float:
    return sum(weights.numel() for weights in (*made.parameters(), *made.buffers())) / 1e6


def table(names: list[str], audio: Tensor, repeats: int) -> None:
    rates: dict[str, float] = {}
    now = gpu_time if audio.is_cuda else time.process_time
    print(f"\n{len(audio)} clips of {audio.shape[1] / SAMPLE_RATE:g} s on {audio.device}")
    print(
        f"{'embedder':<18}{'numbers':>9}{'million':>9}{'s to load':>11}{'clips/s':>10}{f'x {BASELINE}':>14}"
    )
    for name in names:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            start = now()
            made = ready(name, Path(folder)).to(audio.device)
            made(audio[:1])
            load_s = now() - start
            rates[name] = len(audio) / best_s(lambda made=made: made(audio), repeats, now)
            ratio = f"{rates[name] / rates[BASELINE]:.4f}"
            print(
                f"{name:<18}{made.dim:>9,}{million_weights(made):>9.1f}{load_s:>11.2f}{rates[name]:>10,.1f}{ratio:>14}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--names", nargs="+", choices=list(EMBEDDERS), default=list(EMBEDDERS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [BASELINE, *(name for name in options.names if name != BASELINE)]
    audio = clips(options.clips, options.seconds)
    table(names, audio, options.repeats)
    if torch.cuda.is_available():
        table(names, audio.cuda(), options.repeats)


if __name__ == "__main__":
    main()
