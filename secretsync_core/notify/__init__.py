"""Tells people how a run ended. Holds names, counts and reasons only; no value ever comes here."""
