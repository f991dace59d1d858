"""Gradient ascent on an objective: one pure function, and what it reports of each epoch."""
