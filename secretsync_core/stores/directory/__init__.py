"""What the stores of files share: the way to a folder, whole files written in one step, and what killed writers left.

It is for ``file``, ``dotenv`` and ``sops``. What a file holds is theirs to know.
"""
