"""Makes suite.json: the four measures of the suite by librosa and a plain dynamic programme, nothing of retimbre.

The signals are formulas and a seeded NumPy stream, so the tests recompute them from this file instead of storing audio.

    python tests/golden/make_suite_goldens.py       needs the extra `benchmarks`, for librosa
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

SAMPLE_RATES = (16000, 44100)
SECONDS = 0.7


def signals(sample_rate: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs (reference, estimate) of float32 audio, by the name of what distinguishes them."""
    time_s = np.arange(int(SECONDS * sample_rate)) / sample_rate
    stream = np.random.default_rng(20261121)

    def tone(frequency_hz: float, partials: int = 1) -> np.ndarray:
        return sum(0.4 / k * np.sin(2 * np.pi * k * frequency_hz * time_s) for k in range(1, partials + 1))

    noise, other_noise = 0.1 * stream.standard_normal((2, len(time_s)))
    decay = np.exp(-6.0 * time_s)
    chirp = 0.5 * np.sin(2 * np.pi * (200.0 * time_s + 2000.0 * time_s**2))
    tail = np.where(time_s < 0.3, 1.0, 0.0)
    note = tone(220.0, 12) * decay
    pairs = {
        "identical": (note, note),
        "semitone": (tone(440.0), tone(466.16)),
        "brightness": (note, tone(220.0, 3) * decay),
        "noise": (noise, other_noise),
        "tone_and_noise": (tone(330.0, 5), noise * decay),
        "silent_tail": (note * tail, tone(247.0, 8) * decay * tail),
        "tail_and_no_tail": (note * tail, note),
        "chirp": (chirp, chirp[::-1].copy()),
        "delayed": (note, np.concatenate([np.zeros(len(note) // 10), note])[: len(note)]),
        "level": (note, 0.25 * note),
    }
    return {
        name: (first.astype(np.float32), second.astype(np.float32)) for name, (first, second) in pairs.items()
    }


def mss(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    import librosa

    distances = []
    for window_ms, hop_ms, n_mels in ((10, 5, 32), (25, 10, 64), (100, 50, 128)):
        levels = []
        for audio in (reference, estimate):
            power = librosa.feature.melspectrogram(
                y=audio,
                sr=sample_rate,
                n_fft=int(window_ms * sample_rate / 1000),
                hop_length=int(hop_ms * sample_rate / 1000),
                n_mels=n_mels,
                window="hann",
            )
            levels.append(librosa.power_to_db(power, ref=np.max))
        distances.append(np.mean(np.abs(levels[0] - levels[1])))
    return float(np.mean(distances))


def plain_warping(costs: np.ndarray) -> float:
    """Symmetric2 dynamic time warping, cell by cell, divided by N + M."""
    total = np.full(costs.shape, np.inf)
    for i in range(costs.shape[0]):
        for j in range(costs.shape[1]):
            ways = [costs[0, 0]] if i == j == 0 else []
            if i > 0:
                ways.append(total[i - 1, j] + costs[i, j])
            if j > 0:
                ways.append(total[i, j - 1] + costs[i, j])
            if i > 0 and j > 0:
                ways.append(total[i - 1, j - 1] + 2 * costs[i, j])
            total[i, j] = min(ways)
    return float(total[-1, -1] / sum(costs.shape))


def wmfcc(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, *, scrambled: bool = False) -> float:
    """The warped MFCC distance; `scrambled` reshapes (20, T) to (T, 20) instead of transposing, a published mistake."""
    import librosa

    first, second = (
        librosa.feature.mfcc(
            y=audio,
            sr=sample_rate,
            n_mfcc=20,
            n_mels=128,
            n_fft=int(0.05 * sample_rate),
            hop_length=int(0.01 * sample_rate),
        ).astype(np.float64)
        for audio in (reference, estimate)
    )
    first, second = (x.reshape(-1, 20) if scrambled else x.T for x in (first, second))
    return plain_warping(np.abs(first[:, None] - second[None]).mean(axis=-1))


def sot(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    import librosa

    shares = []
    for audio in (reference, estimate):
        spectrum = librosa.stft(audio, n_fft=int(0.05 * sample_rate), hop_length=int(0.02 * sample_rate))
        magnitude = np.abs(spectrum).astype(np.float64)
        shares.append(magnitude / np.maximum(magnitude.sum(axis=0), 1e-6))
    areas = np.abs(np.cumsum(shares[0], axis=0) - np.cumsum(shares[1], axis=0)).mean(axis=0)
    return float(areas.mean())


def rms(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    import librosa

    sizes = {"frame_length": int(0.05 * sample_rate), "hop_length": int(0.025 * sample_rate)}
    first, second = (
        librosa.feature.rms(y=audio, **sizes)[0].astype(np.float64) for audio in (reference, estimate)
    )
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {
    "mss": mss,
    "wmfcc": wmfcc,
    "sot": sot,
    "rms": rms,
}


def main() -> None:
    """Writes suite.json beside this file."""
    import librosa

    values = {}
    for sample_rate in SAMPLE_RATES:
        pairs = signals(sample_rate)
        values[str(sample_rate)] = {
            name: {measure: compute(*pair, sample_rate) for measure, compute in MEASURES.items()}
            for name, pair in pairs.items()
        }
    scrambled = wmfcc(*signals(16000)["brightness"], 16000, scrambled=True)
    goldens = {
        "librosa": librosa.__version__,
        "scrambled_wmfcc_brightness_16000": scrambled,
        "values": values,
    }
    path = Path(__file__).with_name("suite.json")
    path.write_text(json.dumps(goldens, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
