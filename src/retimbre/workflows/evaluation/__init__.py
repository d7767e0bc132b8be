"""How good a trained model is, on clips that it never heard."""
