"""What the course knows of itself: its lessons, its diagram, claims and their evidence, a learner's progress."""
