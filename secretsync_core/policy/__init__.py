"""The operator's bounds to what documents may name and move: read, and asked before anything is opened or copied."""
