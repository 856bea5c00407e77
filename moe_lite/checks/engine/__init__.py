"""How any exercise is checked: run a learner's function, compare, find the mistake, say it."""
