"""How anything in the course looks and reads: colours, pictures, numbers in words."""
