"""The generators and critics by name. To add one: write it, add a line, and every test of the catalog runs on it."""

from retimbre.gan.base import CriticConfig, GeneratorConfig
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.networks.frames import FramesCriticConfig, FramesGeneratorConfig
from retimbre.gan.networks.gantts import GanTtsCriticConfig, GanTtsGeneratorConfig
from retimbre.gan.networks.harmonic import HarmonicGeneratorConfig
from retimbre.gan.networks.progressive import ProgressiveCriticConfig, ProgressiveGeneratorConfig
from retimbre.gan.networks.residual import ResidualCriticConfig, ResidualGeneratorConfig
from retimbre.gan.networks.specgan import SpecGanCriticConfig, SpecGanGeneratorConfig
from retimbre.gan.networks.style import StyleGeneratorConfig
from retimbre.gan.networks.wavegan import WaveGanCriticConfig, WaveGanGeneratorConfig

# Run files choose by the field `kind`; one that leaves it out means the first.
AnyGenerator = (
    DenseGeneratorConfig
    | WaveGanGeneratorConfig
    | SpecGanGeneratorConfig
    | GanTtsGeneratorConfig
    | ProgressiveGeneratorConfig
    | StyleGeneratorConfig
    | FramesGeneratorConfig
    | HarmonicGeneratorConfig
    | ResidualGeneratorConfig
)
AnyCritic = (
    DenseCriticConfig
    | WaveGanCriticConfig
    | SpecGanCriticConfig
    | GanTtsCriticConfig
    | ProgressiveCriticConfig
    | FramesCriticConfig
    | ResidualCriticConfig
)

GENERATORS: dict[str, type[GeneratorConfig]] = {
    "dense": DenseGeneratorConfig,
    "wavegan": WaveGanGeneratorConfig,
    "specgan": SpecGanGeneratorConfig,
    "gan-tts": GanTtsGeneratorConfig,
    "progressive": ProgressiveGeneratorConfig,
    "style": StyleGeneratorConfig,
    "frames": FramesGeneratorConfig,
    "harmonic": HarmonicGeneratorConfig,
    "residual": ResidualGeneratorConfig,
}
CRITICS: dict[str, type[CriticConfig]] = {
    "dense": DenseCriticConfig,
    "wavegan": WaveGanCriticConfig,
    "specgan": SpecGanCriticConfig,
    "gan-tts": GanTtsCriticConfig,
    "progressive": ProgressiveCriticConfig,
    "frames": FramesCriticConfig,
    "residual": ResidualCriticConfig,
}
