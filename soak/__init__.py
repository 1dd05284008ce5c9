"""The soak of ``make soak``: random changes, killed and hindered runs, and a model that says what must be there."""
