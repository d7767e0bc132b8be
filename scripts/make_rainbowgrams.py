"""Draws docs/pictures/rainbowgrams.png, for docs/report.md: three real notes, and what becomes of them without phases.

    python scripts/make_rainbowgrams.py

The second row has the magnitudes of the first and phases by Griffin and Lim's algorithm. A spectrogram of the two would
look the same.
"""

from pathlib import Path

from retimbre.core.files import whole_file
from retimbre.dsp import audiofile
from retimbre.dsp.level import fade_out
from retimbre.dsp.phase import GriffinLim
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.workflows.report.rainbowgram import RainbowSound, rainbowgram_grid_png

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "rainbowgrams.png"
SOUNDS = {
    "rhodes_g3": "Rhodes piano, G3",
    "french_horn_f3": "French horn, F3",
    "electric_bass_c2": "electric bass, C2",
}
RATE_HZ = 16_000
SECONDS = 2.0
# GANSynth's, and as many rounds as are usual.
STFT = StftSettings(n_fft=2048, hop_length=512)
GRIFFIN_LIM = GriffinLim(iterations=60)


def beginning(name: str) -> RainbowSound:
    """The first seconds of an example; an end that breaks off would be a click."""
    sound = audiofile.read(ROOT / "examples" / f"{name}.flac", sample_rate=RATE_HZ, max_seconds=SECONDS)
    return RainbowSound(fade_out(sound.samples, fraction=0.1), RATE_HZ)


def without_phases(sound: RainbowSound) -> RainbowSound:
    """The magnitudes of a sound with phases that were found for them."""
    samples = sound.samples[None]
    found = GRIFFIN_LIM.recover(magnitude(samples, STFT), STFT, num_samples=samples.shape[1])
    return RainbowSound(found[0], sound.sample_rate)


def main() -> None:
    """Draws the picture."""
    recorded = [beginning(name) for name in SOUNDS]
    rows = [recorded, [without_phases(sound) for sound in recorded]]
    content = rainbowgram_grid_png(rows, ["recorded", "Griffin-Lim"], list(SOUNDS.values()))
    with whole_file(PICTURE) as aside:
        aside.write_bytes(content)
    print(f"{PICTURE.name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
