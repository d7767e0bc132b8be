"""Licences by the identifiers that the hub of data sets knows them by.

A corpus says what its licence is in words ("CC BY 4.0 (Frank Wen)"), and people name licences by the identifiers of
SPDX ("CC-BY-4.0", "PDDL-1.0", "GPL-3.0-or-later"). The hub has a list of its own, which is close to that of SPDX: in
small letters, with neither "only" nor "or later", and without the version of a licence that has one only ("pddl"). It
knows no others, so what is not on the list is `other`, and the card keeps the words.

References:
    Hugging Face, Licenses, https://huggingface.co/docs/hub/repositories-licenses
    SPDX License List, https://spdx.org/licenses/
"""

import re

UNKNOWN_LICENCE = "other"

HUB_LICENCES = frozenset(
    """
    apache-2.0 mit afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc
    cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
    cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
    eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl
    osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl unknown other
    """.split()  # noqa: SIM905 (sixty lines of one word each would be no easier to read)
)
"""The identifiers of the hub, but for those of licences that are for models alone."""

# What SPDX writes otherwise than the hub, in small letters.
_SPDX = {
    "cc0": "cc0-1.0",
    "pddl-1.0": "pddl",
    "odc-by-1.0": "odc-by",
    "odbl-1.0": "odbl",
    "c-uda-1.0": "c-uda",
    "gfdl-1.1": "gfdl",
    "gfdl-1.2": "gfdl",
    "gfdl-1.3": "gfdl",
}
_SPDX_ENDINGS = re.compile(r"(-only|-or-later|\+)$")
# Names in words, of which the blanks become hyphens.
_IN_WORDS = re.compile(
    r"\bCC (?:BY(?:-[A-Z]{2})*|0) \d\.\d|\bCC0 1\.0|\bApache (?:Licen[sc]e,? )?(?:Version )?2\.0"
)
_FILLING = re.compile(r"Licen[sc]e,? |Version ")
# In a sentence a word without a number may be no licence at all, except for these, written so.
_NAMES = frozenset({"MIT", "PDDL", "ODbL", "ODC-By", "WTFPL"})
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*(?<![.])")


def hub_licence(text: str) -> str:
    """The hub's identifier of a licence: of an identifier, or of the first that a sentence names; `other` for none."""
    hyphened = _IN_WORDS.sub(lambda found: _FILLING.sub("", found[0]).replace(" ", "-"), text)
    if whole := _identifier(hyphened.strip()):
        return whole
    words = [word for word in _WORD.findall(hyphened) if word in _NAMES or any(map(str.isdigit, word))]
    return next((known for word in words if (known := _identifier(word))), UNKNOWN_LICENCE)


def _identifier(name: str) -> str:
    """The hub's identifier of the hub's or SPDX's; empty for neither."""
    small = _SPDX_ENDINGS.sub("", name.lower())
    found = _SPDX.get(small, small)
    return found if found in HUB_LICENCES else ""
