"""What one lesson builds beside the model: a dense model taken apart, the mixture of 1991, dispatch, who is let in,
what experts do."""
