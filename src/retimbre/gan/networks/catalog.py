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
from retimbre.gan.networks.told.envelope import EnvelopeCriticConfig, EnvelopeGeneratorConfig
from retimbre.gan.networks.told.frames import ToldFramesCriticConfig, ToldFramesGeneratorConfig
from retimbre.gan.networks.told.history import (
    HistorySpecCriticConfig,
    HistorySpecGeneratorConfig,
    HistoryWaveCriticConfig,
    HistoryWaveGeneratorConfig,
)
from retimbre.gan.networks.told.midi import MidiWaveCriticConfig, MidiWaveGeneratorConfig
from retimbre.gan.networks.told.midi_harmonic import MidiHarmonicGeneratorConfig
from retimbre.gan.networks.told.midi_pictures import (
    MidiSpecCriticConfig,
    MidiStftCriticConfig,
    MidiStftGeneratorConfig,
)
from retimbre.gan.networks.told.midi_spectra import MidiSpectraGeneratorConfig
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
    | HistoryWaveGeneratorConfig
    | HistorySpecGeneratorConfig
    | MidiWaveGeneratorConfig
    | MidiStftGeneratorConfig
    | MidiHarmonicGeneratorConfig
    | MidiSpectraGeneratorConfig
    | ToldFramesGeneratorConfig
    | EnvelopeGeneratorConfig
)
AnyCritic = (
    DenseCriticConfig
    | WaveGanCriticConfig
    | SpecGanCriticConfig
    | GanTtsCriticConfig
    | ProgressiveCriticConfig
    | FramesCriticConfig
    | ResidualCriticConfig
    | HistoryWaveCriticConfig
    | HistorySpecCriticConfig
    | MidiWaveCriticConfig
    | MidiSpecCriticConfig
    | MidiStftCriticConfig
    | ToldFramesCriticConfig
    | EnvelopeCriticConfig
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
    "history-wave": HistoryWaveGeneratorConfig,
    "history-spec": HistorySpecGeneratorConfig,
    "midi-wave": MidiWaveGeneratorConfig,
    "midi-stft": MidiStftGeneratorConfig,
    "midi-harmonic": MidiHarmonicGeneratorConfig,
    "midi-spectra": MidiSpectraGeneratorConfig,
    "told-frames": ToldFramesGeneratorConfig,
    "envelope": EnvelopeGeneratorConfig,
}
CRITICS: dict[str, type[CriticConfig]] = {
    "dense": DenseCriticConfig,
    "wavegan": WaveGanCriticConfig,
    "specgan": SpecGanCriticConfig,
    "gan-tts": GanTtsCriticConfig,
    "progressive": ProgressiveCriticConfig,
    "frames": FramesCriticConfig,
    "residual": ResidualCriticConfig,
    "history-wave": HistoryWaveCriticConfig,
    "history-spec": HistorySpecCriticConfig,
    "midi-wave": MidiWaveCriticConfig,
    "midi-spec": MidiSpecCriticConfig,
    "midi-stft": MidiStftCriticConfig,
    "told-frames": ToldFramesCriticConfig,
    "envelope": EnvelopeCriticConfig,
}
