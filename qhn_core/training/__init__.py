"""Gradient ascent on an objective: one pure function, and what it tells of each epoch."""
