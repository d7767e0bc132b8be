"""The help of the measures of sets: what each asks, what its number means, and an example of itself."""

ABOUT: dict[str, str] = {
    "pis": """Inception score of pitch: does every sound have one clear pitch, and are all pitches there?

As `is`, of the pitch classes. A generator that plays every wanted pitch clearly reaches their number, however little
its sounds resemble real ones.

Example:
    retimbre evaluate pis --fake generated
""",
    "iis": """Inception score of instrument: is every sound clearly of one family, and are all families there?

As `is`, of the eleven families of instruments. Real sets stay far below eleven, since families overlap; measure the
real set, too.

Example:
    retimbre evaluate iis --fake generated
""",
    "pkid": """Kernel distance of pitch: do the sounds have the pitches, and the clarity of pitch, of real ones?

The unbiased polynomial kernel distance (KID) of what the listener's pitch is read from. 0 for sets of one distribution,
up to chance, so it may be slightly below.

Example:
    retimbre evaluate pkid --fake generated --real recordings
""",
    "ikid": """Kernel distance of instrument: are the sounds of the instruments that the real ones are of?

As `pkid`, of what the listener's instrument family is read from.

Example:
    retimbre evaluate ikid --fake generated --real recordings
""",
    "fad": """Frechet audio distance: how far apart two sets lie in the ear of an embedder.

The distance of two normal distributions fitted to the sets' vectors. It is biased upwards by few clips, so compare sets
of one size; `infinity` is the value extrapolated to endless clips.

Example:
    retimbre evaluate fad --fake generated --real recordings
""",
    "kid": """Kernel distance of two sets through any embedder: polynomial, unbiased.

Unlike the Frechet distance it assumes no normal distribution and has no bias by the number of clips; slightly negative
values are chance.

Example:
    retimbre evaluate kid --fake generated --real recordings
""",
    "kad": """Kernel audio distance: as `kid`, with a Gaussian kernel as wide as real sounds lie apart, times 100.

The kernel looks at neighbours rather than at moments, so it notices more than the mean and the spread.

Example:
    retimbre evaluate kad --fake generated --real recordings
""",
    "prdc": """Precision, recall, density and coverage: how many sounds are plausible, and how much is covered.

Precision and density say whether the sounds lie where real ones do, recall and coverage whether they reach all of it.
The headline is coverage: the share of real clips with a generated one among their neighbours.

Example:
    retimbre evaluate prdc --fake generated --real recordings
""",
    "ndb": """Number of statistically different bins, as a share: which kinds of sound come too often or too rarely.

The real clips are sorted into bins; the share of bins whose frequency differs in the set judged by more than chance.

Example:
    retimbre evaluate ndb --fake generated --real recordings
""",
    "mind": """Sliced Wasserstein distance: how far vectors have to move to become the others.

Along many random directions, since along one line the least movement is known exactly.

Example:
    retimbre evaluate mind --fake generated --real recordings
""",
    "imq": """Kernel distance of two sets with the inverse multiquadric kernel.

The kernel of Nistal et al. (2020), unbiased; `--profile sony2020` is theirs, whose bias is 2/(n-1).

Example:
    retimbre evaluate imq --fake generated --real recordings
""",
}
