"""`reeltag bench`: what the product costs, beside the raw libraries on the same work in one run."""
