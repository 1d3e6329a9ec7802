"""The parts of scripts/publish_checkpoint.py."""
