"""Floor 2: (reference, estimate) to a number. Reference first, always."""
