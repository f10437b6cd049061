"""Coverage-guided fuzzing of the imaging layer, and what it has found."""
