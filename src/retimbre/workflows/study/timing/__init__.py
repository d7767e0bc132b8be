"""The study `timing`: what each representation costs and what a round trip keeps."""
