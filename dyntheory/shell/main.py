"""The command line: every command is a file of `dyntheory.shell.commands`, here they are put together.

Imports that --help does not need wait until a command runs: rich, matplotlib, the tables of TOML.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Sequence

import tyro

from dyntheory.ground.names import check_name
from dyntheory.ground.version import __version__
from dyntheory.shell.commands import (
    charges,
    closed_form,
    compare,
    design,
    doctor,
    estimate,
    explore,
    finite_size,
    new,
    predict,
    simulate,
    sweep,
)
from dyntheory.shell.exit_status import DONE, INTERRUPTED
from dyntheory.shell.failures import explained, wants_traceback

COMMANDS = {
    "new": new.command,
    "predict": predict.command,
    "simulate": simulate.command,
    "compare": compare.command,
    "sweep": sweep.command,
    "design": design.command,
    "finite-size": finite_size.command,
    "closed-form": closed_form.command,
    "charges": charges.command,
    "estimate": estimate.command,
    "explore": explore.command,
    "doctor": doctor.command,
}
DESCRIPTION = """\
Predict a neural network's learning curves without training it, and put the prediction beside a simulation.

A problem is a TOML file: what the data are, which network, which optimizer, how many steps.

  dyntheory new problem.toml                          write a commented problem to start from
  dyntheory predict problem.toml                      training and test error after every step
  dyntheory predict problem.toml --set num_steps=50 --set method.learning_rate=0.1
  dyntheory compare problem.toml --plot curves.png    theory and simulation on one figure, and a verdict
  dyntheory compare problem.toml --out curves.nc      the numbers, as NetCDF
  dyntheory closed-form double-descent --plot out.png a picture of the field: formulas beside least squares
  dyntheory charges --animation out.gif               units of a student move as electrons among protons
  dyntheory sweep problem.toml --plot map.png         predictions at every point of the table [sweep]
  dyntheory design problem.toml                       the best schedule before any training: the table [design]
  dyntheory finite-size problem.toml                  simulate at several sizes, extrapolate, compare
  dyntheory estimate method.toml --data data.csv --target price
                                                      train on a file; the error on fresh rows, none held out
  dyntheory explore problem.toml                      a page in the browser where controls move the curves
  dyntheory doctor                                    is the installation sound?

Exit status: 0 done (compare: agreement), 1 disagreement or a failed self-check, 2 bad input,
3 unresolved (the errors are too large to say, or training diverged), 4 a fault of dyntheory, 130 interrupted.
`dyntheory --version` prints the version, `dyntheory COMMAND --help` explains a command.
DYNTHEORY_DEBUG=1 in the environment shows the traceback of an error."""
REPEATED = {
    "--set": r"[A-Za-z_][\w.]*=",
    "--drop": r"(?!--)",
}  # options that take several values: what a value begins with


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments after the program's name; default those of the process.

    Returns:
        0 done, 1 disagreement, 2 bad input, 3 unresolved, 4 a fault of the library, 130 interrupted.

    Raises:
        Exception: whatever ended the command, only where DYNTHEORY_DEBUG is set.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        print(f"dyntheory {__version__}")
        return DONE
    try:
        if arguments and not arguments[0].startswith("-"):
            check_name("command", arguments[0], COMMANDS)
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="dyntheory", description=DESCRIPTION, args=_repeat_options(arguments or ["--help"])
        )
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else DONE
    except BrokenPipeError:  # whoever reads the output has read enough: `dyntheory predict … | head`
        with contextlib.suppress(OSError, ValueError):  # a stream without a number
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _complain("interrupted.", INTERRUPTED)
    except Exception as error:
        if wants_traceback():
            raise
        return _complain(*explained(error))


def _complain(text: str, status: int) -> int:
    print(f"dyntheory: {text}", file=sys.stderr)
    return status


def _repeat_options(arguments: Sequence[str]) -> list[str]:
    """Let one --set take several assignments and one --drop several columns: write it again before each of them."""
    repeated: list[str] = []
    option = ""
    for previous, argument in itertools.pairwise(["", *arguments]):
        is_value = previous in REPEATED
        option = previous if is_value else option
        goes_on = option != "" and argument not in REPEATED and re.match(REPEATED[option], argument) is not None
        option = option if is_value or goes_on else ""
        repeated += [option, argument] if goes_on and not is_value else [argument]
    return repeated


if __name__ == "__main__":
    sys.exit(main())
