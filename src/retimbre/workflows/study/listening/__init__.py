"""Listening tests: sounds of several systems packed for blind rating, and what the ratings say."""
