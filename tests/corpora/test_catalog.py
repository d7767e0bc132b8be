import pytest

from retimbre.cli.app import tree
from retimbre.corpora.catalog import CORPORA
from retimbre.corpora.envelopes.corpus import STAGES
from retimbre.workflows.catalogs import names


def test_the_corpora_are_those_that_were_promised():
    promised = {
        "synth",
        "folder",
        "nsynth",
        "maestro",
        "speech-commands",
        "notes",
        "envelopes",
        "soundfont",
        "performances",
    }
    assert set(CORPORA) == promised


@pytest.mark.parametrize("name", CORPORA)
def test_each_corpus_has_a_command_of_its_own(name):
    words = CORPORA[name].command.split()
    assert words == ["retimbre", "data", name]
    assert name in tree().commands["data"].commands


@pytest.mark.parametrize("row", names("corpora"), ids=lambda row: row["name"])
def test_the_listing_says_of_each_corpus_what_a_user_must_know(row):
    assert set(row) == {"name", "command", "licence", "citation", "labels", "description"}
    assert all(isinstance(value, str) for value in row.values())
    assert all(row[key] for key in ("name", "command", "licence", "labels", "description"))


@pytest.mark.parametrize("name", ["nsynth", "maestro", "speech-commands"])
def test_what_others_recorded_says_whom_to_cite(name):
    assert CORPORA[name].citation.count("https://") == 1
    assert CORPORA[name].licence.startswith("CC BY")


def test_the_envelope_set_is_listed_with_every_stage_of_its_labels():
    assert CORPORA["envelopes"].labels.startswith(", ".join(STAGES))
