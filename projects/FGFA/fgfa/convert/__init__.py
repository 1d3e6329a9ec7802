"""Weights of other implementations: what they are called there, and what they become here."""
