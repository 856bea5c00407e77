"""What a check's result looks like in a notebook."""
