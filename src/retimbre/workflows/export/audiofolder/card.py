"""The card of a published data set: a README that people read and the hub of data sets reads, too.

It begins with a header in YAML: the licence by the identifier that the hub knows it by, the files of each part, and the
type of each column. Below it stands the same in words. Texts in the header are written as JSON strings, which YAML
reads as they are.

References:
    Hugging Face, Dataset cards, https://huggingface.co/docs/hub/datasets-cards
    Hugging Face, Create an audio dataset, https://huggingface.co/docs/datasets/audio_dataset
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

from retimbre.data.splits import SPLITS
from retimbre.workflows.export.audiofolder.licences import UNKNOWN_LICENCE, hub_licence

Dtype = Literal["int64", "float64", "string"]


@final
@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        title: Of the set.
        about: What its clips are, a sentence for each source.
        licences: What their licences say; empty ones are not known.
        citations: What is to be cited.
        columns: The type of each column but the sound's.
        counts: Clips in each part.
        sample_rates: Those that occur, in Hz.
    """

    title: str
    about: tuple[str, ...]
    licences: tuple[str, ...]
    citations: tuple[str, ...]
    columns: Mapping[str, Dtype]
    counts: Mapping[str, int]
    sample_rates: tuple[int, ...]


def licence_id(licences: Sequence[str]) -> str:
    """The hub's identifier of a licence; `other` for one that it does not know, and for several."""
    found = {hub_licence(licence) for licence in licences}
    return found.pop() if len(found) == 1 else UNKNOWN_LICENCE


def column_types(rows: Sequence[Mapping[str, object]]) -> dict[str, Dtype]:
    """The type of each column that occurs in some row: whole numbers, numbers or texts."""
    types: dict[str, Dtype] = {}
    for row in rows:
        for name, value in row.items():
            types[name] = _wider(types.get(name), value)
    return types


def card_text(card: Card) -> str:
    """The README."""
    lines = ["---", *_header(card), "---", "", f"# {card.title}", ""]
    lines += [f"{sentence}." for sentence in card.about]
    lines += [
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'load_dataset("audiofolder", data_dir="...")',
    ]
    lines += ["```", "", "| part | clips |", "| --- | ---: |"]
    lines += [f"| {name} | {card.counts[name]} |" for name in SPLITS if card.counts[name]]
    rates = ", ".join(str(rate) for rate in card.sample_rates)
    lines += [
        "",
        f"Sounds are WAV files of 16-bit integers, one channel, at {rates} Hz.",
        "",
        "## Columns",
        "",
    ]
    lines += ["| column | type |", "| --- | --- |", "| `audio` | the sound |"]
    lines += [f"| `{name}` | {dtype} |" for name, dtype in card.columns.items()]
    lines += ["", "## Licence", ""]
    lines += [f"{text}." for text in card.licences if text] or ["Not stated by the source."]
    if card.citations:
        lines += ["", "## Citation", "", *card.citations]
    return "\n".join(lines) + "\n"


def _header(card: Card) -> list[str]:
    identifier = licence_id(card.licences)
    lines = [f"license: {identifier}"]
    if identifier == UNKNOWN_LICENCE:
        lines += ["license_name: other", "license_link: README.md"]
    lines += [f"pretty_name: {json.dumps(card.title)}", "configs:", "- config_name: default", "  data_files:"]
    for name in SPLITS:
        if card.counts[name]:
            lines += [f"  - split: {name}", f'    path: "{name}/**"']
    lines += ["dataset_info:", "  features:", "  - name: audio"]
    one_rate = len(card.sample_rates) == 1
    lines += (
        ["    dtype:", "      audio:", f"        sampling_rate: {card.sample_rates[0]}"]
        if one_rate
        else ["    dtype: audio"]
    )
    for name, dtype in card.columns.items():
        lines += [f"  - name: {json.dumps(name)}", f"    dtype: {dtype}"]
    return lines


def _wider(known: Dtype | None, value: object) -> Dtype:
    order: tuple[Dtype, ...] = ("int64", "float64", "string")
    found: Dtype = "string"
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = "int64" if isinstance(value, int) else "float64"
    return found if known is None else order[max(order.index(known), order.index(found))]
