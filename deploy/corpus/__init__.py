"""The starter corpus: short labelled clips made of freely licensed pictures, sounds, words."""
