"""Floor 2: one training loop that knows neither the networks nor the data."""
