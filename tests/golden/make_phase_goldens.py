"""Makes phase.json: librosa's mel power and MFCCs of a made sound, nothing of retimbre.

python tests/golden/make_phase_goldens.py       needs the extra `benchmarks`, for librosa
"""

import json
from pathlib import Path

import librosa
import numpy as np

SAMPLE_RATE, NUM_SAMPLES = 16_000, 6_000
SETTINGS = {"n_fft": 1024, "hop_length": 256, "n_mels": 128, "center": True}


def sound() -> np.ndarray:
    """A decaying harmonic tone over a quiet hum, so that no band is at the floor; the test makes it again."""
    second = np.arange(NUM_SAMPLES) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 196.0 * k * second) / k for k in range(1, 30))
    hum = sum(np.sin(2 * np.pi * 61.7 * k * second + k * k) for k in range(1, 129))
    return (0.2 * tone * np.exp(-6.0 * second) + 0.002 * hum).astype(np.float64)


def main() -> None:
    """Writes phase.json beside this file; every seventh band of every fifth frame keeps it small."""
    goldens: dict[str, object] = {"librosa": librosa.__version__}
    for pad_mode in ("constant", "reflect"):
        power = librosa.feature.melspectrogram(y=sound(), sr=SAMPLE_RATE, pad_mode=pad_mode, **SETTINGS)
        cepstra = librosa.feature.mfcc(S=librosa.power_to_db(power), n_mfcc=20)
        goldens[pad_mode] = {"mel": power[::7, ::5].tolist(), "mfcc": cepstra[:, ::5].tolist()}
    Path(__file__).with_name("phase.json").write_text(json.dumps(goldens) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
