"""The report on sets of sounds: anchors, what a measure should say of them, and a page with everything beside it."""
