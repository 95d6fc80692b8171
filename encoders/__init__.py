"""Media decoding, the four encoders, features and encoder profiles. Imports nothing from above."""
