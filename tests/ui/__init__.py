"""Tests of the web UI: the real webserver and daemon, and a real Chromium that presses what people press."""
