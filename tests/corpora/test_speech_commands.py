from collections import Counter

import numpy as np
import pytest
import soundfile

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.speech_commands import DIGITS, SPEECH_CUTTING, SpeechFilters, scan_speech_commands
from retimbre.data.dataset import RecordedSet
from retimbre.workflows.dataset.recordings import HowToImport, import_sources

WORDS = ("one", "two", "yes")
SPEAKERS = ("ann", "bob", "cid", "dan", "eve", "fay")
RATES = {"ann": 8000, "bob": 11025}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three words by six speakers, two tries each; two speakers at other rates, one longer than a clip."""
    root = tmp_path_factory.mktemp("speech")
    for word in WORDS:
        (root / word).mkdir()
        for speaker in SPEAKERS:
            rate = RATES.get(speaker, 16000)
            seconds = 1.5 if speaker == "cid" else 0.4
            sound = 0.3 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)
            for attempt in range(2):
                soundfile.write(
                    root / word / f"{speaker}_nohash_{attempt}.wav", sound, rate, subtype="PCM_16"
                )
    (root / "_background_noise_").mkdir()
    soundfile.write(root / "_background_noise_" / "hum.wav", np.zeros(100), 16000)
    held_out = {"validation_list.txt": "dan", "testing_list.txt": "eve"}
    for file, speaker in held_out.items():
        lines = [f"{word}/{speaker}_nohash_{attempt}.wav" for word in WORDS for attempt in range(2)]
        (root / file).write_text("\n".join(lines) + "\n")
    return root


ALL = SpeechFilters(words=(), cap=0)


def test_the_lists_of_the_corpus_are_its_parts(corpus):
    scan = scan_speech_commands(corpus, ALL)
    parts = {(source.attributes["speaker"], source.split) for source in scan.sources}
    held_out = {"dan": "validation", "eve": "test"}
    assert parts == {(speaker, held_out.get(speaker, "train")) for speaker in SPEAKERS}
    assert scan.rejects == ()


def test_without_lists_each_speaker_is_in_one_part(corpus, tmp_path):
    for word in WORDS:
        (tmp_path / "raw" / word).mkdir(parents=True)
        for path in (corpus / word).iterdir():
            (tmp_path / "raw" / word / path.name).write_bytes(path.read_bytes())
    scan = scan_speech_commands(tmp_path / "raw", ALL)
    import_sources(scan, tmp_path / "set", SPEECH_CUTTING, corpus="speech-commands")
    clips = RecordedSet.open(tmp_path / "set").clips
    parts = {(clip.attributes["speaker"], clip.split) for clip in clips}
    assert len(parts) == len(SPEAKERS)
    assert {part for _, part in parts} == {"train", "validation", "test"}


def test_background_noise_is_no_word(corpus):
    assert {source.label for source in scan_speech_commands(corpus, ALL).sources} == set(WORDS)


def test_the_words_are_the_ten_digits_unless_told_and_those_missing_are_named(corpus):
    scan = scan_speech_commands(corpus, SpeechFilters())
    assert {source.label for source in scan.sources} == {"one", "two"}
    missing = {reject.path.rpartition("/")[2] for reject in scan.rejects}
    assert missing == set(DIGITS) - {"one", "two"}
    assert {reject.kind for reject in scan.rejects} == {"failed"}


@pytest.mark.parametrize("cap", [1, 5, 11, 12, 1850])
def test_no_word_has_more_than_the_cap_and_none_less_than_it_could(cap, corpus):
    scan = scan_speech_commands(corpus, SpeechFilters(words=WORDS, cap=cap))
    counts = Counter(source.label for source in scan.sources)
    assert counts == dict.fromkeys(WORDS, min(cap, 2 * len(SPEAKERS)))


def test_the_choice_is_seeded_and_a_larger_cap_contains_the_smaller(corpus):
    def chosen(cap, seed):
        scan = scan_speech_commands(corpus, SpeechFilters(words=WORDS, cap=cap, seed=seed))
        return [source.name for source in scan.sources]

    assert chosen(4, 0) == chosen(4, 0)
    assert chosen(4, 0) != chosen(4, 1)
    assert set(chosen(4, 0)) < set(chosen(8, 0))
    assert chosen(4, 0) == sorted(chosen(4, 0))


def test_every_clip_has_16384_samples_at_16_khz_padded_with_silence(corpus, tmp_path):
    made = import_sources(
        scan_speech_commands(corpus, ALL), tmp_path / "set", SPEECH_CUTTING, corpus="speech-commands"
    )
    data = RecordedSet.open(tmp_path / "set")
    assert (made.clips, data.header.num_samples, data.header.sample_rate) == (36, 16384, 16000)
    audio = data.audio(data.split("validation"))
    assert not audio[:, 6400:].any()
    # A sine of amplitude 0.3: its root mean square does not depend on the rate of the file, to 1 %.
    for clip, samples in zip(
        data.clips, data.audio(data.column("label").classes.argsort(stable=True)), strict=False
    ):
        if clip.attributes["speaker"] in RATES:
            level = float(samples[:6400].square().mean().sqrt())
            assert level == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_utterances_that_are_listed_or_named_wrongly_are_reported_and_the_rest_is_used(corpus, tmp_path):
    raw = tmp_path / "raw"
    (raw / "one").mkdir(parents=True)
    for path in (corpus / "one").iterdir():
        (raw / "one" / path.name).write_bytes(path.read_bytes())
    (raw / "one" / "notes.txt").touch()
    (raw / "one" / "ann_nohash_0.wav").write_bytes(b"RIFF")
    (raw / "testing_list.txt").write_text("one/gone_nohash_0.wav\ntwo/unwanted.wav\none/eve_nohash_0.wav\n")
    scan = scan_speech_commands(raw, ALL)
    made = import_sources(scan, tmp_path / "set", SPEECH_CUTTING, HowToImport(), corpus="speech-commands")
    assert (made.clips, made.rejected) == (11, {"failed": 2, "passed over": 1})
    told = {reject.path.rpartition("/")[2] for reject in made.rejects}
    assert told == {"gone_nohash_0.wav", "notes.txt", "ann_nohash_0.wav"}


def test_what_is_not_the_layout_is_refused(corpus, tmp_path):
    with pytest.raises(DatasetError, match="takes one with a folder per word"):
        scan_speech_commands(tmp_path / "missing", ALL)
    with pytest.raises(DatasetError, match="has no folder in it"):
        scan_speech_commands(tmp_path, ALL)
    with pytest.raises(ConfigError, match="did you mean 'yes'"):
        scan_speech_commands(corpus, SpeechFilters(words=("yess",)))
    with pytest.raises(ConfigError, match="each word is named once"):
        SpeechFilters(words=("one", "one"))


def test_an_utterance_in_both_lists_is_refused(corpus, tmp_path):
    (tmp_path / "one").mkdir()
    for file in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / file).write_text("one/a_nohash_0.wav\n")
    with pytest.raises(DatasetError, match=r"one/a_nohash_0\.wav is in both lists"):
        scan_speech_commands(tmp_path, ALL)
