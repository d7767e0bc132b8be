"""Generators and patches as instruments that samplers play."""
