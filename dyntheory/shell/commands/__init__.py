"""One file a command.

In each, `command` is what a person types: its signature and docstring are the help, its body says in order what is
read, computed, printed and written, and it returns the exit status. `perform`, where there is work, does it and prints
nothing. A new command is a new file and its line in `dyntheory.shell.main`.
"""
