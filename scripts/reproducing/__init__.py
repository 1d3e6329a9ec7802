"""The parts of `scripts/reproduce.py`: steps, the recipe of a table, scores, speed, and reports."""
