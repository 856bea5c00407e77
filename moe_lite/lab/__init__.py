"""Trainings watched, recorded, compared and broken on purpose; time measured."""
