"""What one lesson builds beside the model: the mixture of 1991, dispatch step by step, who is let in."""
