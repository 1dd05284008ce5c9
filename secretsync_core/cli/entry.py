"""The entry point ``secretsync``: Ctrl-C before there is a program, or after it, ends the process without a word.

Python's own handler raises wherever the program is. While modules are imported that shows a traceback, or comes out of
the import as another error. So this module imports next to nothing before it has set a handler of its own. Before that
it is Python that starts, and nothing of ours can help.
"""

from secretsync_core.cli.interrupt import leave_on_interrupt


def main() -> None:
    """Run the command line of this process."""
    leave_on_interrupt()
    from secretsync_core.cli.main import main as program

    program()


if __name__ == "__main__":
    main()
