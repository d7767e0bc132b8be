"""The generators and critics by name. To add one: write it, add a line, and every test of the catalog runs on it."""

from retimbre.gan.base import CriticConfig, GeneratorConfig
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.networks.gantts import GanTtsCriticConfig, GanTtsGeneratorConfig
from retimbre.gan.networks.specgan import SpecGanCriticConfig, SpecGanGeneratorConfig
from retimbre.gan.networks.wavegan import WaveGanCriticConfig, WaveGanGeneratorConfig

# Run files choose by the field `kind`; one that leaves it out means the first.
AnyGenerator = DenseGeneratorConfig | WaveGanGeneratorConfig | SpecGanGeneratorConfig | GanTtsGeneratorConfig
AnyCritic = DenseCriticConfig | WaveGanCriticConfig | SpecGanCriticConfig | GanTtsCriticConfig

GENERATORS: dict[str, type[GeneratorConfig]] = {
    "dense": DenseGeneratorConfig,
    "wavegan": WaveGanGeneratorConfig,
    "specgan": SpecGanGeneratorConfig,
    "gan-tts": GanTtsGeneratorConfig,
}
CRITICS: dict[str, type[CriticConfig]] = {
    "dense": DenseCriticConfig,
    "wavegan": WaveGanCriticConfig,
    "specgan": SpecGanCriticConfig,
    "gan-tts": GanTtsCriticConfig,
}
