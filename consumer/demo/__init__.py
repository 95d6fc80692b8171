"""`reeltag demo`: sample uploads, a broker, the worker, and a table of what comes out."""
