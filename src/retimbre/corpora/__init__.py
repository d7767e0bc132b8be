"""Floor 3: where sounds come from: one module per corpus, from a raw download or from nothing to sources."""
